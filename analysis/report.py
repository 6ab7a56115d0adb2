"""Assemble the report: analyses, figures, tables and sentences into one self-contained HTML file."""

from __future__ import annotations

import os
import platform
import re
import shutil
import tempfile
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

import jinja2
import pandas as pd
from markupsafe import Markup
from threadpoolctl import threadpool_limits

from analysis import (
    confirm,
    contrasts,
    export,
    figures,
    frames,
    influence,
    layout,
    mixed,
    paired,
    profile,
    sentences,
    shrunken,
    tables,
    tradeoff,
)
from analysis.frames import Study
from analysis.sentences import interval, number
from analysis.settings import AnalysisError, Settings
from study import records

PACKAGES = ("numpy", "scipy", "pandas", "statsmodels", "matplotlib", "seaborn")

_MARKER = ".analysis-report"
"""File that marks a folder as one written here, so that --out can never delete anything else."""


@dataclass(frozen=True)
class Analysis:
    """All results of one study."""

    study: Study
    headlines: dict[str, contrasts.Result]
    secondary: dict[str, contrasts.Result]
    tradeoffs: list[tradeoff.Tradeoff]
    confirmations: dict[str, confirm.Confirmation]
    influence: dict[str, influence.Influence]
    by_language: dict[str, pd.DataFrame]  # shrunken.COLUMNS
    profiles: dict[str, pd.DataFrame]  # profile.COLUMNS
    front: pd.DataFrame  # tradeoff.pareto


def analyse(folder: Path, settings: Settings) -> Analysis:
    """Read a results folder and run every analysis.

    Raises:
        AnalysisError: the results cannot be used; the message names file and problem.
    """
    study = frames.load(folder, settings)
    headlines = {name: contrasts.analyse(o, study, settings) for name, o in study.headlines.items()}
    # A secondary outcome that was declared primary gets the full model.
    secondary = {
        name: contrasts.analyse(o, study, settings, crossed=name in settings.primary)
        for name, o in study.secondary.items()
    }
    confirmations = {}
    for name, result in headlines.items():
        if result.pooled is not None and result.design is not None:
            design = layout.crossed_design(result.outcome, study, result.design, settings, own=False)
            scores = result.outcome.frame["score"].to_numpy()
            terms, without = confirm.affordable(len(scores), design.terms)
            fit = mixed.fit(scores, design.x, terms) if without else result.pooled
            confirmations[name] = confirm.confirm(scores, design.x, terms, fit, without)
    tradeoffs = tradeoff.analyse(study, settings)
    crossed = {
        n: (r.outcome, r.fit, r.design) for n, r in headlines.items() if r.fit is not None and r.design is not None
    }
    return Analysis(
        study, headlines, secondary, tradeoffs, confirmations,
        {n: influence.leave_out(o, study, settings, fit) for n, (o, fit, _) in crossed.items()},
        {n: shrunken.language_differences(fit, o, d, settings.alpha) for n, (o, fit, d) in crossed.items()},
        {n: profile.summary(paired.run_means(r.outcome.frame), study.methods, settings.control,
                            r.outcome.higher_is_better) for n, r in headlines.items()},
        tradeoff.pareto(tradeoffs, settings.control),
    )  # fmt: skip


def best_lines(analysis: Analysis, settings: Settings) -> list[str]:
    """One line for each headline outcome: which method did best."""
    return [sentences.best_sentence(r, settings) for r in analysis.headlines.values()]


def _fewest_seeds(study: Study) -> int:
    """Seeds of the arch, size and method that has the fewest."""
    students = study.cells[study.cells["role"] == "student"]
    return int(students.groupby(["arch", "size", "method"])["seed"].nunique().min())


def findings(analysis: Analysis, settings: Settings) -> list[str]:
    """The plain lines, ten at most, that a terminal shows at the end."""
    study = analysis.study
    students = study.cells[study.cells["role"] == "student"]
    lines = [
        f"{settings.study}: {len(students)} student runs, {students['seed'].nunique()} seed(s), "
        f"{len(study.languages)} languages"
        + (f"; {len(study.missing)} planned run(s) missing" if study.missing else "")
    ]
    levels = [sentences.levels_sentence(r, settings).rstrip(".") for r in analysis.headlines.values()]
    lines.append("; ".join(levels) + ".")
    lines += [line[0].upper() + line[1:] for line in best_lines(analysis, settings)]
    if analysis.tradeoffs:
        bought = [t.method for t in analysis.tradeoffs if t.p_bought_holm < settings.alpha]
        text = "; ".join(sentences.tradeoff_short(t) for t in analysis.tradeoffs)
        lines.append(f"Trade-off against the control (points): {text}.")
        names = sentences.join([sentences.method_name(m) for m in bought]) if bought else ""
        if somewhere := sentences.places_sentence(tradeoff.by_place(analysis.tradeoffs, settings.alpha), settings):
            lines.append(somewhere)
        lines.append(
            f"Consistency was bought with VQA stability by: {names}." if bought
            else "Averaged over architectures and sizes, no method is shown to have bought consistency with stability."
        )  # fmt: skip
    if _fewest_seeds(study) < 3:
        lines.append("Caution: fewer than three seeds, so this is a trial of the machinery and not evidence.")
    return lines


def _no_break(text: str) -> str:
    """Keep numbers together with their unit or relation: '95 %', 'p < .001', '[1, 2]'."""
    kept = re.sub(r"(?<=\d) (?=%)|(?<=\bp) (?=[<>=])|(?<=[<>=]) (?=\.)|(?<=CI) (?=\[)", "\N{NO-BREAK SPACE}", text)
    return re.sub(r"\[[^\[\]]*\]", lambda m: m.group().replace(" ", "\N{NO-BREAK SPACE}"), kept)


def _cautions(analysis: Analysis, settings: Settings) -> list[str]:
    """What a reader must know before the numbers."""
    study = analysis.study
    seeds = _fewest_seeds(study)
    lines = []
    if seeds < 3:
        lines.append(
            f"With {seeds} seed{'s' if seeds != 1 else ''} in some combination the run-to-run variance rests on almost "
            "nothing: intervals are wide or too narrow by luck. Read this as a trial of the machinery, not as evidence."
        )
    lines += [f"Missing runs: {', '.join(study.missing)}."] if study.missing else []
    for name, found in analysis.confirmations.items():
        if found.ran and not found.agrees:
            lines.append(sentences.confirmation_sentence(found, analysis.headlines[name].outcome.label))
    return lines


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
            "places": tables.contrast_rows(r, r.contrasts[r.contrasts["arch"] != layout.AVERAGE], settings),
            "procedure": r.procedure,
            "formula": r.formula,
            "notes": r.notes,
            "variances": tables.variances(r.fit) if r.fit else [],
            "variance_sentence": sentences.variance_sentence(r),
            "means": tables.means(r, layout.AVERAGE),
            "pairs": sentences.pairs_sentence(r, settings),
            "influence": sentences.influence_sentence(analysis.influence.get(name), r),
            "profile": tables.profiles(analysis.profiles[name]),
            "bound": sentences.bound_sentence(r),
            "sensitivity": sentences.sensitivity_sentence(r, settings),
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
    found = tradeoff.correlation(analysis.tradeoffs)
    by_place = tradeoff.by_place(analysis.tradeoffs, settings.alpha)
    return {
        "settings": settings,
        "study": study,
        "outcomes": outcomes,
        "secondary": secondary,
        "best": best_lines(analysis, settings),
        "tradeoff_sentences": [sentences.tradeoff_sentence(t, settings) for t in analysis.tradeoffs],
        "tradeoff_rows": tables.tradeoff_rows(analysis.tradeoffs),
        "place_sentence": sentences.places_sentence(by_place, settings),
        "place_rows": tables.place_rows(by_place),
        "front": sentences.front_sentence(analysis.front),
        "methods_paragraph": sentences.methods_paragraph(study, analysis.headlines, settings),
        "citation": sentences.citation(study, settings),
        "correlation": f"{number(found[0], 2)} {interval(found[1], found[2], 2)}" if found else "",
        "cautions": _cautions(analysis, settings),
        "omnibus": tables.omnibus(analysis.headlines, analysis.secondary, settings),
        "design": tables.design(study),
        "runs": int((study.cells["role"] == "student").sum()),
        "teachers": int((study.cells["role"] == "teacher").sum()),
        "cost": tables.cost(study),
        "cost_phrase": sentences.cost_phrase(study.cells[study.cells["role"] == "student"]),
        "churn": tables.churn(study),
        "churn_rows": tables.churn_rows(study, settings),
        "measures": {"retrieval": records.RETRIEVAL_METRICS, "consistency": records.CONSISTENCY_CONSTRUCTS,
                     "VQA stability": records.STABILITY_CONSTRUCTS},
        "confirmations": [sentences.confirmation_sentence(c, analysis.headlines[n].outcome.label)
                          for n, c in analysis.confirmations.items()],
        "pictures": {name: Markup(svg) for name, svg in pictures.items()},  # drawn here, safe by construction
        "versions": {"python": platform.python_version(), **{name: metadata.version(name) for name in PACKAGES}},
        "level": sentences.percent(settings.alpha),
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
        "diagnostics": figures.diagnostics(
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
    for name, table in tables.files(analysis.headlines, analysis.secondary, settings).items():
        export.write(folder / "tables", name, table)
    extra = {"languages": analysis.by_language, "profiles": analysis.profiles}
    for name, parts in extra.items():
        if parts:
            export.write(folder / "tables", name, tables.stacked(parts))
    export.write(folder / "tables", "tradeoff", tables.tradeoff_file(analysis.tradeoffs, analysis.front))
    by_place = tradeoff.by_place(analysis.tradeoffs, settings.alpha)
    by_method = tables.tradeoff_file([t for _, t in by_place], pd.DataFrame())
    places = pd.DataFrame([place for place, _ in by_place], columns=["arch", "size"])
    export.write(folder / "tables", "tradeoff_by_place", places.join(by_method))
    export.write(folder / "tables", "churn", study.churn)
    for name, (table, caption) in tables.latex(analysis.headlines, analysis.tradeoffs, settings).items():
        export.write_latex(folder / "tables", name, table, caption)
    lines = findings(analysis, settings)
    (folder / "findings.txt").write_text("\n".join(lines) + "\n", encoding="utf-8")
    (folder / _MARKER).write_text(study.data_hash + "\n", encoding="utf-8")
    return lines
