"""Test images and questions as random: does a difference between methods hold for other items like these?

The main interval speaks of the test set as it is: all runs answer the same questions and search the same images, and
what a method happens to gain on those is in every run. Here the items are drawn again, whole, with all runs and
methods that were scored on them, so that methods stay paired; the variance of the averaged difference over such draws
is added to the squared standard error of the main analysis. The sum is that of an estimate whose runs, languages and
items are all drawn anew, but for the noise of an item in one run or one language: it is part of how runs (and
languages) differ in the main analysis and of how items differ here, and is counted twice (Owen 2007, Ann. Appl. Stat.
1:386, on drawing both ways). The interval is a little too wide for it, never too narrow.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd
from scipy import stats

from analysis import names
from analysis.contrasts.estimate import Result, rows
from analysis.mixed.design import Layout
from analysis.wording import join

COLUMNS = [
    "outcome", "measure", "method", "items", "estimate", "item_estimate", "se_runs", "se_items", "se", "df", "low",
    "high", "share", "found", "found_items",
]  # fmt: skip
"""One row per outcome and method, points.

estimate, se_runs: the averaged contrast as it stands in tables/contrasts.csv; item_estimate: the mean of the items'
own differences, which is another number where languages have unequal numbers of items; se_items: over test items drawn
again; low, high: interval for the difference on new items, in new runs and languages like these, simultaneous as the
main one is; df: Satterthwaite's; share: of the items in se squared; found, found_items: whether the main
interval and this one leave out 0.
"""

FEWEST = 20
"""Items under which they are no sample to draw from."""


def analyse(
    results: Mapping[str, Result], items: pd.DataFrame, alpha: float, draws: int = 2000, seed: int = 0
) -> pd.DataFrame:
    """Averaged contrasts with items as random, for every outcome that has item scores.

    Args:
        results: analyses by outcome.
        items: columns cell, measure, item, score (a fraction): the score of one test image or question in one run,
            averaged over languages.
        alpha: 1 minus the level.
        draws: bootstrap draws.
        seed: of the draws.

    Returns:
        COLUMNS; no row for an outcome without item scores, with under `FEWEST` items, or without an interval.
    """
    found = []
    for name, result in results.items():
        scores = items[items["measure"] == result.outcome.measure]
        if result.design is None or scores.empty:
            continue
        cells = result.outcome.frame[["cell", "arch", "size", "method", "seed"]].drop_duplicates()
        wide = scores.pivot_table(index="cell", columns="item", values="score") * 100
        for row in rows(result.marginal()):
            by_item = differences(wide, cells, result.design, row["method"])
            if len(by_item) < FEWEST or not np.isfinite(row["ci_high"]):
                continue
            se_items = bootstrap(by_item, draws, seed)
            found.append({"outcome": name, "measure": result.outcome.measure, "method": row["method"],
                          "items": len(by_item), "item_estimate": float(by_item.mean()), "se_items": se_items,
                          **widened(row, se_items, len(by_item), alpha)})  # fmt: skip
    return pd.DataFrame(found, columns=COLUMNS)


def differences(wide: pd.DataFrame, cells: pd.DataFrame, layout: Layout, method: str) -> np.ndarray:
    """A method minus the control on every item, averaged over the seeds of a place, then over places.

    Args:
        wide: scores [runs, items], indexed by cell; nan where a run lacks an item.
        cells: columns cell, arch, size, method, seed.
        layout: which methods ran where.
        method: the method.

    Returns:
        One value for each item that all runs compared have; empty where no place has both methods.
    """
    by_place = []
    for arch, size in layout.shared(method):
        here = cells[(cells["arch"] == arch) & (cells["size"] == size) & cells["cell"].isin(wide.index)]
        ours, theirs = (_by_seed(wide, here[here["method"] == m]) for m in (method, layout.control))
        seeds = ours.index.intersection(theirs.index)
        if len(seeds):
            by_place.append((ours.loc[seeds].to_numpy() - theirs.loc[seeds].to_numpy()).mean(axis=0))
    if not by_place:
        return np.empty(0)
    mean = np.mean(by_place, axis=0)
    return np.asarray(mean[np.isfinite(mean)])


def _by_seed(wide: pd.DataFrame, cells: pd.DataFrame) -> pd.DataFrame:
    """Item scores by seed; those of a seed that was run at several values of a covariate are averaged."""
    return wide.loc[cells["cell"]].groupby(cells["seed"].to_numpy()).mean(skipna=False)


def bootstrap(by_item: np.ndarray, draws: int, seed: int) -> float:
    """Standard deviation of the mean over items drawn with replacement, [n] in.

    Drawing from n items understates the variance by (n - 1) / n, which is made good.
    """
    n, rng = len(by_item), np.random.default_rng(seed)
    means = rng.multinomial(n, np.full(n, 1 / n), size=draws) @ by_item / n
    return float(means.std(ddof=1) * np.sqrt(n / (n - 1)))


def widened(row: Mapping[str, float], se_items: float, count: int, alpha: float) -> dict[str, float]:
    """The main row's interval with the variance of items added: the columns that follow from both.

    The multiplier is the main interval's, which is simultaneous over its family, for the degrees of freedom of the
    sum; where items vary little it is the main interval, and it is never narrower than that.

    Args:
        row: estimate, se, df and ci_high of the main analysis.
        se_items: from `bootstrap`.
        count: number of items.
        alpha: 1 minus the level.
    """
    runs, items = row["se"] ** 2, se_items**2
    se = float(np.sqrt(runs + items))
    df = float((runs + items) ** 2 / (runs**2 / row["df"] + items**2 / (count - 1)))
    main = row["ci_high"] - row["estimate"]
    ratio = float(stats.t.isf(alpha / 2, df) / stats.t.isf(alpha / 2, row["df"]))
    half = max(main, main / row["se"] * ratio * se)
    return {
        "estimate": row["estimate"], "se_runs": row["se"], "se": se, "df": df, "low": row["estimate"] - half,
        "high": row["estimate"] + half, "share": items / (runs + items), "found": abs(row["estimate"]) > main,
        "found_items": abs(row["estimate"]) > half,
    }  # fmt: skip


def sentences(table: pd.DataFrame) -> list[str]:
    """One for each outcome: which differences that were found are still found when other items are drawn."""
    out = []
    for outcome, part in table.groupby("outcome", sort=False):
        lost = [names.label(m) for m in part.loc[part["found"] & ~part["found_items"], "method"]]
        kept = int((part["found"] & part["found_items"]).sum())
        what = f"{outcome}: with {int(part['items'].max())} test items drawn anew as well as runs and languages"
        if not part["found"].any():
            out.append(f"{what} no difference is found either.")
        elif lost:
            out.append(f"{what} the intervals of {join(lost)} hold 0; {kept} of {kept + len(lost)} differences stand.")
        else:
            out.append(f"{what} every difference that is found stands.")
    return out
