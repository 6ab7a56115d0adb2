"""The schema of every result table: with `study.measures`, the contract between the study and its analysis.

All tables are long and tidy: a factor is a value in a column, never a part of a column's name.
Scores are fractions in [0, 1] unless the column's unit says otherwise; `cell` is the key into
`cells`, where the factors stand.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

DIRECTIONS = ("text_to_image", "image_to_text")
"""Retrieval directions, named query_to_gallery."""

ALL_LANGUAGES = "all"
"""Value of `language` in a row that speaks of a run over all its languages."""


@dataclass(frozen=True)
class Column:
    """One column: its pandas dtype, its unit and what it means."""

    name: str
    dtype: str
    unit: str
    meaning: str
    nullable: bool = False


@dataclass(frozen=True)
class Table:
    """One result table; `key` are the columns that together name a row."""

    name: str
    columns: tuple[Column, ...]
    key: tuple[str, ...]

    @property
    def names(self) -> list[str]:
        return [column.name for column in self.columns]


class RecordError(ValueError):
    """A table does not follow its schema."""


_CELL = Column("cell", "str", "-", "run, {arch}-{size}-{method}-s{seed}; teachers {arch}-teacher")
_LANGUAGE = Column("language", "str", "-", "language code of the corpus")

CELLS = Table(
    "cells",
    (
        _CELL,
        Column("role", "str", "-", "student or teacher"),
        Column("arch", "str", "-", "architecture family"),
        Column("size", "str", "-", "size factor; full for a teacher"),
        Column("method", "str", "-", "distillation method; none is the control; teacher for a teacher"),
        Column("seed", "int64", "-", "seed of initialisation and batch order"),
        Column("towers", "str", "-", "towers that were trained: text, both, or none of a published teacher"),
        Column("parameters", "int64", "parameters", "all parameters of the model"),
        Column("text_parameters", "int64", "parameters", "text tower, total"),
        Column("text_vocabulary_parameters", "int64", "parameters", "text tower, token table"),
        Column("text_fraction", "float64", "1", "text tower as a fraction of its teacher's"),
        Column("image_parameters", "int64", "parameters", "image tower"),
        Column("vocabulary", "int64", "tokens", "size of the token table"),
        Column("learning_rate", "float64", "1", "peak learning rate"),
        Column("steps", "int64", "steps", "optimiser steps"),
        Column("items", "int64", "items", "image-caption items seen"),
        Column("captions", "int64", "captions", "captions encoded by the model in training"),
        Column("flops", "float64", "FLOP", "training cost, forward and backward, estimated"),
        Column("device", "str", "-", "cpu or the GPU's name"),
        Column("fingerprint", "str", "-", "hash of everything that determined the run"),
    ),
    ("cell",),
)

RETRIEVAL = Table(
    "retrieval",
    (
        _CELL,
        _LANGUAGE,
        Column("direction", "str", "-", "text_to_image or image_to_text"),
        Column("metric", "str", "-", "see RETRIEVAL_METRICS"),
        Column("protocol", "str", "-", "which captions count as relevant, and the gallery"),
        Column("score", "float64", "fraction", "mean over queries"),
        Column("queries", "int64", "queries", "number of queries"),
        Column("gallery", "int64", "items", "size of the gallery"),
    ),
    ("cell", "language", "direction", "metric", "protocol"),
)

CONSISTENCY = Table(
    "consistency",
    (
        _CELL,
        _LANGUAGE,
        Column("construct", "str", "-", "see CONSISTENCY_CONSTRUCTS"),
        Column("score", "float64", "see construct", "mean over partner languages and queries"),
        Column("queries", "int64", "queries", "parallel queries"),
        Column("partners", "int64", "languages", "partner languages averaged over"),
    ),
    ("cell", "language", "construct"),
)

VQA = Table(
    "vqa",
    (
        _CELL,
        _LANGUAGE,
        Column("question", "str", "-", "question id, the same in every language"),
        Column("type", "str", "-", "question type"),
        Column("chosen", "int8", "-", "option chosen; option ids are the same in every language"),
        Column("answer", "int8", "-", "option that is right"),
        Column("correct", "bool", "-", "chosen == answer"),
    ),
    ("cell", "language", "question"),
)

STABILITY = Table(
    "stability",
    (
        Column("level", "str", "-", "run (a cell) or group (a method x arch x size over its seeds)"),
        Column("cell", "str", "-", "the run, or {arch}-{size}-{method} of the group"),
        Column("arch", "str", "-", "architecture family"),
        Column("size", "str", "-", "size factor"),
        Column("method", "str", "-", "distillation method"),
        Column("seed", "Int64", "-", "seed; empty for a group", nullable=True),
        _LANGUAGE,
        Column("construct", "str", "-", "see STABILITY_CONSTRUCTS"),
        Column("score", "float64", "see construct", "the value", nullable=True),
        Column("n", "int64", "items", "questions behind the value"),
    ),
    ("cell", "language", "construct"),
)

PAIRS = Table(
    "pairs",
    (
        _CELL,
        _LANGUAGE,
        Column("partner", "str", "-", "the other language; each pair has one row, language before partner by code"),
        Column("measure", "str", "-", "see PAIR_MEASURES"),
        Column("score", "float64", "fraction", "over the questions that both languages ask"),
        Column("n", "int64", "questions", "questions that both languages ask"),
    ),
    ("cell", "language", "partner", "measure"),
)

COLLAPSE = Table(
    "collapse",
    (
        _CELL,
        _LANGUAGE,
        Column("indicator", "str", "-", "see COLLAPSE_INDICATORS"),
        Column("score", "float64", "see indicator", "the value"),
    ),
    ("cell", "language", "indicator"),
)

ITEMS = Table(
    "items",
    (
        _CELL,
        Column("measure", "str", "-", "a metric of retrieval or a construct of consistency"),
        Column("item", "str", "-", "test image, the same in every run"),
        Column("score", "float64", "see measure", "mean over languages, directions and captions"),
    ),
    ("cell", "measure", "item"),
)

DIVERGED = Table(
    "diverged",
    (
        Column("cell", "str", "-", "student that diverged in training; it is in no other table"),
        Column("arch", "str", "-", "architecture family"),
        Column("size", "str", "-", "size factor"),
        Column("method", "str", "-", "distillation method"),
        Column("seed", "int64", "-", "seed of initialisation and batch order"),
        Column("step", "int64", "steps", "the step at which it was seen"),
        Column("reason", "str", "-", "what was seen, and the learning rate"),
        Column("learning_rate", "float64", "1", "peak learning rate"),
        Column("device", "str", "-", "cpu or the GPU's name"),
        Column("fingerprint", "str", "-", "hash of everything that determined the run"),
    ),
    ("cell",),
)

OPTIONAL_TABLES: Mapping[str, Table] = {t.name: t for t in (PAIRS, COLLAPSE, ITEMS, DIVERGED)}
"""Tables that a folder of results may lack."""

TABLES: Mapping[str, Table] = {t.name: t for t in (CELLS, RETRIEVAL, CONSISTENCY, VQA, STABILITY)}


def check(frame: pd.DataFrame, table: Table) -> pd.DataFrame:
    """Return `frame` with the columns of `table`, in order and of its dtypes.

    Raises:
        RecordError: a column is missing or unknown, a value does not fit its dtype (a cast that would change it is
            refused: "False" is not a bool, 300 no int8, 0.5 no integer), a value that must be there is empty or
            infinite, or two rows have the same key.
    """
    missing = [name for name in table.names if name not in frame.columns]
    unknown = [str(name) for name in frame.columns if name not in table.names]
    if missing or unknown:
        raise RecordError(
            f"table {table.name!r}: missing columns {missing}, unknown columns {unknown}; its columns are {table.names}"
        )
    out = {}
    for column in table.columns:
        values = frame[column.name]
        if not column.nullable and values.isna().any():
            row = int(values.isna().to_numpy().argmax())
            raise RecordError(f"table {table.name!r}, column {column.name!r}: empty value in row {row}")
        out[column.name] = _cast(values, column, table)
        if column.dtype.startswith("float") and np.isinf(out[column.name]).any():
            row = int(np.isinf(out[column.name].to_numpy()).argmax())
            raise RecordError(f"table {table.name!r}, column {column.name!r}: infinite value in row {row}")
    checked = pd.DataFrame(out)
    twice = checked.duplicated(subset=list(table.key))
    if twice.any():
        first = checked.loc[twice, list(table.key)].iloc[0].to_dict()
        raise RecordError(f"table {table.name!r}: {int(twice.sum())} rows repeat a key, the first is {first}")
    return checked


def _cast(values: pd.Series, column: Column, table: Table) -> pd.Series:
    """`values` in the column's dtype; what a cast would change is refused."""
    where = f"table {table.name!r}, column {column.name!r}"
    text = pd.api.types.is_string_dtype(values.dtype) or values.dtype == object
    number = column.dtype.lower().startswith(("int", "float"))
    if column.dtype != "bool" and pd.api.types.is_bool_dtype(values) and not values.empty:
        raise RecordError(f"{where}: holds True and False, not {'numbers' if number else 'names'}")
    if column.dtype == "bool" and not values.empty:
        # bool("False") is True, and so is bool(0.3).
        known = [isinstance(v, bool | np.bool_) for v in values] if text else values.isin([True, False])
        wrong = ~np.asarray(known, dtype=bool)
        if wrong.any():
            row = int(wrong.argmax())
            raise RecordError(f"{where}: {values.iloc[row]!r} in row {row} is not True or False")
    if number and text and not values.empty:
        values = pd.Series(_numbers(values, where), index=values.index)
    try:
        cast = values.astype(pd.api.types.pandas_dtype(column.dtype))
    except (TypeError, ValueError, OverflowError) as error:
        raise RecordError(f"{where}: not {column.dtype}: {error}") from None
    if column.dtype.lower().startswith("int"):
        given = values.notna()
        changed = (values[given].astype(float) != cast[given].astype(float)).to_numpy()
        if changed.any():
            first = np.asarray(values[given])[int(changed.argmax())]
            raise RecordError(f"{where}: {first} is not a whole number that fits {column.dtype}")
    return cast


def _numbers(values: pd.Series, where: str) -> np.ndarray:
    """Objects that hold numbers (None among them) as floats; text is refused, even if it spells a number."""
    wrong = values.map(lambda v: isinstance(v, str | bool | np.bool_))
    if wrong.any():
        row = int(wrong.to_numpy().argmax())
        raise RecordError(f"{where}: {values.iloc[row]!r} in row {row} is not a number")
    return pd.to_numeric(values).to_numpy(dtype=float)
