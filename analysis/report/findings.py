"""The few lines that a reader takes away: for a terminal, and for the top of the page."""

from __future__ import annotations

from analysis.data.load import StudyData
from analysis.report import diagnostics, sentences, studied
from analysis.report.studied import Provenance
from analysis.results import Analysis
from analysis.sensitivity import collapse
from analysis.settings import AnalysisSettings
from analysis.wording import count, join, method_name

NOTHING = "No method can be compared with the control on any headline outcome: their scores are missing."


def findings(analysis: Analysis, settings: AnalysisSettings, provenance: Provenance) -> list[str]:
    """The plain lines that a terminal shows at the end: the answer, the outcomes, and what a reader must know."""
    study = analysis.study
    students = study.cells[study.cells["role"] == "student"]
    lines = [
        f"{settings.study}: {count(len(students), 'student run')}, {count(students['seed'].nunique(), 'seed')}, "
        f"{count(len(study.languages), 'language')}; differences from the control in points, with simultaneous "
        "intervals"
    ]
    if not analysis.headlines:
        return [*lines, NOTHING, *cautions(analysis, settings, provenance)]
    if analysis.tradeoffs:
        lines.append(sentences.answer(analysis.tradeoffs, settings))
    lines += [sentences.outcome_line(r, settings) for r in analysis.headlines.values()]
    lines.append(sentences.places_sentence(analysis.places))
    lines.append(sentences.constructs_sentence(analysis.by_construct, analysis.disagreements))
    return [line for line in [*lines, *cautions(analysis, settings, provenance)] if line]


def cautions(analysis: Analysis, settings: AnalysisSettings, provenance: Provenance) -> list[str]:
    """What a reader must know before the numbers."""
    study = analysis.study
    seeds = _fewest_seeds(study)
    lines = []
    if seeds < 3:
        lines.append(
            f"With {count(seeds, 'seed')} in some combination the run-to-run variance rests on almost nothing: this is "
            "a trial of the machinery, not evidence."
        )
    declared = () if settings.contrasts == "all" else settings.contrasts
    if unseen := [method for method in declared if method not in study.methods]:
        lines.append(f"Declared but without a run: {join([method_name(m) for m in unseen])}.")
    if study.missing:
        lines.append(f"{count(len(study.missing), 'planned run')} missing: {', '.join(study.missing)}.")
    lines += study.left_out
    lines.append(collapse.sentence(analysis.collapse))
    lines.append(sentences.outlying_sentence(analysis.headlines))
    lines.append(studied.untuned_sentence(provenance))
    for name, found in analysis.confirmations.items():
        if found.ran and not found.agrees:
            lines.append(diagnostics.confirmation_sentence(found, analysis.headlines[name].outcome.label))
    return [line for line in lines if line]


def _fewest_seeds(study: StudyData) -> int:
    """Seeds of the arch, size and method that has the fewest."""
    students = study.cells[study.cells["role"] == "student"]
    return int(students.groupby(["arch", "size", "method"])["seed"].nunique().min())
