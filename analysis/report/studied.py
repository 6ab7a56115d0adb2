"""What was studied: corpus, teachers, students, methods, licences and origin, for a reader who knows none of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pandas as pd

from analysis import names
from analysis.data.load import StudyData
from analysis.settings import AnalysisSettings
from analysis.wording import capital, count, join, method_name

Provenance = Mapping[str, Any]
"""What the result tables do not hold; every key may be absent.

corpus: corpus, description, source, revision, in_domain, out_of_domain, licences (list of covers, name, attribution),
images and questions (part -> number) · teachers: architecture -> family, model, steps, checkpoint, revision, assumed
(clauses on what a checkpoint's files leave open), compared (with its library) · encoders: size -> checkpoint,
revision, assumed, compared · tuned: method -> [cells with tuned values, cells] · untuned: (factor, level) without tuned
values, where others have them · methods: method -> name spelled out · commit, dirty, date (ISO), version, machine.
"""


@dataclass(frozen=True)
class Fact:
    """One line of the box: a term, and what is to be said of it."""

    term: str
    texts: tuple[str, ...]


def facts(study: StudyData, settings: AnalysisSettings, provenance: Provenance) -> list[Fact]:
    """The lines of the box; what nobody knows is left out."""
    corpus = provenance.get("corpus", {})
    found = [
        Fact("Corpus", _corpus(corpus)),
        Fact("Test data", _tests(corpus)),
        Fact("Languages", (f"{len(study.languages)}: {', '.join(names.language(code) for code in study.languages)}",)),
        Fact("Teachers", tuple(_teacher(arch, study, provenance.get("teachers", {})) for arch in study.archs)),
        Fact("Students", _students(study)),
        Fact("Checkpoints", _checkpoints(study, provenance)),
        Fact("Methods", tuple(_method(m, study, settings, provenance) for m in study.methods)),
        Fact("Licences", tuple(_licence(x) for x in corpus.get("licences", ()))),
        Fact("Code", _code(provenance)),
        Fact("Machine", _machine(study, provenance)),
    ]
    return [fact for fact in found if any(fact.texts)]


def untuned_sentence(provenance: Provenance) -> str:
    """Names the methods, sizes, architectures or cells that were not tuned where others were."""
    named = provenance.get("untuned", ())
    if not named:
        return ""
    levels = [f"{factor} {method_name(level) if factor == 'method' else level}" for factor, level in named]
    return f"Not tuned, where others were: {join(levels)}. Part of a difference between them may be the tuning."


def _corpus(corpus: Mapping[str, Any]) -> tuple[str, ...]:
    if not corpus:
        return ()
    where = f" Source: {corpus['source']}." if corpus.get("source") else ""
    return (f"{capital(corpus.get('corpus', 'unnamed'))}. {corpus.get('description', '')}".strip() + where,)


def _tests(corpus: Mapping[str, Any]) -> tuple[str, ...]:
    images, questions = (corpus.get(key, {}).get("test") for key in ("images", "questions"))
    if isinstance(questions, Mapping):  # type of question -> number
        questions = sum(questions.values())
    texts = []
    if corpus.get("in_domain"):
        size = f" ({images:,} images)" if isinstance(images, int) else ""
        texts.append(f"Retrieval{size}: {corpus['in_domain']}.")
    if corpus.get("out_of_domain"):
        size = f" ({questions:,} questions)" if isinstance(questions, int) else ""
        texts.append(f"VQA{size}: {corpus['out_of_domain']}.")
    return tuple(texts)


def _teacher(arch: str, study: StudyData, teachers: Mapping[str, Mapping[str, Any]]) -> str:
    row = study.cells[(study.cells["role"] == "teacher") & (study.cells["arch"] == arch)]
    known = teachers.get(arch, {})
    parts = [str(known[key]) for key in ("model", "checkpoint") if known.get(key)]
    if len(row):
        parts.append(f"{_millions(row['parameters'].iloc[0])} parameters")
    if known.get("steps"):
        parts.append(f"trained for {known['steps']:,} steps")
    return f"{arch}: {', '.join(parts)}" if parts else arch


def _checkpoints(study: StudyData, provenance: Provenance) -> tuple[str, ...]:
    """How checkpoints that others published were read: what was assumed, and what was held against their library."""
    places = [("teachers", arch) for arch in study.archs] + [("encoders", size) for size in study.sizes]
    texts = []
    for kind, name in places:
        known = provenance.get(kind, {}).get(name, {})
        pinned = f" at revision {known['revision']}" if known.get("revision") else ""
        parts = [f"{name}: {known['checkpoint']}{pinned}"] if known.get("checkpoint") else []
        if known.get("compared"):
            parts.append(f"compared with {known['compared']}")
        if known.get("assumed"):
            parts.append(f"assumed, since its files do not say: {'; '.join(known['assumed'])}")
        if parts:
            texts.append("; ".join(parts))
    return tuple(texts)


def _students(study: StudyData) -> tuple[str, ...]:
    students = study.cells[study.cells["role"] == "student"]
    texts = []
    for size in study.sizes:
        here = students[students["size"] == size]
        share = f"{100 * here['text_fraction'].mean():.0f} % of the teacher's text tower"
        texts.append(f"{size}: {share}, {_range(here['parameters'])} parameters")
    towers = {"text": "the text tower is trained, the image tower is the teacher's", "both": "both towers are trained"}
    told = [towers[t] for t in sorted(set(students["towers"])) if t in towers]
    seeds = count(int(students["seed"].nunique()), "seed")
    texts.append(f"{len(students)} runs: {seeds} in each combination{'; ' + '; '.join(told) if told else ''}")
    return tuple(texts)


def _range(values: pd.Series) -> str:
    low, high = _millions(values.min()), _millions(values.max())
    return low if low == high else f"{low} to {high}"


def _millions(value: float) -> str:
    return f"{value / 1e6:.2f} M" if value < 1e7 else f"{value / 1e6:,.0f} M"


def _method(method: str, study: StudyData, settings: AnalysisSettings, provenance: Provenance) -> str:
    look = names.methods(study.methods, settings.control)[method]
    spelled = names.title(method, provenance.get("methods"))
    return f"{look.label}: {spelled}" if spelled else look.label


def _licence(licence: Mapping[str, str]) -> str:
    owner = licence.get("attribution", "").split(";")[0]
    return f"{licence.get('name', '?')}: {licence.get('covers', '')}" + (f" ({owner})" if owner else "")


def _code(provenance: Provenance) -> tuple[str, ...]:
    parts = [f"version {provenance['version']}"] if provenance.get("version") else []
    if provenance.get("commit"):
        changed = ", with uncommitted changes" if provenance.get("dirty") else ""
        parts.append(f"commit {str(provenance['commit'])[:12]}{changed}")
    if provenance.get("date"):
        parts.append(str(provenance["date"])[:10])
    return (", ".join(parts),) if parts else ()


def _machine(study: StudyData, provenance: Provenance) -> tuple[str, ...]:
    devices = sorted(set(study.cells["device"]) - {"-", ""})
    text = f"trained on {join(devices)}" if devices else ""
    if provenance.get("machine"):
        text += f"{'; ' if text else ''}analysed on {provenance['machine']}"
    return (text,) if text else ()
