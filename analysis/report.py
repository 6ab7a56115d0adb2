"""Assemble the report: analyses, figures, tables and sentences into one self-contained HTML file."""

from __future__ import annotations

import os
import platform
import re
import shutil
import tempfile
from importlib import metadata
from pathlib import Path
from typing import Any

import jinja2
from markupsafe import Markup
from threadpoolctl import threadpool_limits

from analysis import (
    constructs,
    contrasts,
    diagnostics,
    export,
    figures,
    files,
    findings,
    layout,
    paper,
    sentences,
    tables,
    tradeoff,
    wording,
)
from analysis.results import Analysis, analyse
from analysis.settings import AnalysisError, Settings

PACKAGES = ("numpy", "scipy", "pandas", "statsmodels", "matplotlib", "seaborn")

_MARKER = ".analysis-report"
"""File that marks a folder as one written here, so that --out can never delete anything else."""


def _no_break(text: str) -> str:
    """Keep numbers together with their unit or relation: '95 %', 'p < .001', '[1, 2]'."""
    kept = re.sub(r"(?<=\d) (?=%)|(?<=\bp) (?=[<>=])|(?<=[<>=]) (?=\.)|(?<=CI) (?=\[)", "\N{NO-BREAK SPACE}", text)
    return re.sub(r"\[[^\[\]]*\]", lambda m: m.group().replace(" ", "\N{NO-BREAK SPACE}"), kept)


def context(analysis: Analysis, settings: Settings, pictures: dict[str, str]) -> dict[str, Any]:
    """Everything the template shows."""
    study = analysis.study
    outcomes = [
        {
            "name": name,
            "label": r.outcome.label,
            "meaning": r.outcome.meaning,
            "level": sentences.levels_sentence(r, settings),
            "sentences": [sentences.contrast_sentence(row, row["method"], r, settings)
                          for row in contrasts.rows(r.marginal())],
            "average": tables.contrast_rows(r, r.marginal(), settings),
            "places": tables.contrast_rows(r, r.contrasts[~layout.is_average(r.contrasts)], settings),
            "procedure": r.procedure,
            "formula": r.formula,
            "notes": [*r.notes, *diagnostics.scope_notes(r)],
            "variances": tables.variances(r.fit) if r.fit else [],
            "variance_sentence": diagnostics.variance_sentence(r),
            "means": tables.means(r),
            "pairs": sentences.pairs_sentence(r, settings),
            "influence": diagnostics.influence_sentence(analysis.influence.get(name), r),
            "profile": tables.profiles(analysis.profiles[name]),
            "bound": diagnostics.bound_sentence(r),
            "sensitivity": diagnostics.sensitivity_sentence(r, settings),
            "alternatives": tables.alternatives(r) if len(r.sensitivity) else [],
            "smallest": settings.smallest(name),
            "primary": name in settings.primary,
            "unit": f"{len(r.outcome.frame):,} scores, one a run"
                    + (" and language" if r.outcome.by_language else ""),
        }
        for name, r in analysis.headlines.items()
    ]  # fmt: skip
    secondary = [
        {"label": r.outcome.label, "better": "more" if r.outcome.higher_is_better else "less", **row}
        for r in analysis.secondary.values()
        for row in tables.contrast_rows(r, r.marginal(), settings)
    ]
    found = tradeoff.correlation(analysis.tradeoffs, settings.alpha)
    return {
        "settings": settings,
        "study": study,
        "outcomes": outcomes,
        "secondary": secondary,
        "best": findings.best_lines(analysis, settings),
        "tradeoff_sentences": [sentences.tradeoff_sentence(t, settings) for t in analysis.tradeoffs],
        "tradeoff_rows": tables.tradeoff_rows(analysis.tradeoffs, analysis.headlines),
        "place_sentence": sentences.places_sentence(analysis.places, settings),
        "place_rows": tables.place_rows(analysis.places),
        "front": sentences.front_sentence(analysis.front),
        "methods_paragraph": paper.methods_paragraph(study, analysis.headlines, settings),
        "citation": paper.citation(study, settings),
        "correlation": f"{wording.number(found.estimate, 2)} {wording.interval(found.low, found.high, 2)}"
                       if found else "",
        "cautions": findings.cautions(analysis, settings),
        "omnibus": tables.omnibus(analysis.headlines, analysis.secondary, settings),
        "design": tables.design(study),
        "runs": int((study.cells["role"] == "student").sum()),
        "teachers": int((study.cells["role"] == "teacher").sum()),
        "cost": tables.cost(study),
        "cost_phrase": paper.cost_phrase(study.cells[study.cells["role"] == "student"]),
        "churn": tables.churn(study),
        "churn_rows": tables.churn_rows(study, settings),
        "measures": {kind: contrasts.rows(part) for kind, part in constructs.table().groupby("kind", sort=False)},
        "primary_construct": constructs.CONSTRUCTS["rbo_gold_deleted"].detail,
        "confirmations": [diagnostics.confirmation_sentence(c, analysis.headlines[n].outcome.label)
                          for n, c in analysis.confirmations.items()],
        "pictures": {name: Markup(svg) for name, svg in pictures.items()},  # drawn here, safe by construction
        "versions": {"python": platform.python_version(), **{name: metadata.version(name) for name in PACKAGES}},
        "level": wording.percent(settings.alpha),
        "ci": f"{wording.percent(settings.alpha)} CI".replace(" ", "\N{NO-BREAK SPACE}"),
    }  # fmt: skip


def build(results: Path, out: Path, settings: Settings) -> list[str]:
    """Analyse `results` and replace the folder `out`; returns the lines of findings.txt.

    Raises:
        AnalysisError: the results cannot be used, or `out` is a folder that was not written by this function.
    """
    if out.exists() and not (out / _MARKER).is_file() and (not out.is_dir() or any(out.iterdir())):
        raise AnalysisError(f"{out}: exists and is not an earlier report; remove it or name another folder")
    # The models' matrices are too small to share between threads, which would mostly wait for one another.
    with threadpool_limits(1):
        analysis = analyse(results, settings)
    out.parent.mkdir(parents=True, exist_ok=True)
    work = Path(tempfile.mkdtemp(prefix=f".{out.name}-", dir=out.parent))
    try:
        lines = _write(work, analysis, settings)
        work.chmod(0o755)
        old = work.with_name(work.name + "-old")
        if out.exists():
            os.replace(out, old)
        os.replace(work, out)
        shutil.rmtree(old, ignore_errors=True)
    finally:
        shutil.rmtree(work, ignore_errors=True)
    return lines


def _write(folder: Path, analysis: Analysis, settings: Settings) -> list[str]:
    study = analysis.study
    drawn = {
        "scores": figures.scores(study) if study.headlines else None,
        "languages": figures.per_language(study, settings)
        if any(o.by_language for o in study.headlines.values()) else None,
        "tradeoff": figures.tradeoff(analysis.tradeoffs, study, settings) if analysis.tradeoffs else None,
        "retrieval": figures.retrieval_languages(study),
        "profiles": figures.profiles(study),
        "pairs": figures.pairs(
            {n: r.pairs for n, r in analysis.headlines.items()},
            {n: r.outcome.label for n, r in analysis.headlines.items()}, study, settings.alpha,
        ) if analysis.headlines else None,
        "diagnostics": figures.residuals(
            {n: (r.outcome, r.fit) for n, r in analysis.headlines.items() if r.fit is not None}
        ),
        **{
            f"forest-{name}": figures.forest(table, analysis.headlines[name].outcome, study)
            for name, table in analysis.by_language.items() if not table.empty
        },
    }  # fmt: skip
    pictures = {name: figures.save(f, folder / "figures", name) for name, f in drawn.items() if f is not None}
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("analysis"), autoescape=True, trim_blocks=True, lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
    )  # fmt: skip
    environment.filters["nb"] = _no_break
    page = environment.get_template("report.html.j2").render(context(analysis, settings, pictures))
    (folder / "report.html").write_text(page, encoding="utf-8")
    for name, table in files.tables(analysis, settings).items():
        if len(table):
            export.write(folder / "tables", name, table)
    for name, (table, caption) in paper.latex(analysis.headlines, analysis.tradeoffs, settings).items():
        export.write_latex(folder / "tables", name, table, caption)
    lines = findings.findings(analysis, settings)
    (folder / "findings.txt").write_text("\n".join(lines) + "\n", encoding="utf-8")
    (folder / _MARKER).write_text(study.data_hash + "\n", encoding="utf-8")
    return lines
