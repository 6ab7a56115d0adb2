"""Stability of answers: across languages, across seeds, and against the teacher.

Values of the language "all" are means over languages of the languages' values, each language with
equal weight, unless a construct is defined over languages only (alpha, language_sd,
worst_language_gap). `n` counts the questions behind a value.

A value that is undefined gets no row: no language constructs from one language or from languages that
share no question (their accuracies differ by their questions as well), no churn from one seed. The one
exception is alpha of a run that always chooses the same option, which is undefined: its row is there and
empty, because such a run should be seen.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import combinations

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from study.eval.agreement import alpha, pair_agreement, pair_parts, shrink, true_variance
from study.eval.answers import Answers, pivot
from study.eval.checks import ScoringError
from study.records import ALL_LANGUAGES, CELLS, PAIRS, STABILITY, check

ROW_COLUMNS = ["language", "construct", "score", "n"]
"""Columns of one run's or group's rows. The caller adds level, cell, arch, size, method and seed."""

GROUP = ["arch", "size", "method"]

Row = tuple[str, str, float, int]


def run_stability_rows(vqa: pd.DataFrame) -> pd.DataFrame:
    """Stability across languages, and accuracy, of the one cell in `vqa` (columns of `records.VQA`).

    Returns:
        `ROW_COLUMNS`: alpha, the measures of `measures.PAIR_MEASURES`, accuracy, language_sd, worst_language_gap.

    Raises:
        ScoringError: several cells, or answers that `answers.pivot` refuses.
    """
    answers = pivot(vqa)
    if len(answers.cells) != 1:
        raise ScoringError(f"expected the answers of one cell, got {answers.cells}")
    return pd.DataFrame(list(_run(answers, 0)), columns=ROW_COLUMNS)


def group_stability_rows(vqa: pd.DataFrame, cells: pd.DataFrame) -> pd.DataFrame:
    """Churn over the seeds of one group.

    Args:
        vqa: answers of the group's cells, columns of `records.VQA`.
        cells: at least the columns cell, arch, size, method, seed, with the rows of those cells.

    Returns:
        `ROW_COLUMNS`: churn and churn_excess; no rows for one seed.

    Raises:
        ScoringError: a cell without its row, several groups, or a seed that repeats.
    """
    answers = pivot(vqa)
    own = cells[cells["cell"].isin(answers.cells)]
    if len(own) != len(answers.cells) or len(own[GROUP].drop_duplicates()) != 1 or own["seed"].duplicated().any():
        raise ScoringError(f"expected one group, each seed once, got {own[['cell', *GROUP, 'seed']].to_dict('list')}")
    return pd.DataFrame(list(_group(answers, list(range(len(own))))), columns=ROW_COLUMNS)


def flip_rows(student: pd.DataFrame, teacher: pd.DataFrame) -> pd.DataFrame:
    """Flips of one student's answers against its teacher's (both with the columns of `records.VQA`).

    Returns:
        `ROW_COLUMNS`: negative_flips, positive_flips, net_flips.

    Raises:
        ScoringError: several cells in a table, or tables that do not answer the same questions.
    """
    answers = pivot(pd.concat([student, teacher], ignore_index=True))
    if student["cell"].nunique() != 1 or teacher["cell"].nunique() != 1 or len(answers.cells) != 2:
        raise ScoringError(f"expected one student and one teacher, got {answers.cells}")
    return pd.DataFrame(list(_flips(answers, 0, 1)), columns=ROW_COLUMNS)


def stability_table(cells: pd.DataFrame, vqa: pd.DataFrame) -> pd.DataFrame:
    """The whole table `records.STABILITY` of a study.

    Args:
        cells: columns of `records.CELLS`; one teacher for each architecture that has students.
        vqa: columns of `records.VQA`, the answers of exactly these cells.

    Returns:
        Runs in the order of `cells` (teachers have no flips), then groups of students.

    Raises:
        ScoringError: answers of other cells than `cells` names, no or several teachers of an
            architecture, or a seed that repeats within a group.
        RecordError: `cells` does not follow its schema.
    """
    cells = check(cells, CELLS)
    answers = pivot(vqa)
    unmatched = sorted(set(answers.cells) ^ set(cells["cell"]))
    if unmatched:
        raise ScoringError(f"cells and vqa name different cells; only one of them has {unmatched}")
    is_teacher = cells["role"] == "teacher"
    teachers = cells[is_teacher].set_index("arch")["cell"]
    students = cells[~is_teacher]
    for arch in students["arch"].unique():
        own = teachers[teachers.index == arch].tolist()
        if len(own) != 1:
            raise ScoringError(f"architecture {arch!r}: one teacher is needed, got {own}")

    rows: list[tuple[object, ...]] = []
    for cell, arch, size, method, seed, role in cells[["cell", *GROUP, "seed", "role"]].itertuples(index=False):
        at = answers.row(cell)
        factors = ("run", cell, arch, size, method, seed)
        rows += [(*factors, *row) for row in _run(answers, at)]
        if role != "teacher":
            rows += [(*factors, *row) for row in _flips(answers, at, answers.row(teachers[arch]))]
    for (arch, size, method), members in students.groupby(GROUP, sort=False):
        if members["seed"].duplicated().any():
            raise ScoringError(f"group {arch}-{size}-{method}: a seed repeats in {members['cell'].tolist()}")
        factors = ("group", f"{arch}-{size}-{method}", arch, size, method, None)
        rows += [(*factors, *row) for row in _group(answers, [answers.row(cell) for cell in members["cell"]])]
    return check(pd.DataFrame(rows, columns=["level", "cell", *GROUP, "seed", *ROW_COLUMNS]), STABILITY)


def pair_table(vqa: pd.DataFrame) -> pd.DataFrame:
    """The whole table `records.PAIRS`: every measure of two languages' answers, for every pair with common questions.

    Args:
        vqa: columns of `records.VQA`.

    Raises:
        ScoringError: answers that `answers.pivot` refuses.
    """
    answers = pivot(vqa)
    order = np.argsort(answers.languages)
    names = np.asarray(answers.languages)[order]
    first, second = np.triu_indices(len(names), 1)
    parts = []
    for at, cell in enumerate(answers.cells):
        agreement, shared = pair_agreement(answers.chosen[at][order])
        n = shared[first, second]
        for measure, values in {
            "agreement": agreement, **pair_parts(answers.chosen[at][order], answers.answer[order], answers.options),
        }.items():  # fmt: skip
            rows = {"cell": cell, "language": names[first], "partner": names[second], "measure": measure,
                    "score": values[first, second], "n": n}  # fmt: skip
            parts.append(pd.DataFrame(rows)[n > 0])
    return check(pd.concat(parts, ignore_index=True), PAIRS)


def _run(answers: Answers, at: int) -> Iterator[Row]:
    chosen, asked = answers.chosen[at], answers.asked
    n = asked.sum(axis=1)
    distinct = int(asked.any(axis=0).sum())
    accuracy = answers.correct[at].sum(axis=1) / n
    yield from _rows(answers, "accuracy", accuracy)
    several = int((asked.sum(axis=0) > 1).sum())
    if len(n) < 2 or not several:
        return
    agreement, shared = pair_agreement(chosen)
    partners = shared > 0
    for measure, values in {"agreement": agreement, **pair_parts(chosen, answers.answer, answers.options)}.items():
        for language, own, has, common in zip(answers.languages, values, partners, shared, strict=True):
            if has.any():
                yield language, measure, float(own[has].mean()), int(common.max())
        yield ALL_LANGUAGES, measure, float(values[partners].mean()), several
    yield ALL_LANGUAGES, "alpha", alpha(chosen), several
    variance = true_variance(accuracy, n)
    shrunken = shrink(accuracy, n)
    yield ALL_LANGUAGES, "language_sd", float(np.sqrt(variance)), distinct
    yield ALL_LANGUAGES, "worst_language_gap", float(shrunken.mean() - shrunken.min()), distinct


def _group(answers: Answers, at: list[int]) -> Iterator[Row]:
    if len(at) < 2:
        return
    n = answers.asked.sum(axis=1)
    churn = np.zeros(len(n))
    forced = np.zeros(len(n))
    pairs = list(combinations(at, 2))
    for one, other in pairs:
        # Absent answers are absent in both cells and so never differ.
        churn += (answers.chosen[one] != answers.chosen[other]).sum(axis=1) / n / len(pairs)
        right = answers.correct[one].sum(axis=1) - answers.correct[other].sum(axis=1)
        forced += np.abs(right) / n / len(pairs)
    yield from _rows(answers, "churn", churn)
    yield from _rows(answers, "churn_excess", np.maximum(churn - forced, 0.0))


def _flips(answers: Answers, student: int, teacher: int) -> Iterator[Row]:
    n = answers.asked.sum(axis=1)
    mine, its = answers.correct[student], answers.correct[teacher]
    negative = (its & ~mine).sum(axis=1) / n
    positive = (mine & ~its).sum(axis=1) / n
    yield from _rows(answers, "negative_flips", negative)
    yield from _rows(answers, "positive_flips", positive)
    yield from _rows(answers, "net_flips", positive - negative)


def _rows(answers: Answers, construct: str, values: NDArray[np.float64]) -> Iterator[Row]:
    """A row for each language, then their mean."""
    n = answers.asked.sum(axis=1)
    for language, value, items in zip(answers.languages, values, n, strict=True):
        yield language, construct, float(value), int(items)
    yield ALL_LANGUAGES, construct, float(values.mean()), int(answers.asked.any(axis=0).sum())
