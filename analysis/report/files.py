"""The report's tables as data frames: columns are stable, values at full precision."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from analysis import measures
from analysis.contrasts import effects
from analysis.contrasts.estimate import COLUMNS, Result
from analysis.contrasts.inference import holm
from analysis.data.load import StudyData
from analysis.report import runs
from analysis.results import Analysis
from analysis.sensitivity.influence import Influence
from analysis.settings import AnalysisSettings
from analysis.tradeoff.measure_pairs import ConstructPair
from analysis.tradeoff.tradeoff import Tradeoff


def tables(analysis: Analysis, settings: AnalysisSettings) -> dict[str, pd.DataFrame]:
    """The contents of tables/<name>.csv; a table of nothing has no row."""
    every = {**analysis.headlines, **analysis.secondary}
    study = analysis.study
    named = {r.outcome.name: r for r in every.values()}
    found = {
        "contrasts": contrasts(analysis),
        "effects": stacked({name: effect_sizes(r, settings) for name, r in named.items()}),
        "means": stacked({name: r.means for name, r in named.items()}),
        "pairs": stacked({name: r.pairs for name, r in named.items()}),
        "f_tests": f_tests(analysis.headlines, analysis.secondary, settings),
        "sensitivity": stacked({name: sensitivity(r) for name, r in named.items()}),
        "variances": stacked({name: r.fit.variance_table() for name, r in named.items() if r.fit is not None}),
        "influence": stacked({name: left_out(found) for name, found in analysis.influence.items()}),
        "languages": stacked(analysis.by_language),
        "profiles": stacked(analysis.profiles),
        "tradeoff": tradeoff_table(analysis.tradeoffs, analysis.front),
        "tradeoff_by_place": tradeoff_table(analysis.places),
        "tradeoff_by_construct": by_construct(analysis.by_construct),
        "churn": study.churn,
        "churn_contrasts": churn_contrasts(study, settings),
        "design": design(study),
        "runs": runs.table(study, {r.outcome.label: r.outliers for r in analysis.headlines.values()}),
        "cost": cost(study),
        "items": analysis.items,
        "predictions": analysis.predictions,
        "boundary": analysis.boundary,
        "power": analysis.power,
        "collapse": analysis.collapse,
        "measures": measures.table(),
    }  # fmt: skip
    return {name: marked(table) for name, table in found.items()}


def marked(table: pd.DataFrame) -> pd.DataFrame:
    """`table` with the column `exploratory`, True where the table does not say: only contrasts can be declared."""
    return table if "exploratory" in table.columns or table.empty else table.assign(exploratory=True)


def sensitivity(result: Result) -> pd.DataFrame:
    """The averaged contrasts under every analysis; exploratory are all but the declared contrasts' main analysis."""
    declared = set(result.contrasts.loc[~result.contrasts["exploratory"], "method"])
    table = result.sensitivity
    if table.empty:
        return table
    return table.assign(exploratory=~(table["method"].isin(declared) & (table["analysis"] == result.procedure)))


def effect_sizes(result: Result, settings: AnalysisSettings) -> pd.DataFrame:
    """Standardised and smallest detectable differences, beside the differences' table."""
    columns = ["arch", "size", "contrast", "standardised", "mde", "exploratory"]
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


def f_tests(
    headlines: Mapping[str, Result], secondary: Mapping[str, Result], settings: AnalysisSettings
) -> pd.DataFrame:
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


def tradeoff_table(found: Sequence[Tradeoff], front: pd.DataFrame | None = None) -> pd.DataFrame:
    """tables/tradeoff.csv: one row per method, points and p values; the two rows of contrasts.csv and what they say."""
    chance = dict(zip(front["method"], front["probability"], strict=True)) if front is not None and len(front) else {}
    columns = {
        "estimate": "",
        "ci_low": "_low",
        "ci_high": "_high",
        "se": "_se",
        "df": "_df",
        "p_adjusted": "_p_adjusted",
    }
    return pd.DataFrame([
        {
            "method": t.method, "arch": t.arch, "size": t.size, "blocks": len(t.points), "verdict": t.verdict,
            **{f"{name}{suffix}": row[column]
               for name, row in (("consistency", t.consistency), ("stability", t.stability))
               for column, suffix in columns.items()},
            "p_tradeoff": t.p_tradeoff, "p_both": t.p_both, "correlation": t.correlation,
            "correlation_df": t.correlation_df, "region_radius": t.region.radius if t.region else np.nan,
            "task": t.task["estimate"], "task_low": t.task["ci_low"], "task_high": t.task["ci_high"],
            "task_p_adjusted": t.task["p_adjusted"], "pareto_probability": chance.get(t.method, np.nan),
            "exploratory": bool(t.consistency["exploratory"] or t.stability["exploratory"]),
        }
        for t in found
    ])  # fmt: skip


def by_construct(pairs: Sequence[ConstructPair]) -> pd.DataFrame:
    """tables/tradeoff_by_construct.csv: the trade-off under each pair of measures, the primary pair first."""
    parts = [
        tradeoff_table(pair.tradeoffs).assign(
            consistency_measure=pair.consistency, stability_measure=pair.stability, primary=pair.primary
        )
        for pair in pairs if pair.tradeoffs
    ]  # fmt: skip
    if not parts:
        return pd.DataFrame()
    table = pd.concat(parts, ignore_index=True).drop(columns="pareto_probability")
    first = ["consistency_measure", "stability_measure", "primary"]
    return table[[*first, *(c for c in table.columns if c not in first)]]


def churn_contrasts(study: StudyData, settings: AnalysisSettings) -> pd.DataFrame:
    """Churn and its excess over the least that the accuracies allow, minus the control's, over arch x size."""
    parts = {
        str(construct): effects.by_cell(scores, study.methods, settings.control, settings.alpha)
        for construct, scores in study.churn.groupby("construct", sort=False)
    }
    return stacked(parts).rename(columns={"outcome": "construct"})


def design(study: StudyData) -> pd.DataFrame:
    """Completed and missing runs of each arch x size x method."""
    students = study.cells[study.cells["role"] == "student"]
    count = students.groupby(["arch", "size", "method"]).size()
    return pd.DataFrame([
        {"arch": arch, "size": size, "method": method, "completed": int(count.get((arch, size, method), 0)),
         "missing": sum(cell.startswith(f"{arch}-{size}-{method}-s") for cell in study.missing)}
        for arch in study.archs for size in study.sizes for method in study.methods
    ])  # fmt: skip


def cost(study: StudyData) -> pd.DataFrame:
    """Training cost per run of each size and method, averaged over architectures and seeds."""
    students = study.cells[study.cells["role"] == "student"]
    mean = students.groupby(["size", "method"])[["parameters", "items", "captions", "flops", "seconds"]].mean()
    order = [(size, method) for size in study.sizes for method in study.methods if (size, method) in mean.index]
    return mean.loc[order].reset_index()
