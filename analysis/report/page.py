"""Assemble the report: analyses, figures, tables and sentences into one self-contained HTML file."""

from __future__ import annotations

import os
import platform
import re
import shutil
import tempfile
from collections.abc import Callable, Mapping
from functools import partial
from importlib import metadata
from pathlib import Path
from typing import Any

import jinja2
import numpy as np
from markupsafe import Markup
from matplotlib.figure import Figure
from threadpoolctl import threadpool_limits

from analysis import figures, measures, names, wording
from analysis.contrasts import estimate
from analysis.report import alt_text, diagnostics, export, files, findings, paper, policy, sentences, studied, tables
from analysis.report.studied import Provenance
from analysis.results import Analysis, analyse
from analysis.settings import AnalysisError, AnalysisSettings
from analysis.tradeoff import tradeoff

PACKAGES = ("numpy", "scipy", "pandas", "statsmodels", "matplotlib", "seaborn")

_MARKER = ".analysis-report"
"""File that marks a folder as one written here, so that --out can never delete anything else."""


def _no_break(text: str) -> str:
    """Keep numbers together with their unit or relation: '95 %', 'p < .001', '[1, 2]'."""
    kept = re.sub(r"(?<=\d) (?=%)|(?<=\bp) (?=[<>=])|(?<=[<>=]) (?=\.)|(?<=CI) (?=\[)", "\N{NO-BREAK SPACE}", text)
    return re.sub(r"\[[^\[\]]*\]", lambda m: m.group().replace(" ", "\N{NO-BREAK SPACE}"), kept)


def context(
    analysis: Analysis, settings: AnalysisSettings, provenance: Provenance, pictures: dict[str, str], csv: list[str]
) -> dict[str, Any]:
    """Everything the template shows; `csv` are the names of the tables that are written beside it."""
    study, results = analysis.study, analysis.headlines
    looks = names.methods(study.methods, settings.control)
    outcomes = [
        {
            "name": name,
            "title": wording.capital(r.outcome.label),
            "meaning": wording.capital(r.outcome.meaning),
            "levels": sentences.levels_phrase(r, settings),
            "phrases": [wording.capital(p) for p in sentences.outcome_phrases(r, settings, every=False)],
            "average": tables.contrast_rows(r, settings, analysis.items, analysis.predictions),
            "places": tables.place_rows(r, study, settings),
            "means": tables.means(r, analysis.profiles[name]),
            "smallest": settings.smallest(name),
            "primary": settings.is_declared and name in settings.primary,
        }
        for name, r in results.items()
    ]
    found = tradeoff.correlation(analysis.tradeoffs, settings.alpha)
    students = study.cells[study.cells["role"] == "student"]
    level = wording.percent(settings.alpha)
    citation = paper.Citation.of(study, settings, provenance)
    formulas: dict[str, list[str]] = {}
    for r in results.values():
        formulas.setdefault(r.formula, []).append(r.outcome.label)
    return {
        "settings": settings,
        "study": study,
        "summary": ", ".join([
            wording.count(len(students), "student run"), wording.count(students["seed"].nunique(), "seed"),
            wording.count(len(study.languages), "language"),
        ]),
        "answer": sentences.answer(analysis.tradeoffs, settings),
        "overview_caption": overview_caption(analysis, settings),
        "outcomes": outcomes,
        "cautions": findings.cautions(analysis, settings, provenance),
        "declared": declared(analysis, settings),
        "facts": studied.facts(study, settings, provenance),
        "tradeoff_rows": tables.tradeoff_rows(analysis.tradeoffs),
        "place_sentence": sentences.places_sentence(analysis.places),
        "construct_sentence": sentences.constructs_sentence(analysis.by_construct, analysis.disagreements),
        "construct_rows": tables.construct_rows(analysis.by_construct),
        "construct_methods": [looks[t.method].label for t in analysis.tradeoffs],
        "front": sentences.front_sentence(analysis.front),
        "correlation": _correlation(found),
        "notes": list(dict.fromkeys(
            f"{wording.capital(r.outcome.label)}: {note}" for r in results.values()
            for note in (*r.notes, *diagnostics.scope_notes(r))
        )),
        "pair_sentences": [f"{wording.capital(r.outcome.label)}: {text}" for r in results.values()
                           if (text := sentences.pairs_sentence(r, settings))],
        "secondary": tables.secondary_rows(analysis.secondary, study, settings),
        "churn": tables.churn(study),
        "power_sentence": sentences.power_sentence(analysis.power, results),
        "checks": checks(analysis, settings),
        "formulas": [(formula, wording.capital(wording.join(labels))) for formula, labels in formulas.items()],
        "omnibus": tables.omnibus(results, analysis.secondary, settings),
        "design": tables.design(study),
        "cost": tables.cost(study),
        "cost_phrase": paper.cost_phrase(students),
        "measures": estimate.rows(measures.table()),
        "methods_paragraph": paper.methods_paragraph(study, results, settings),
        "citation": citation.text(),
        "bibtex": citation.bibtex(),
        "pictures": {name: Markup(svg) for name, svg in pictures.items()},  # drawn here, safe by construction
        "alternatives": alt_text.texts(analysis, settings),
        "columns": figures.column_style(study.methods, settings.control),
        "methods": [looks[m].label for m in study.methods],
        "others": [looks[m].label for m in study.methods if m != settings.control],
        "csv": csv,
        "theme_light": Markup(figures.theme(dark=False)),
        "theme_dark": Markup(figures.theme(dark=True)),
        "versions": {"Python": platform.python_version(), **{name: metadata.version(name) for name in PACKAGES}},
        "level": level,
        "ci": f"[{level}]".replace(" ", "\N{NO-BREAK SPACE}"),
    }  # fmt: skip


def overview_caption(analysis: Analysis, settings: AnalysisSettings) -> str:
    """How to read the first figure, and what its numbers speak of."""
    points = sorted({settings.smallest(name) for name in analysis.headlines})
    shown = " to ".join(f"{p:g}" for p in ([points[0], points[-1]] if len(points) > 1 else points))
    level = f"{settings.alpha:g}".removeprefix("0")
    return (
        "Differences from the control in points, averaged over architectures and sizes, with simultaneous "
        f"{wording.percent(settings.alpha)} intervals. Filled: adjusted p < {level}. Grey: within the smallest effect "
        f"of interest, {shown} points. {sentences.population_sentence(analysis.headlines)}"
    )


def declared(analysis: Analysis, settings: AnalysisSettings) -> dict[str, Any]:
    """The declaration: what was decided, and when."""
    results = analysis.headlines
    whom = "every method" if settings.contrasts == "all" else ", ".join(names.label(m) for m in settings.contrasts)
    family = " and over the primary outcomes" if settings.family == "study" else ""
    hypotheses = "No hypotheses were declared." if settings.is_declared and not settings.hypotheses else ""
    languages = {"random": "random: results speak of languages like these", "fixed": "fixed: results speak of these"}
    return {
        "heading": "Declared" if settings.is_declared else "Settings, not declared",
        "sentence": " ".join(x for x in (settings.declaration, hypotheses) if x),
        "rows": [
            ("Primary outcomes", ", ".join(results[n].outcome.label if n in results else n for n in settings.primary)),
            ("Contrasts", f"{whom} minus {names.label(settings.control)}, averaged over architectures and sizes"),
            ("Smallest effect", f"{_smallest(results, settings)} points"),
            ("Level", f"{settings.alpha:g}, adjusted over the methods of an outcome{family}"),
            ("Languages", languages[settings.languages]),
        ],
    }


def _smallest(results: Mapping[str, estimate.Result], settings: AnalysisSettings) -> str:
    points = {r.outcome.label: settings.smallest(n) for n, r in results.items()}
    if len(set(points.values())) == 1:
        return f"{next(iter(points.values())):g}"
    return ", ".join(f"{label} {value:g}" for label, value in points.items())


def checks(analysis: Analysis, settings: AnalysisSettings) -> list[str]:
    """Whether other analyses, other data and another program say the same."""
    lines = [diagnostics.outcome_check(r, analysis.influence.get(n), analysis.boundary, settings)
             for n, r in analysis.headlines.items()]  # fmt: skip
    lines += diagnostics.confirmation_sentences(analysis.confirmations, analysis.headlines)
    return [line for line in lines if line]


def _correlation(found: tradeoff.RunCorrelation | None) -> str:
    if found is None:
        return ""
    text = wording.number(found.estimate, 2)
    return text + (f" {wording.interval(found.low, found.high, 2)}" if np.isfinite(found.low) else "")


def build(results: Path, out: Path, settings: AnalysisSettings, provenance: Provenance | None = None) -> list[str]:
    """Analyse `results` and replace the folder `out`; returns the lines of findings.txt.

    `provenance` is what the tables do not hold of the study's origin (`studied.Provenance`).

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
        lines = _write(work, analysis, settings, provenance or {})
        work.chmod(0o755)
        old = work.with_name(work.name + "-old")
        if out.exists():
            os.replace(out, old)
        os.replace(work, out)
        shutil.rmtree(old, ignore_errors=True)
    finally:
        shutil.rmtree(work, ignore_errors=True)
    return lines


def draw(analysis: Analysis, settings: AnalysisSettings, folder: Path) -> dict[str, str]:
    """Write every figure into `folder`; returns them by name, as elements of a page."""
    study, results = analysis.study, analysis.headlines
    makers: dict[str, Callable[[], Figure | None]] = {}
    if results:
        makers = {
            "overview": lambda: figures.overview(results, settings),
            "overview-narrow": lambda: figures.overview(results, settings, narrow=True),
            "tradeoff": lambda: figures.tradeoff(analysis.places or analysis.tradeoffs, study, settings)
            if analysis.tradeoffs else None,
            "scores": lambda: figures.scores(study, settings),
            "languages": lambda: figures.per_language(analysis.single_languages, study, settings),
            "retrieval": lambda: figures.retrieval_languages(study, settings),
            "profiles": lambda: figures.profiles(study, settings),
            "pairs": lambda: figures.pairs({n: r.pairs for n, r in results.items()},
                                           {n: r.outcome.label for n, r in results.items()}, study, settings),
            "power": lambda: figures.power(analysis.power, {n: r.outcome.label for n, r in results.items()})
            if len(analysis.power) else None,
            "diagnostics": lambda: figures.residuals(
                {n: (r.outcome, r.fit) for n, r in results.items() if r.fit is not None}
            ),
        }  # fmt: skip
    for name, table in analysis.by_language.items():
        if len(table):
            makers[f"forest-{name}"] = partial(figures.forest, table, results[name].outcome, study)
    pictures = {}
    for name, maker in makers.items():
        if (figure := maker()) is not None:
            pictures[name] = figures.save(figure, folder, name)
    return pictures


def _write(folder: Path, analysis: Analysis, settings: AnalysisSettings, provenance: Provenance) -> list[str]:
    study = analysis.study
    pictures = draw(analysis, settings, folder / "figures")
    written = {name: table for name, table in files.tables(analysis, settings).items() if len(table)}
    for name, table in written.items():
        export.write(folder / "tables", name, table)
    for name, (table, caption) in paper.latex(analysis.headlines, analysis.tradeoffs, settings).items():
        export.write_latex(folder / "tables", name, table, caption)
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("analysis.report"), autoescape=True, trim_blocks=True, lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
    )  # fmt: skip
    environment.filters["nb"] = _no_break
    shown = context(analysis, settings, provenance, pictures, sorted(written))
    page = policy.secure(environment.get_template("report.html.j2").render(shown))
    (folder / "report.html").write_text(page, encoding="utf-8")
    lines = findings.findings(analysis, settings, provenance)
    (folder / "findings.txt").write_text("\n".join(lines) + "\n", encoding="utf-8")
    (folder / _MARKER).write_text(study.data_hash + "\n", encoding="utf-8")
    return lines
