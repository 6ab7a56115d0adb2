"""Accuracy of image-text retrieval, per language, in both directions.

Every metric follows from the ranks of the relevant items, and such a rank is one plus the number of
items that are not relevant and score at least as high (plus the relevant ones before it). Counting
needs no sort, and the same block of similarities serves both directions.

Ties are pessimistic: an irrelevant item within `checks.TIE` of a relevant one stands before it. A
collapsed (constant) embedding therefore scores 0, below chance.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from study.eval.checks import TIE, FloatArray, IntArray, ScoringError, frame, row_index, unit_rows
from study.eval.items import ItemScores
from study.records import DIRECTIONS, RETRIEVAL

DEPTH = 10
"""Depth of map, mrr and ndcg."""

RECALL_DEPTHS = (1, 5, 10)


class Relevant(NamedTuple):
    """The relevant items of one direction, one entry [P] for each pair of a query and such an item."""

    query: IntArray
    """Row of the query."""
    position: IntArray
    """0 for the best-ranked relevant item of the query, 1 for the next."""
    rank: IntArray
    """Rank in the whole gallery, from 1."""


def retrieval_rows(
    images: ArrayLike,
    texts: Mapping[str, ArrayLike],
    image_index: ArrayLike | Mapping[str, ArrayLike] | None = None,
    *,
    protocol: str,
    block: int = 1024,
    items: ItemScores | None = None,
) -> pd.DataFrame:
    """Score retrieval in each language: text to image, and image to text of that language.

    Args:
        images: [G, D] unit vectors, the image gallery of every language.
        texts: language -> [Q, D] unit vectors; Q may differ between languages. One language is asked for
            at a time, so a mapping may make them when asked.
        image_index: [Q] the image that caption i describes, one array for all languages or one for
            each; None when caption i describes image i. All captions of an image are relevant to it.
            An image without a caption in a language stays in the gallery and is not a query.
        protocol: written into the rows: which captions count as relevant, and the gallery.
        block: captions, and images, in one block of similarities: 4 block^2 bytes at a time.
        items: is given the average precision of every image, as query and of the captions that ask for it.

    Returns:
        The columns of `records.RETRIEVAL` less `cell`; scores are fractions, means over queries.

    Raises:
        ScoringError: no language, embeddings that are not unit vectors of one D, or an index outside
            the gallery.
    """
    gallery = unit_rows("images", images)
    if not texts:
        raise ScoringError("texts: no language given")
    if block < 1:
        raise ScoringError(f"block: must be at least 1, got {block}")
    rows: list[dict[str, object]] = []
    for language, values in texts.items():
        captions = unit_rows(f"texts[{language!r}]", values, gallery.shape[1])
        index = _image_index(language, image_index, len(captions), len(gallery))
        ranks = dict(zip(DIRECTIONS, relevant_ranks(captions, gallery, index, block), strict=True))
        sizes = dict(zip(DIRECTIONS, (len(gallery), len(captions)), strict=True))
        for direction in DIRECTIONS:
            scores, queries = metrics(ranks[direction])
            if items is not None:
                asked, precision = average_precisions(ranks[direction])
                items.add(f"map@{DEPTH}", index[asked] if direction == DIRECTIONS[0] else asked, precision)
            common: dict[str, object] = {"language": language, "direction": direction, "protocol": protocol}
            common |= {"queries": queries, "gallery": sizes[direction]}
            rows += [{**common, "metric": metric, "score": score} for metric, score in scores.items()]
    return frame(RETRIEVAL, rows)


def relevant_ranks(texts: FloatArray, images: FloatArray, index: IntArray, block: int) -> tuple[Relevant, Relevant]:
    """Rank the relevant items, text to image and image to text.

    Args:
        texts: [Q, D]; images: [G, D]; index: [Q] image of each caption; block: as in `retrieval_rows`.

    Returns:
        Text to image (one relevant image a caption), then image to text (all captions of an image).
        Both have Q entries, in the order of the captions.
    """
    own = np.empty(len(texts), dtype=np.float32)
    for top in range(0, len(texts), block):
        rows = slice(top, top + block)
        own[rows] = np.einsum("qd,qd->q", texts[rows], images[index[rows]])
    floor = own - np.float32(TIE)
    slot = _slots(index, own)
    # An image's captions in slots: one comparison for each slot instead of one for each caption.
    floors = np.full((int(slot.max()) + 1, len(images)), np.inf, dtype=np.float32)
    floors[slot, index] = floor
    before_image = np.zeros(len(texts), dtype=np.int64)
    before_caption = np.zeros(floors.shape, dtype=np.int64)
    for top in range(0, len(texts), block):
        rows = slice(top, top + block)
        for left in range(0, len(images), block):
            columns = slice(left, left + block)
            similarity = texts[rows] @ images[columns].T
            column = index[rows] - left
            inside = np.flatnonzero((column >= 0) & (column < similarity.shape[1]))
            similarity[inside, column[inside]] = -np.inf  # relevant pairs are not competitors
            before_image[rows] += (similarity >= floor[rows, None]).sum(axis=1)
            for counts, limits in zip(before_caption, floors, strict=True):
                counts[columns] += (similarity >= limits[columns]).sum(axis=0)
    caption_rank = before_caption[slot, index] + slot + 1
    first = np.zeros(len(texts), dtype=np.int64)
    return (
        Relevant(np.arange(len(texts)), first, before_image + 1),
        Relevant(index, slot, caption_rank),
    )


def metrics(relevant: Relevant) -> tuple[dict[str, float], int]:
    """Mean metrics over the queries that have a relevant item, and the number of those queries.

    recall@k is a hit: one relevant item in the first k is enough. map@10 divides a query's sum of
    precisions by min(10, relevant items); ndcg@10 has binary gains and the discount 1 / log2(rank + 1)
    (Järvelin and Kekäläinen 2002); mrr@10 is 0 when no relevant item is in the first ten. All in
    [0, 1], higher is better.
    """
    _, query = np.unique(relevant.query, return_inverse=True)
    count = np.bincount(query)
    best = np.empty(len(count), dtype=np.int64)
    leads = relevant.position == 0
    best[query[leads]] = relevant.rank[leads]
    within = relevant.rank <= DEPTH
    gain = np.where(within, 1.0 / np.log2(relevant.rank + 1.0), 0.0)
    ideal = np.cumsum(1.0 / np.log2(np.arange(1, DEPTH + 1) + 1.0))
    possible = np.minimum(count, DEPTH)
    scores = {f"recall@{k}": float((best <= k).mean()) for k in RECALL_DEPTHS}
    scores[f"map@{DEPTH}"] = float(average_precisions(relevant)[1].mean())
    scores[f"mrr@{DEPTH}"] = float(np.where(best <= DEPTH, 1.0 / best, 0.0).mean())
    scores[f"ndcg@{DEPTH}"] = float((np.bincount(query, gain) / ideal[possible - 1]).mean())
    return scores, len(count)


def average_precisions(relevant: Relevant) -> tuple[IntArray, NDArray[np.float64]]:
    """The queries that have a relevant item [N], ascending, and each one's sum of precisions by min(10, relevant)."""
    queries, query = np.unique(relevant.query, return_inverse=True)
    precision = np.where(relevant.rank <= DEPTH, (relevant.position + 1) / relevant.rank, 0.0)
    return queries, np.bincount(query, precision) / np.minimum(np.bincount(query), DEPTH)


def _slots(index: IntArray, similarity: FloatArray) -> IntArray:
    """[Q] place of each caption among the captions of its image, 0 for the most similar."""
    order = np.lexsort((-similarity, index))
    ordered = index[order]
    start = np.flatnonzero(np.r_[True, ordered[1:] != ordered[:-1]])
    length = np.diff(np.r_[start, len(ordered)])
    slot = np.empty(len(index), dtype=np.int64)
    slot[order] = np.arange(len(index)) - np.repeat(start, length)
    return slot


def _image_index(
    language: str, given: ArrayLike | Mapping[str, ArrayLike] | None, captions: int, images: int
) -> IntArray:
    if isinstance(given, Mapping):
        if language not in given:
            raise ScoringError(f"image_index: no entry for language {language!r}")
        given = given[language]
    if given is None:
        given = np.arange(captions)
    return row_index(f"image_index of {language!r}", given, captions, images)
