"""The few lines that a reader takes away: for a terminal, and for the top of the page."""

from __future__ import annotations

from analysis import diagnostics, sentences, verdict
from analysis.frames import Study
from analysis.results import Analysis
from analysis.settings import Settings
from analysis.wording import join, method_name

NOTHING = "No method can be compared with the control on any headline outcome: their scores are missing."


def best_lines(analysis: Analysis, settings: Settings) -> list[str]:
    """One line for each headline outcome, which method did best; or that there is none."""
    return [sentences.best_sentence(r, settings) for r in analysis.headlines.values()] or [NOTHING]


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
    lines.append("; ".join(levels) + "." if levels else NOTHING)
    if levels:
        lines += [line[0].upper() + line[1:] for line in best_lines(analysis, settings)]
    if analysis.tradeoffs:
        bought = [t.method for t in analysis.tradeoffs if t.verdict == verdict.COST]
        text = "; ".join(sentences.tradeoff_short(t) for t in analysis.tradeoffs)
        lines.append(f"Trade-off against the control (points): {text}.")
        names = join([method_name(m) for m in bought]) if bought else ""
        if somewhere := sentences.places_sentence(analysis.places, settings):
            lines.append(somewhere)
        lines.append(
            f"Consistency was bought with VQA stability by: {names}." if bought
            else "Averaged over architectures and sizes, no method is shown to have bought consistency with stability."
        )  # fmt: skip
    if _fewest_seeds(study) < 3:
        lines.append("Caution: fewer than three seeds, so this is a trial of the machinery and not evidence.")
    return lines


def cautions(analysis: Analysis, settings: Settings) -> list[str]:
    """What a reader must know before the numbers."""
    study = analysis.study
    seeds = _fewest_seeds(study)
    lines = []
    if seeds < 3:
        lines.append(
            f"With {seeds} seed{'s' if seeds != 1 else ''} in some combination the run-to-run variance rests on almost "
            "nothing: intervals are wide or too narrow by luck. Read this as a trial of the machinery, not as evidence."
        )
    declared = () if settings.contrasts == "all" else settings.contrasts
    if unseen := [method for method in declared if method not in study.methods]:
        lines.append(f"Declared but without a run: {', '.join(unseen)}.")
    lines += [f"Missing runs: {', '.join(study.missing)}."] if study.missing else []
    for name, found in analysis.confirmations.items():
        if found.ran and not found.agrees:
            lines.append(diagnostics.confirmation_sentence(found, analysis.headlines[name].outcome.label))
    return lines


def _fewest_seeds(study: Study) -> int:
    """Seeds of the arch, size and method that has the fewest."""
    students = study.cells[study.cells["role"] == "student"]
    return int(students.groupby(["arch", "size", "method"])["seed"].nunique().min())
