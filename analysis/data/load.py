"""Result tables in; tidy frames of scores in percentage points out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from difflib import get_close_matches
from pathlib import Path

import pandas as pd

from analysis.data.comparability import check_tests, common_directions, common_questions, one_protocol, paired_runs
from analysis.data.language_pairs import from_partner_means, language_scores, run_scores
from analysis.data.validate import check_answers, check_cells, check_ranges, comparable, hash_tables, read_tables
from analysis.settings import HEADLINES, AnalysisError, AnalysisSettings, nearest
from study import measures, records
from study.objectives.displays import DISPLAYS

FACTORS = ["cell", "arch", "size", "method", "seed"]


@dataclass(frozen=True)
class Outcome:
    """One score to be analysed: `frame` has FACTORS, language (if by_language) and score in points; students only."""

    name: str
    label: str
    meaning: str
    frame: pd.DataFrame
    teachers: pd.DataFrame  # arch, language (if by_language), score
    by_language: bool
    higher_is_better: bool = True
    measure: str = ""  # its name in the result tables


@dataclass(frozen=True)
class StudyData:
    """Everything the analysis reads."""

    cells: pd.DataFrame
    headlines: dict[str, Outcome]
    secondary: dict[str, Outcome]
    churn: pd.DataFrame  # arch, size, method, construct, score in points
    languages: list[str]  # in order of resources
    resources: dict[str, float]
    methods: list[str]  # control first
    archs: list[str]
    sizes: list[str]
    planned_runs: int  # students only
    missing: list[str]
    extra: list[str]
    incomplete: list[str]
    notes: list[str]
    data_hash: str
    left_out: list[str] = field(default_factory=list)  # what could not be compared, and was not
    diverged: dict[str, str] = field(default_factory=dict)  # run to why: planned, made, and without scores
    items: pd.DataFrame = field(default_factory=pd.DataFrame)  # `item_scores`
    collapse: pd.DataFrame = field(default_factory=pd.DataFrame)  # records.COLLAPSE


def method_order(methods: Sequence[str], control: str) -> list[str]:
    """`methods` with the control first, those of `DISPLAYS` in its order, others alphabetically."""
    found = set(methods)
    known = [m for m in DISPLAYS if m in found and m != control]
    rest = sorted(found - set(known) - {control})
    return [*([control] if control in found else []), *known, *rest]


def size_order(students: pd.DataFrame) -> list[str]:
    """Sizes from large to small, by the fraction of the teacher's text tower that their students have."""
    fraction = students.groupby("size")["text_fraction"].mean()
    return sorted(map(str, fraction.index), key=lambda size: (-round(float(fraction[size]), 3), size))


def _outcome(
    name: str, label: str, measure: measures.Measure, scores: pd.DataFrame, cells: pd.DataFrame, meaning: str = ""
) -> Outcome:
    """Split `scores` (cell, perhaps language, score as a fraction) into students and teachers, in points."""
    by_language = "language" in scores.columns
    keep = ["language", "score"] if by_language else ["score"]
    merged = cells[[*FACTORS, "role"]].merge(scores, on="cell", validate="one_to_many")
    merged["score"] = merged["score"] * 100
    students = merged.loc[merged["role"] == "student", [*FACTORS, *keep]].reset_index(drop=True)
    teachers = merged.loc[merged["role"] == "teacher", ["arch", *keep]].reset_index(drop=True)
    return Outcome(
        name, label, meaning or measure.meaning, students, teachers, by_language, measure.higher_is_better, measure.name
    )


def _independent(scores: pd.DataFrame, pairs: pd.DataFrame | None, name: str, notes: list[str]) -> pd.DataFrame:
    """Scores of languages that do not depend on one another; of runs where two languages are all there are.

    Args:
        scores: columns cell, language, score, partners: means over partner languages.
        pairs: rows of the table of pairs, of this measure; None where there is none.
        name: of the outcome, for `notes`.
        notes: lines for the reader, added to.
    """
    if pairs is not None and len(pairs):
        found = language_scores(pairs)
        return found if len(found) else run_scores(pairs)
    found = from_partner_means(scores)
    if found.empty:
        if scores["partners"].max() > 1:
            notes.append(f"{name}: every run lacks some pairs of languages, and there is no table of pairs; runs are "
                         "compared, and nothing is said of other languages.")  # fmt: skip
        return run_scores(scores)
    if lost := sorted(set(scores["cell"]) - set(found["cell"])):
        notes.append(f"{name}: without a table of pairs nothing can be said of runs that lack some: {', '.join(lost)}.")
    return found


def _pair_outcomes(tables: dict[str, pd.DataFrame], notes: list[str]) -> dict[str, Outcome]:
    """The outcomes of the consistency and stability tables, measures over pairs of languages by language."""
    cells, every = tables["cells"], tables.get("pairs")
    consistency = tables["consistency"][["cell", "language", "construct", "score", "partners"]]
    stability = tables["stability"]
    stability = stability[(stability["level"] == "run") & stability["score"].notna()]
    whole = stability["language"] == records.ALL_LANGUAGES
    single = stability[~whole & (stability["construct"] != measures.ACCURACY.name)]
    # The table of stability gives a language's mean over all others that share its questions.
    partners = single.groupby(["cell", "construct"])["language"].transform("size") - 1
    sources = {
        "consistency": (measures.CONSISTENCY_CONSTRUCTS, consistency, consistency[:0]),
        "stability": (measures.STABILITY_CONSTRUCTS, single.assign(partners=partners), stability[whole]),
    }
    found = {}
    for kind, (declared, by_language, by_run) in sources.items():
        main = measures.headline(kind, {*by_language["construct"], *by_run["construct"]})
        for measure in declared:
            if measure == measures.ACCURACY or measure.over_seeds:
                continue
            headline = measure.name == main
            name = kind if headline else f"{kind}:{measure.name}"
            label = measures.HEADLINE_LABELS[kind] if headline else measure.label
            rows = by_language[by_language["construct"] == measure.name]
            if len(rows) and kind == "stability" and not measure.of_pairs:
                # One language's own value, a flip against the teacher: no other language takes part.
                scores = rows[["cell", "language", "score"]]
            elif len(rows):
                own = every[every["measure"] == measure.name] if every is not None else None
                scores = _independent(rows, own, name, notes)
            else:
                scores = by_run.loc[by_run["construct"] == measure.name, ["cell", "score"]]
            found[name] = _outcome(name, label, measure, scores, cells)
    return found


def _outcomes(tables: dict[str, pd.DataFrame], notes: list[str]) -> dict[str, Outcome]:
    """Every outcome that the tables hold, by name."""
    cells, retrieval = tables["cells"], tables["retrieval"]
    found: dict[str, Outcome] = {}
    main = measures.headline("retrieval", set(retrieval["metric"]))
    for measure in measures.RETRIEVAL_METRICS:
        rows = retrieval[retrieval["metric"] == measure.name]
        # Both directions weigh the same, whatever the number of rows of each.
        by_direction = rows.groupby(["cell", "language", "direction"], as_index=False)["score"].mean()
        scores = by_direction.groupby(["cell", "language"], as_index=False)["score"].mean()
        name = "retrieval" if measure.name == main else f"retrieval:{measure.name}"
        label = f"retrieval {measure.label}"
        directions = [d.replace("_", " ") for d in records.DIRECTIONS if (rows["direction"] == d).any()]
        meaning = f"{measure.meaning}, {'averaged over ' if len(directions) > 1 else ''}{' and '.join(directions)}"
        found[name] = _outcome(name, label, measure, scores, cells, meaning)
    of_pairs = _pair_outcomes(tables, notes)
    found.update({name: o for name, o in of_pairs.items() if name.startswith("consistency")})
    accuracy = tables["vqa"].groupby(["cell", "language"])["correct"].mean().rename("score").reset_index()
    found["vqa"] = _outcome("vqa", measures.HEADLINE_LABELS["vqa"], measures.ACCURACY, accuracy, cells)
    found.update({name: o for name, o in of_pairs.items() if name.startswith("stability")})
    return found


def _headlines(
    found: Mapping[str, Outcome], control: str, notes: list[str]
) -> tuple[dict[str, Outcome], dict[str, Outcome]]:
    """The headline outcomes and the others, of those on which some method can be compared with the control."""
    filled = {name: outcome for name, outcome in found.items() if comparable(outcome.frame, control)}
    headlines = {name: filled.pop(name) for name in HEADLINES if name in filled}
    notes.extend(
        f"No method can be compared with the control on {name}: scores are missing."
        for name in HEADLINES
        if name not in headlines
    )
    if "vqa" in headlines and "stability" not in headlines:
        notes.append(
            "VQA stability compares languages on the questions that they share: here there is one language, or they "
            "share none. Accuracy, churn over seeds and flips against the teacher are measured all the same."
        )
    return headlines, filled


def _paired(found: Mapping[str, Outcome], control: str, notes: list[str]) -> dict[str, Outcome]:
    """The outcomes without runs that nothing is paired with; what is left out of a headline is said."""
    kept: dict[str, Outcome] = {}
    left_out: dict[tuple[str, str, str], list[str]] = {}
    for name, outcome in found.items():
        frame, apart = paired_runs(outcome.frame, control)
        kept[name] = replace(outcome, frame=frame)
        for key in apart if name in HEADLINES else ():
            left_out.setdefault(key, []).append(outcome.label)
    notes.extend(
        f"{method} is left out in {arch} {size} ({', '.join(labels)}): it shares no seed with the control there, so "
        "nothing is paired."
        for (arch, size, method), labels in left_out.items()
    )
    return kept


def _incomplete(headlines: dict[str, Outcome], cells: pd.DataFrame) -> list[str]:
    """One line for each run that lacks an outcome or some of its languages."""
    lines = []
    students = cells.loc[cells["role"] == "student", "cell"]
    for name, outcome in headlines.items():
        counts = outcome.frame.groupby("cell").size()
        expected = int(counts.max())
        for cell in students:
            got = int(counts.get(cell, 0))
            if got == 0:
                lines.append(f"{cell}: no {name}")
            elif got < expected:
                lines.append(f"{cell}: {name} in {got} of {expected} languages")
    return lines


def _language_order(
    outcome: Outcome | None, settings: AnalysisSettings, present: list[str], notes: list[str]
) -> tuple[list[str], dict[str, float]]:
    resources = {k: float(v) for k, v in settings.language_resources.items() if k in present}
    lacking = [k for k in present if k not in resources]
    for name in settings.language_resources if lacking else ():
        # A list may name languages that were not tested; one that is spelled much like a tested one is a mistake.
        if name not in present and (meant := get_close_matches(name, lacking, n=1, cutoff=0.7)):
            raise AnalysisError(f"settings: language_resources of {name!r}; did you mean {meant[0]!r}?")
    if resources:
        if lacking:
            notes.append(f"No share was declared for {', '.join(lacking)}: last in the order of languages.")
        return sorted(present, key=lambda k: (-resources.get(k, 0.0), k)), resources
    if outcome is None:
        return sorted(present), {}
    notes.append("No language shares were declared; languages are ordered by the control's retrieval score.")
    control = outcome.frame[outcome.frame["method"] == settings.control].groupby("language")["score"].mean()
    return sorted(present, key=lambda k: (-float(control.get(k, 0.0)), k)), {}


def _check_outcomes(
    settings: AnalysisSettings, headlines: Mapping[str, Outcome], secondary: Mapping[str, Outcome]
) -> None:
    """Every outcome that the settings name is one of the report's.

    Raises:
        AnalysisError: it is not there, or it is a headline's measure, which goes by the headline's name.
    """
    for key, given in (("primary outcome", settings.primary), ("smallest_effect of", settings.smallest_effect)):
        for name in given:
            kind, _, measure = name.partition(":")
            if measure and kind in headlines and headlines[kind].measure == measure:
                raise AnalysisError(f"settings: {key} {name!r}: here it is the headline outcome, named {kind!r}")
    for name in settings.primary:
        if name not in (known := [*headlines, *secondary, *HEADLINES]):
            raise AnalysisError(f"settings: primary outcome {name!r} is not in the results{nearest(name, known)}")


def item_scores(tables: dict[str, pd.DataFrame]) -> pd.DataFrame:
    """The score of each test item in each run, averaged over languages: columns cell, measure, item, score.

    The table of items where there is one. Accuracy of questions is in the answers, whatever tables there are.
    """
    found = tables.get("items")
    parts = [] if found is None else [found[["cell", "measure", "item", "score"]]]
    if found is None or measures.ACCURACY.name not in set(found["measure"]):
        right = tables["vqa"].groupby(["cell", "question"])["correct"].mean().reset_index(name="score")
        parts.append(right.rename(columns={"question": "item"}).assign(measure=measures.ACCURACY.name))
    return pd.concat(parts, ignore_index=True)[["cell", "measure", "item", "score"]]


def load(folder: Path, settings: AnalysisSettings) -> StudyData:
    """Read, check and arrange a results folder.

    Raises:
        AnalysisError: see `read_tables`; also an unknown cell, a missing control, runs that cannot be compared, or an
            unknown primary outcome.
    """
    tables = read_tables(folder, settings.covariates)
    data_hash = hash_tables(tables)
    check_cells(tables, folder, settings)
    check_ranges(tables, folder)
    check_answers(tables["vqa"], folder)
    cells = tables["cells"]
    students = cells[cells["role"] == "student"]
    notes: list[str] = []
    left_out: list[str] = []
    tables["retrieval"] = one_protocol(tables["retrieval"], settings.protocol, folder)
    check_tests(tables, folder)
    owners = dict(zip(students["cell"], students["method"], strict=True))
    tables["retrieval"] = common_directions(tables["retrieval"], owners, folder, left_out)
    tables["vqa"] = common_questions(tables["vqa"], left_out)
    found = _paired(_outcomes(tables, notes), settings.control, left_out)
    headlines, secondary = _headlines(found, settings.control, notes)
    _check_outcomes(settings, headlines, secondary)
    planned, lost = set(settings.planned), tables.get("diverged")
    diverged = {} if lost is None else dict(zip(lost["cell"], lost["reason"], strict=True))
    methods = method_order(list(students["method"]), settings.control)
    for name in () if settings.contrasts == "all" else settings.contrasts:
        # A method whose runs all failed is known by its plan.
        if name not in methods[1:] and not any(f"-{name}-s" in cell for cell in planned):
            raise AnalysisError(f"settings: contrast {name!r}{nearest(name, methods[1:])}")
    if not planned:
        notes.append("No list of planned runs was declared; every crossing of the factors seen counts as planned.")
        grid = students[["arch"]].drop_duplicates()
        for factor in ("size", "method", "seed"):
            grid = grid.merge(students[[factor]].drop_duplicates(), how="cross")
        seen = set(zip(students["arch"], students["size"], students["method"], students["seed"], strict=True))
        planned = {*students["cell"], *diverged} | {
            f"{a}-{s}-{m}-s{i}"
            for a, s, m, i in zip(grid["arch"], grid["size"], grid["method"], grid["seed"], strict=True)
            if (a, s, m, i) not in seen
        }
    present = sorted({language for o in headlines.values() if o.by_language for language in o.frame["language"]})
    order, resources = _language_order(headlines.get("retrieval"), settings, present, notes)
    over_seeds = [measure.name for measure in measures.STABILITY_CONSTRUCTS if measure.over_seeds]
    stability = tables["stability"]
    group = stability[(stability["level"] == "group") & stability["construct"].isin(over_seeds)]
    group = group[(group["language"] == records.ALL_LANGUAGES) & group["score"].notna()]
    churn = group[["arch", "size", "method", "construct", "score"]].assign(score=group["score"] * 100)
    return StudyData(
        cells=cells,
        headlines=headlines,
        secondary=secondary,
        churn=churn.reset_index(drop=True),
        languages=order,
        resources=resources,
        methods=methods,
        archs=sorted(set(students["arch"])),
        sizes=size_order(students),
        planned_runs=sum(not cell.endswith("-teacher") for cell in planned),
        missing=sorted(planned - {*cells["cell"], *diverged}),
        extra=sorted(set(students["cell"]) - planned),
        incomplete=_incomplete(headlines, cells),
        notes=notes,
        data_hash=data_hash,
        left_out=left_out,
        diverged=diverged,
        items=item_scores(tables),
        collapse=tables.get("collapse", pd.DataFrame()),
    )
