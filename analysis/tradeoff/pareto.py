"""Which methods no other one beats in both consistency and stability."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from analysis.contrasts.estimate import LIKE_THESE, Result
from analysis.tradeoff.joint import Differences
from analysis.tradeoff.tradeoff import Tradeoff


def front(
    found: Sequence[Tradeoff], consistency: Result, stability: Result, control: str, draws: int = 2000, seed: int = 0
) -> pd.DataFrame:
    """Which methods no other one beats in both consistency and stability; the control stands at (0, 0).

    Blocks are drawn again within arch x size, whole, so that methods stay paired; languages that stand for others are
    drawn again with them, the same for both scores. Drawing both ways counts the noise of single scores twice (Owen
    2007, Ann. Appl. Stat. 1:386): the probabilities are a little nearer to even than they need be.

    Args:
        found: averaged trade-offs.
        consistency, stability: the results that they come from.
        control: name of the control.
        draws: number of bootstrap draws.
        seed: of the draws.

    Returns:
        Columns method, member (on the front of the estimates) and probability (share of draws on the front); only
        blocks that have every method take part. Empty where there are fewer than two seeds somewhere.
    """
    columns = ["method", "member", "probability"]
    if not found:
        return pd.DataFrame(columns=columns)
    details = Differences.of((consistency, stability), control)
    methods = [t.method for t in found]
    values = details.values[..., [details.methods.index(m) for m in methods]]
    whole = np.isfinite(values).any(axis=3).all(axis=(0, 3))  # [places, seeds]
    kept = [(i, np.flatnonzero(seeds)) for i, seeds in enumerate(whole) if seeds.any()]
    if not kept or min(len(seeds) for _, seeds in kept) < 2:
        return pd.DataFrame(columns=columns)
    rng = np.random.default_rng(seed)
    languages = _multinomial(rng, len(details.languages), draws)
    blocks = [_multinomial(rng, len(seeds), draws) for _, seeds in kept]
    means = []
    for part, result in zip(values, (consistency, stability), strict=True):
        weight = languages if result.population == LIKE_THESE else np.ones_like(languages)
        means.append(np.mean([_drawn(part[i, seeds], b, weight) for (i, seeds), b in zip(kept, blocks, strict=True)],
                             axis=0))  # fmt: skip
    drawn = np.stack(means, axis=2)  # [draws, methods, 2]
    drawn = drawn[np.isfinite(drawn).all(axis=(1, 2))]
    observed = np.array([t.mean for t in found])[None]
    on_front = [_undominated(np.pad(m, ((0, 0), (1, 0), (0, 0)))) for m in (observed, drawn)]
    return pd.DataFrame({
        "method": [control, *methods], "member": on_front[0][0], "probability": on_front[1].mean(axis=0),
    })  # fmt: skip


def _multinomial(rng: np.random.Generator, count: int, draws: int) -> np.ndarray:
    """How often each of `count` things is drawn when as many are drawn again, [draws, count]."""
    return rng.multinomial(count, np.full(count, 1 / count), size=draws).astype(float)


def _drawn(values: np.ndarray, blocks: np.ndarray, languages: np.ndarray) -> np.ndarray:
    """Means of [seeds, languages, methods] over drawn blocks [draws, seeds] and languages, [draws, methods]."""
    known = np.isfinite(values)
    sums, counts = (np.einsum("ds,slm->dlm", blocks, part, optimize=True)
                    for part in (np.where(known, values, 0.0), known.astype(float)))  # fmt: skip
    with np.errstate(invalid="ignore", divide="ignore"):  # a draw may hold no language of the score
        return np.asarray(np.einsum("dl,dlm->dm", languages, sums) / np.einsum("dl,dlm->dm", languages, counts))


def _undominated(means: np.ndarray) -> np.ndarray:
    """Whether no other row is at least as good in both columns and better in one; [draws, methods, 2] in."""
    ahead = (means[:, :, None] >= means[:, None]).all(axis=3) & (means[:, :, None] > means[:, None]).any(axis=3)
    return np.asarray(~np.any(ahead, axis=1))
