"""Consistency of retrieval across languages: do parallel captions retrieve alike?

Each construct is a function (here for rankings, in `alignment` for embeddings) that returns the
symmetric matrix [L, L] of its values for two languages, a mean over queries; the diagonal carries no
meaning. A row of the table is a language's mean over its partners: pairs of languages share
languages, so they are never rows.

Of the rankings, only `rbo` with the gold item deleted is nearly free of accuracy. Where the gold item
takes part, two accurate languages agree by being right. By itself no ranking is free of collapse: a text tower that
returns one vector ranks every gallery alike, and is perfectly consistent. `rbo_excess` is what is left of `rbo` when
the overlap of captions that are not parallel is taken off, which such a tower has as well.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from study.eval.alignment import centre, centred_cosine, linear_cka
from study.eval.checks import FloatArray, IntArray, ScoringError, frame, row_index, unit_rows
from study.eval.items import ItemScores
from study.eval.rankings import PairArray, RankArray, pair_sums, pairwise_minimum, rank_gallery, tail_weights
from study.measures import CONSISTENCY_CONSTRUCTS
from study.records import CONSISTENCY

PERSISTENCE = 0.9
RBO_DEPTH = 100
RANKC_DEPTH = 10


def consistency_rows(
    images: ArrayLike,
    texts: Mapping[str, ArrayLike],
    gold: ArrayLike | None = None,
    *,
    block: int = 1 << 17,
    items: ItemScores | None = None,
) -> pd.DataFrame:
    """Score every construct of `measures.CONSISTENCY_CONSTRUCTS` for each language.

    Args:
        images: [G, D] unit vectors, the gallery.
        texts: language -> [Q, D] unit vectors; row i describes the same image in every language.
        gold: [Q] that image; None when it is image i.
        block: similarities, over all languages, that are ranked at a time (at least one query's).
        items: is given the overlap of every image's parallel captions, above that with the neighbours' captions.

    Returns:
        The columns of `records.CONSISTENCY` less `cell`.

    Raises:
        ScoringError: fewer than two languages, fewer than two queries or three images, languages
            with different numbers of captions, or embeddings that are not unit vectors of one D.
    """
    gallery = unit_rows("images", images)
    if len(texts) < 2:
        raise ScoringError(f"consistency needs at least two languages, got {list(texts)}")
    embeddings = _parallel(texts, gallery.shape[1])
    languages, queries = embeddings.shape[:2]
    if queries < 2 or len(gallery) < 3:
        raise ScoringError(f"consistency needs 2 queries and 3 images, got {queries} and {len(gallery)}")
    target = row_index("gold", np.arange(queries) if gold is None else gold, queries, len(gallery))

    pairs = {name: np.zeros((languages, languages)) for name in ("rbo_gold_deleted", "rankc", "mrc")}
    pairs["gold_rank_variance"] = np.zeros((languages, languages))
    chance, compared, before = np.zeros((languages, languages)), 0, None
    parallel, unparallel = np.zeros(queries), np.full(queries, np.nan)  # of each query; of it and the next one
    generator = np.random.default_rng(0)  # only ever read for queries that see no difference
    step = max(1, block // (languages * len(gallery)))
    for start in range(0, queries, step):
        part = slice(start, start + step)
        flat = embeddings[:, part].reshape(-1, gallery.shape[1])
        ranks = rank_gallery(flat, gallery, generator).reshape(languages, -1, len(gallery))
        share = ranks.shape[1] / queries
        pairs["rbo_gold_deleted"] += share * rbo(ranks, target[part])
        pairs["rankc"] += share * rankc(ranks)
        pairs["mrc"] += share * mrc(ranks)
        pairs["gold_rank_variance"] += share * gold_rank_variance(ranks, target[part])
        if items is not None:
            parallel[part] = query_rbo(ranks, target[part])
        # Each query beside the one before it, the first beside the last one, so that every one is compared.
        if before is None:
            opening = (ranks[:, :1].copy(), target[:1])
            before = (ranks[:, :0], target[:0])
        stacked = np.concatenate([before[0], ranks], axis=1)
        golds = np.concatenate([before[1], target[part]])
        if start + step >= queries:
            stacked = np.concatenate([stacked, opening[0]], axis=1)
            golds = np.concatenate([golds, opening[1]])
        total, count = unparallel_rbo(stacked, golds)
        chance, compared = chance + total, compared + count
        if items is not None and len(golds) > 1:
            first = start - len(before[1])
            unparallel[first : first + len(golds) - 1] = unparallel_query_rbo(stacked, golds)
        before = (ranks[:, -1:].copy(), target[part][-1:])
    pairs["rbo_excess"] = pairs["rbo_gold_deleted"] - chance / max(compared, 1)
    if items is not None:
        # What a query's own neighbours overlap by, before and after it; over all queries the mean is that of `chance`.
        beside = np.stack([unparallel, np.roll(unparallel, 1)])
        known = np.isfinite(beside)
        chances = np.where(known, beside, 0.0).sum(axis=0) / np.maximum(known.sum(axis=0), 1)
        items.add("rbo_excess", target, parallel - chances)
    centred = centre(embeddings)  # a copy of ours, which is not read again
    pairs["centred_cosine"], pairs["linear_cka"] = centred_cosine(centred), linear_cka(centred)

    common = {"queries": queries, "partners": languages - 1}
    rows: list[dict[str, object]] = []
    for measure in CONSISTENCY_CONSTRUCTS:
        if measure.name not in pairs:
            raise ScoringError(f"consistency: {measure.name!r} is declared in study/records.py, but not computed here")
        values = pairs[measure.name]
        means = (values.sum(axis=1) - np.diag(values)) / (languages - 1)
        # Float32 sums leave a perfect score at 1.0000001; the range is exact by definition.
        scores = np.clip(means, measure.low, measure.high)
        rows += [
            {**common, "language": name, "construct": measure.name, "score": float(score)}
            for name, score in zip(texts, scores, strict=True)
        ]
    return frame(CONSISTENCY, rows)


def _parallel(texts: Mapping[str, ArrayLike], width: int) -> FloatArray:
    """[L, Q, D] of all languages; the mapping may make its arrays when asked, which happens to one at a time."""
    embeddings, lengths = np.empty((len(texts), 0, width), dtype=np.float32), {}
    for number, (name, values) in enumerate(texts.items()):
        own = unit_rows(f"texts[{name!r}]", values, width)
        lengths[name] = len(own)
        if not number:
            embeddings = np.empty((len(texts), *own.shape), dtype=np.float32)
        if len(own) == embeddings.shape[1]:
            embeddings[number] = own
    if len(set(lengths.values())) > 1:
        raise ScoringError(f"texts: captions must be parallel, but languages have {lengths} captions")
    return embeddings


def rbo(ranks: RankArray, gold: IntArray | None, p: float = PERSISTENCE, depth: int = RBO_DEPTH) -> PairArray:
    """Rank-biased overlap of two languages' rankings, without the gold item.

    ``(1 - p) / (1 - p^D) sum_{d=1..D} p^(d-1) |A_d & B_d| / d`` with D the smaller of `depth` and the
    items left: the truncated sum of Webber, Moffat and Zobel (2010, ACM TOIS 28(4)), normalised
    instead of extrapolated. In [0, 1]; 1 for identical prefixes; higher is more consistent.

    Args:
        ranks: [L, Q, G] from `rank_gallery`.
        gold: [Q] the item that is deleted from both rankings; None deletes nothing.
        p: persistence in (0, 1).
        depth: D.
    """
    languages, queries, _ = ranks.shape
    values = _rbo_weights(ranks, [] if gold is None else [gold], p, depth)
    return pairwise_minimum(values.reshape(languages, -1)) / queries


def unparallel_rbo(
    ranks: RankArray, gold: IntArray, p: float = PERSISTENCE, depth: int = RBO_DEPTH
) -> tuple[PairArray, int]:
    """What two languages' rankings overlap by when their captions are not parallel: each query beside the next one.

    As `rbo`, with both queries' gold items deleted from both rankings. Neighbours of one gold item are parallel, and
    left out.

    Args:
        ranks: [L, Q, G] from `rank_gallery`; gold: [Q] item.

    Returns:
        [L, L] sums over neighbouring queries of the overlap, mean of the two orders, and the number of neighbours.
    """
    languages = len(ranks)
    kept = np.flatnonzero(gold[:-1] != gold[1:])
    if not len(kept):
        return np.zeros((languages, languages)), 0
    deleted = [gold[kept], gold[kept + 1]]
    one, other = (_rbo_weights(ranks[:, rows], deleted, p, depth).reshape(languages, -1) for rows in (kept, kept + 1))
    total = np.array([np.minimum(row, other).sum(axis=1, dtype=np.float64) for row in one])
    return (total + total.T) / 2, len(kept)


def query_rbo(ranks: RankArray, gold: IntArray, p: float = PERSISTENCE, depth: int = RBO_DEPTH) -> NDArray[np.float64]:
    """`rbo` of every query, [Q], mean over the pairs of languages."""
    languages = len(ranks)
    return pair_sums(_rbo_weights(ranks, [gold], p, depth)) / (languages * (languages - 1) / 2)


def unparallel_query_rbo(
    ranks: RankArray, gold: IntArray, p: float = PERSISTENCE, depth: int = RBO_DEPTH
) -> NDArray[np.float64]:
    """`unparallel_rbo` of every query and the next one, [Q - 1], mean over pairs of languages; nan where left out."""
    languages = len(ranks)
    overlap = np.full(len(gold) - 1, np.nan)
    kept = np.flatnonzero(gold[:-1] != gold[1:])
    if len(kept):
        deleted = [gold[kept], gold[kept + 1]]
        one, other = (_rbo_weights(ranks[:, rows], deleted, p, depth) for rows in (kept, kept + 1))
        # Of all pairs of rankings those of one query are taken away, and those of one language.
        across = pair_sums(np.concatenate([one, other])) - pair_sums(one) - pair_sums(other)
        overlap[kept] = (across - np.minimum(one, other).sum(axis=(0, 2))) / (languages * (languages - 1))
    return overlap


def _rbo_weights(ranks: RankArray, deleted: Sequence[IntArray], p: float, depth: int) -> FloatArray:
    """[L, Q, G] weight of each item by its rank once the items `deleted` ([Q] each) are gone from every ranking."""
    _, queries, size = ranks.shape
    weights = tail_weights(p ** np.arange(min(depth, size - len(deleted)), dtype=np.float64), size)
    row = np.arange(queries)
    moved = ranks
    for item in deleted:
        moved = moved - (ranks > ranks[:, row, item][:, :, None])
    values = weights.take(moved)
    for item in deleted:
        values[:, row, item] = 0.0
    return values


def rankc(ranks: RankArray, depth: int = RANKC_DEPTH) -> PairArray:
    """RankC of two languages' rankings (Qi, Fernández and Bisazza 2023, arXiv 2310.10378).

    ``sum_{j=1..n} w_j P@j`` with ``w_j = exp(n - j) / sum_k exp(n - k)`` and P@j the share of the
    first j items that two languages have in common. The paper ranks a question's n candidate
    answers; here the candidates are each language's n = min(depth, G) first images, the gold one
    included. In [0, 1]; higher is more consistent; rises with accuracy alone.

    Args:
        ranks: [L, Q, G] from `rank_gallery`.
        depth: n.
    """
    languages, queries, size = ranks.shape
    n = min(depth, size)
    weights = tail_weights(np.exp(-np.arange(n, dtype=np.float64)), size)
    return pairwise_minimum(weights.take(ranks).reshape(languages, -1)) / queries


def mrc(ranks: RankArray) -> PairArray:
    """Mean over queries of Spearman's correlation of two languages' full rankings, gold included.

    In [-1, 1]; higher is more consistent. Every ranking is a permutation, so that all have the same
    variance and the mean is one matrix product.

    Args:
        ranks: [L, Q, G] from `rank_gallery`.
    """
    languages, queries, size = ranks.shape
    centred = (ranks.reshape(languages, -1) - np.float32((size - 1) / 2)).astype(np.float32)
    product = (centred @ centred.T).astype(np.float64)
    return product / (queries * size * (size**2 - 1) / 12)


def gold_rank_variance(ranks: RankArray, gold: IntArray) -> PairArray:
    """Half the mean squared difference of the gold item's rank fractions in two languages.

    The fraction is rank / (G - 1) with rank from 0. Averaged over partners and then over languages
    this is the mean over queries of the unbiased variance over languages. In [0, 0.5]; lower is more
    consistent; falls with accuracy alone.

    Args:
        ranks: [L, Q, G] from `rank_gallery`; gold: [Q] image.
    """
    _, queries, size = ranks.shape
    fraction = ranks[:, np.arange(queries), gold].astype(np.float64) / (size - 1)
    difference = fraction[:, None, :] - fraction[None, :, :]
    return np.einsum("abq,abq->ab", difference, difference) / (2 * queries)
