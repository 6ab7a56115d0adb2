"""Only what was measured alike is compared: one protocol, the same queries, directions, questions and seeds.

What one run cannot be compared on is left out and said (`left_out`); what nobody can settle is refused by name.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pandas as pd

from analysis.settings import AnalysisError, nearest

FACTORS = ["arch", "size", "method", "seed"]

_TESTS: Mapping[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "retrieval": (("metric", "direction", "language"), ("queries", "gallery")),
    "consistency": (("construct", "language"), ("queries",)),
    "pairs": (("measure", "language", "partner"), ("n",)),
}
"""Of each table what names a test, and the sizes that a test has for every run."""


def one_protocol(retrieval: pd.DataFrame, wanted: str, folder: Path) -> pd.DataFrame:
    """The rows of the declared protocol, or of the only one.

    Raises:
        AnalysisError: the declared one is not there, or there are several and none was declared.
    """
    present = sorted(retrieval["protocol"].unique())
    path = folder / "retrieval.parquet"
    if wanted and present and wanted not in present:
        raise AnalysisError(f"{path}: no rows of protocol {wanted!r}{nearest(wanted, present)}")
    if not wanted and len(present) > 1:
        raise AnalysisError(f"{path}: {len(present)} protocols, {present}; say which one by the setting 'protocol'")
    return retrieval[retrieval["protocol"] == wanted] if wanted else retrieval


def check_tests(tables: Mapping[str, pd.DataFrame], folder: Path) -> None:
    """Every run met the same queries, the same gallery and the same number of questions, language by language.

    Raises:
        AnalysisError: a run was scored on a test of another size.
    """
    for name, (keys, sizes) in _TESTS.items():
        if name not in tables or tables[name].empty:
            continue
        grouped = tables[name].groupby(list(keys), observed=True)
        for size in sizes:
            unlike = grouped[size].transform("min") != grouped[size].transform("max")
            if not unlike.any():
                continue
            first = tables[name][unlike].iloc[0]
            rows = grouped.get_group(tuple(first[key] for key in keys))
            usual = rows[size].mode().iloc[0]
            other = rows[rows[size] != usual].iloc[0]
            where = ", ".join(str(first[key]) for key in keys)
            raise AnalysisError(
                f"{folder / f'{name}.parquet'}: {size} of cell {other['cell']!r} ({where}) is {other[size]:,}, "
                f"of others {usual:,}: scores on different tests cannot be compared"
            )


def common_directions(
    retrieval: pd.DataFrame, methods: Mapping[str, str], folder: Path, left_out: list[str]
) -> pd.DataFrame:
    """Of each metric the directions that every method has; scores of runs and languages that have all of these.

    Args:
        retrieval: rows of one protocol.
        methods: cell to method, of students; teachers make no difference to what is kept.
        folder: for messages.
        left_out: lines for the reader, added to.

    Raises:
        AnalysisError: some metric has no direction in common.
    """
    kept = []
    for metric, rows in retrieval.groupby("metric", sort=False):
        owner = rows["cell"].map(methods)
        having = {str(d): set(part.dropna()) for d, part in owner.groupby(rows["direction"])}
        every = set().union(*having.values())
        common = [d for d, found in having.items() if found == every]
        lacking = {d: sorted(every - found) for d, found in having.items() if found != every}
        if not common:
            told = "; ".join(f"{d} lacks {', '.join(found)}" for d, found in lacking.items())
            raise AnalysisError(
                f"{folder / 'retrieval.parquet'}: no direction of {metric} was scored for every method: {told}"
            )
        left_out.extend(
            f"Retrieval {metric} is of {' and '.join(common).replace('_', ' ')} alone: {', '.join(found)} "
            f"{'has' if len(found) == 1 else 'have'} no {d.replace('_', ' ')}."
            for d, found in lacking.items()
        )
        rows = rows[rows["direction"].isin(common)]
        complete = rows.groupby(["cell", "language"])["direction"].transform("nunique") == len(common)
        if not complete.all():
            names = sorted(set(rows.loc[~complete, "cell"]))
            left_out.append(
                f"Retrieval {metric}: languages with one direction only are left out of {_some(names)}, where others "
                "have both."
            )
        kept.append(rows[complete])
    return pd.concat(kept, ignore_index=True) if kept else retrieval


def common_questions(vqa: pd.DataFrame, left_out: list[str]) -> pd.DataFrame:
    """Answers to the questions that the runs share, language by language.

    The questions are those that every run with at least half of its language's questions answered; a run that lacks
    one of them is left out of that language, so that nobody is measured on easier ones.
    """
    if vqa.empty:
        return vqa
    runs = vqa.groupby(["cell", "language"])["question"].transform("size")
    asked = vqa.groupby("language")["question"].transform("nunique")
    if (runs == asked).all():
        return vqa
    enough = vqa[2 * runs >= asked]
    cells = enough.groupby("language")["cell"].transform("nunique")
    shared = enough[enough.groupby(["language", "question"])["cell"].transform("nunique") == cells]
    unlike = vqa.loc[runs < asked, "cell"]
    lost = sorted(set(zip(vqa["cell"], vqa["language"], strict=True))
                  - set(zip(shared["cell"], shared["language"], strict=True)))  # fmt: skip
    text = (
        f"VQA accuracy is over the questions that runs share: {_some(sorted(set(unlike)))} answered fewer than others."
    )
    if lost:
        text += f" Left out for too few: {_some([f'{cell} ({language})' for cell, language in lost])}."
    left_out.append(text)
    return shared


def paired_runs(frame: pd.DataFrame, control: str) -> tuple[pd.DataFrame, list[tuple[str, str, str]]]:
    """Rows without the methods that share no seed with the control in their architecture and size; and which those are.

    A difference that no block has is one between seeds as well. Methods stay where the control has no run at all:
    there is nothing to compare there, and nothing is.

    Args:
        frame: one or more rows per run: cell, arch, size, method, seed.
        control: the method that others are compared with.

    Returns:
        The rows, and (arch, size, method) of those that were left out.
    """
    runs = frame.drop_duplicates("cell")
    seeds: dict[tuple[str, str, str], set[int]] = {}
    for arch, size, method, seed in zip(*(runs[factor] for factor in FACTORS), strict=True):
        seeds.setdefault((arch, size, method), set()).add(seed)
    apart = []
    for (arch, size, method), own in seeds.items():
        beside = seeds.get((arch, size, control))
        if beside is not None and not own & beside:
            apart.append((arch, size, method))
    if not apart:
        return frame, []
    kept = ~pd.MultiIndex.from_frame(frame[FACTORS[:3]]).isin(apart)
    return frame[kept].reset_index(drop=True), apart


def _some(names: list[str]) -> str:
    """The names, of many the first three and their number."""
    return ", ".join(names) if len(names) <= 4 else f"{', '.join(names[:3])} and {len(names) - 3} more"
