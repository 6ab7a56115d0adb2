"""Answers to questions whose labels the publisher holds, as the files that its evaluation takes."""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd

from study.eval.checks import ScoringError

PROTOCOLS = {True: "english", False: "local"}
"""Whether the question was asked in English -> the name of CVQA's protocol."""

COLUMNS = ["ID", "Prediction"]
"""The publisher's id of a question, and the number of the option chosen, from 0 (Romero et al. 2024, CVQA)."""


def submission_files(answers: pd.DataFrame) -> Mapping[str, pd.DataFrame]:
    """The answers of one model, divided by data set and by whether they were asked for in English.

    Args:
        answers: columns question (`<source>:<id>`), language and chosen.

    Returns:
        `<source>-english` and `<source>-local` -> `COLUMNS`, in the order of the questions' ids.

    Raises:
        ScoringError: a question is duplicated in one file: it was asked in two languages besides English.
    """
    if answers.empty:
        return {}
    parts = answers["question"].str.partition(":")
    protocol = (answers["language"] == "en").map(PROTOCOLS)
    rows = pd.DataFrame({"ID": parts[2], "Prediction": answers["chosen"], "file": parts[0] + "-" + protocol})
    files = {}
    for name, own in rows.groupby("file"):
        twice = own.loc[own["ID"].duplicated(), "ID"]
        if len(twice):
            raise ScoringError(f"submission {name}: {twice.iloc[0]!r} is answered in two languages besides English")
        files[str(name)] = own.sort_values("ID")[COLUMNS].reset_index(drop=True)
    return files
