"""The report's tables as data frames: columns are stable, values at full precision."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd

from analysis import constructs, effects, tradeoff
from analysis.contrasts import COLUMNS, Result
from analysis.frames import Study
from analysis.inference import holm
from analysis.influence import Influence
from analysis.results import Analysis
from analysis.settings import Settings
from analysis.tradeoff import Tradeoff


def tables(analysis: Analysis, settings: Settings) -> dict[str, pd.DataFrame]:
    """The contents of tables/<name>.csv; a table of nothing has no row."""
    every = {**analysis.headlines, **analysis.secondary}
    study = analysis.study
    named = {r.outcome.name: r for r in every.values()}
    return {
        "contrasts": contrasts(analysis),
        "effects": stacked({name: effect_sizes(r, settings) for name, r in named.items()}),
        "means": stacked({name: r.means for name, r in named.items()}),
        "pairs": stacked({name: r.pairs for name, r in named.items()}),
        "f_tests": f_tests(analysis.headlines, analysis.secondary, settings),
        "sensitivity": stacked({name: r.sensitivity for name, r in named.items()}),
        "variances": stacked({name: r.fit.variance_table() for name, r in named.items() if r.fit is not None}),
        "influence": stacked({name: left_out(found) for name, found in analysis.influence.items()}),
        "languages": stacked(analysis.by_language),
        "profiles": stacked(analysis.profiles),
        "tradeoff": tradeoff_table(analysis.tradeoffs, analysis.front),
        "tradeoff_by_place": by_place(analysis, settings),
        "churn": study.churn,
        "churn_contrasts": churn_contrasts(study, settings),
        "design": design(study),
        "cost": cost(study),
        "measures": constructs.table(),
    }  # fmt: skip


def effect_sizes(result: Result, settings: Settings) -> pd.DataFrame:
    """Standardised differences, smallest detectable ones and p of equivalence, beside the differences' table."""
    columns = ["arch", "size", "contrast", "standardised", "mde", "p_equivalent"]
    return result.contrasts[columns].assign(smallest_effect=settings.smallest(result.outcome.name))


def contrasts(analysis: Analysis) -> pd.DataFrame:
    """tables/contrasts.csv: every difference from the control, over architectures, sizes and languages and in each."""
    results = [*analysis.headlines.values(), *analysis.secondary.values()]
    found = [*(r.contrasts[COLUMNS] for r in results), analysis.single_languages]
    filled = [table for table in found if len(table)]
    return pd.concat(filled, ignore_index=True) if filled else pd.DataFrame(columns=COLUMNS)


def stacked(parts: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """The tables of several outcomes as one, with the outcome first."""
    filled = [table.assign(outcome=name) for name, table in parts.items() if not table.empty]
    if not filled:
        return pd.DataFrame(columns=["outcome"])
    table = pd.concat(filled, ignore_index=True)
    return table[["outcome", *(c for c in table.columns if c != "outcome")]]


def f_tests(headlines: Mapping[str, Result], secondary: Mapping[str, Result], settings: Settings) -> pd.DataFrame:
    """F tests of headline and primary outcomes; `p_holm`: the method effect's, over the primary outcomes."""
    every = {**headlines, **secondary}
    primary = [name for name in settings.primary if name in every and "method" in every[name].f_tests]
    adjusted = dict(zip(primary, holm([every[n].f_tests["method"][3] for n in primary]), strict=True))
    found = [
        {"outcome": name, "effect": effect, "f": f, "df": numerator, "df_denominator": denominator, "p": p,
         "p_holm": adjusted.get(name, np.nan) if effect == "method" else np.nan}
        for name, result in every.items() if name in headlines or name in primary
        for effect, (f, numerator, denominator, p) in result.f_tests.items()
    ]  # fmt: skip
    return pd.DataFrame(found, columns=["outcome", "effect", "f", "df", "df_denominator", "p", "p_holm"])


def left_out(found: Influence) -> pd.DataFrame:
    """Averaged differences without one language or one seed; `factor` says which of the two."""
    parts = [found.languages.assign(factor="language"), found.seeds.assign(factor="seed")]
    return pd.concat(parts, ignore_index=True)[["factor", "left_out", "method", "estimate"]]


def tradeoff_table(found: list[Tradeoff], front: pd.DataFrame) -> pd.DataFrame:
    """tables/tradeoff.csv: one row a method, points and p values."""
    chance = dict(zip(front["method"], front["probability"], strict=True)) if len(front) else {}
    names = ["consistency", "stability"]
    return pd.DataFrame([
        {
            "method": t.method, "blocks": t.blocks, "df": t.df,
            **{f"{n}{suffix}": value for i, n in enumerate(names) for suffix, value in
               (("", t.mean[i]), ("_low", t.ci[0, i]), ("_high", t.ci[1, i]), ("_se", np.sqrt(t.cov[i, i])))},
            "covariance": t.cov[0, 1], "p_joint": t.p_joint, "p_bought": t.p_bought,
            "p_bought_holm": t.p_bought_holm, "task": t.task[0], "task_low": t.task[1], "task_high": t.task[2],
            "task_p": t.task[3], "pareto_probability": chance.get(t.method, np.nan),
        }
        for t in found
    ])  # fmt: skip


def by_place(analysis: Analysis, settings: Settings) -> pd.DataFrame:
    """tables/tradeoff_by_place.csv: the same in each architecture and size, Holm over all rows."""
    found = tradeoff.by_place(analysis.tradeoffs, settings.alpha)
    places = pd.DataFrame([place for place, _ in found], columns=["arch", "size"])
    return places.join(tradeoff_table([t for _, t in found], pd.DataFrame()))


def churn_contrasts(study: Study, settings: Settings) -> pd.DataFrame:
    """Churn and its excess over the least that the accuracies allow, minus the control's, over arch x size."""
    parts = {
        str(construct): effects.by_cell(scores, study.methods, settings.control, settings.alpha)
        for construct, scores in study.churn.groupby("construct", sort=False)
    }
    return stacked(parts).rename(columns={"outcome": "construct"})


def design(study: Study) -> pd.DataFrame:
    """Completed and missing runs of each arch x size x method."""
    students = study.cells[study.cells["role"] == "student"]
    count = students.groupby(["arch", "size", "method"]).size()
    return pd.DataFrame([
        {"arch": arch, "size": size, "method": method, "completed": int(count.get((arch, size, method), 0)),
         "missing": sum(cell.startswith(f"{arch}-{size}-{method}-s") for cell in study.missing)}
        for arch in study.archs for size in study.sizes for method in study.methods
    ])  # fmt: skip


def cost(study: Study) -> pd.DataFrame:
    """Training cost of a run of each size and method, averaged over architectures and seeds."""
    students = study.cells[study.cells["role"] == "student"]
    mean = students.groupby(["size", "method"])[["parameters", "items", "captions", "flops", "seconds"]].mean()
    order = [(size, method) for size in study.sizes for method in study.methods if (size, method) in mean.index]
    return mean.loc[order].reset_index()
