"""Which methods ran where, and the design of the crossed model that follows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from analysis.data.load import Outcome, StudyData
from analysis.mixed import model as mixed
from analysis.settings import AnalysisSettings

AVERAGE = "average"
"""Value of arch and size in a contrast averaged over all of them."""

DECLARED = "average, declared"

Cell = tuple[str, str]
"""An architecture and a size."""


@dataclass(frozen=True)
class Layout:
    """Which methods ran in which arch x size, and the columns of the cell-means design."""

    control: str
    methods: tuple[str, ...]  # without the control
    places: tuple[Cell, ...]  # arch x size
    columns: tuple[tuple[str, str, str], ...]  # (arch, size, method) with at least one run

    @classmethod
    def of(cls, frame: pd.DataFrame, study: StudyData, control: str) -> Layout:
        seen = set(zip(frame["arch"], frame["size"], frame["method"], strict=True))
        columns = [(a, s, m) for a in study.archs for s in study.sizes for m in study.methods if (a, s, m) in seen]
        places = list(dict.fromkeys((a, s) for a, s, _ in columns))
        return cls(control, tuple(m for m in study.methods if m != control), tuple(places), tuple(columns))

    def shared(self, method: str) -> list[Cell]:
        """Places in which both the method and the control ran."""
        return [c for c in self.places if (*c, method) in self.columns and (*c, self.control) in self.columns]

    def row(self, method: str, place: Cell, width: int) -> np.ndarray:
        row = np.zeros(width)
        row[self.columns.index((*place, method))] = 1.0
        row[self.columns.index((*place, self.control))] = -1.0
        return row

    def within(self, method: str, where: Cell) -> list[Cell]:
        """Shared places that `where` covers."""
        return [place for place in self.shared(method) if covers(where, place)]

    def average(self, method: str, width: int, where: Cell = (AVERAGE, AVERAGE)) -> np.ndarray:
        """Coefficients of the method minus the control, averaged over the shared places that `where` covers."""
        return np.asarray(np.mean([self.row(method, place, width) for place in self.within(method, where)], axis=0))


def covers(where: Cell, place: Cell) -> bool:
    """Whether `where`, in which AVERAGE stands for every level, covers a place."""
    return all(wanted in (AVERAGE, level) for wanted, level in zip(where, place, strict=True))


def contrast_places(layout: Layout) -> list[Cell]:
    """Rows of the contrast table: the average, each architecture, each size, each place; none of them twice."""
    archs, sizes = (list(dict.fromkeys(levels)) for levels in zip(*layout.places, strict=True))
    out: list[Cell] = [(AVERAGE, AVERAGE)]
    if len(archs) > 1 and len(sizes) > 1:
        out += [(arch, AVERAGE) for arch in archs] + [(AVERAGE, size) for size in sizes]
    return [*out, *(layout.places if len(layout.places) > 1 else ())]


def kind(place: Cell) -> str:
    """What a row of the contrast table averages over, in words; rows of one kind are one family of contrasts."""
    arch, size = (level != AVERAGE for level in place)
    if arch and size:
        return "by architecture and size"
    return "by architecture" if arch else "by size" if size else "average"


def contrast_families(
    outcome: str, keys: Sequence[tuple[Cell, str]], settings: AnalysisSettings
) -> list[tuple[str, list[int], int]]:
    """Which contrasts are judged together: name, row numbers and Bonferroni factor of each family.

    The declared contrasts of an outcome, averaged over architectures and sizes, are a family; with `family: study`
    they share the level with the other primary outcomes. Methods that were not declared are a family by themselves,
    so that nobody pays for them. Rows by architecture, by size and by both are a family each, over all its methods
    and places.

    Args:
        outcome: name of the outcome.
        keys: place and method of each row.
        settings: the declared contrasts and family.
    """
    found: dict[str, list[int]] = {}
    for row, (place, method) in enumerate(keys):
        which = kind(place)
        if which == "average":
            which = DECLARED if settings.declared(outcome, method) else "average, not declared"
        found.setdefault(which, []).append(row)
    widened = len(settings.primary) if settings.family == "study" else 1
    return [
        (f"{outcome}, {which}" + (f", with {widened} primary outcomes" if which == DECLARED and widened > 1 else ""),
         rows, widened if which == DECLARED else 1)
        for which, rows in found.items()
    ]  # fmt: skip


def is_average(table: pd.DataFrame) -> pd.Series:
    """Rows of a table that average over architectures and sizes."""
    return (table["arch"] == AVERAGE) & (table["size"] == AVERAGE)


@dataclass(frozen=True)
class CrossedDesign:
    """Fixed-effect columns x [n, p], random terms and the formula in words."""

    x: np.ndarray
    terms: list[mixed.Term]
    formula: str


def crossed_design(
    outcome: Outcome,
    study: StudyData,
    layout: Layout,
    settings: AnalysisSettings,
    own: bool,
    covariates: Mapping[str, np.ndarray] | None = None,
) -> CrossedDesign:
    """The crossed model of run x language scores; `own` gives each method its own run variance.

    `covariates` [n each] are linear terms: differences between methods are then those at equal values of them.

    Columns of the design are the cell means of arch x size x method, which span method * arch * size. What a
    small model costs differs between languages, and so does what a method gives there: without language terms
    for architecture x size, and for method within it, that spread would pass for noise of single scores, of
    which there are thousands. With languages as fixed effects, sum-to-zero columns follow for languages, for
    language x method and for language x (arch, size), so that the cell means stay averages over languages.
    """
    frame = outcome.frame
    key = pd.MultiIndex.from_frame(frame[["arch", "size", "method"]])
    column = pd.MultiIndex.from_tuples(layout.columns).get_indexer(key)
    x = (column[:, None] == np.arange(len(layout.columns))).astype(float)
    block = frame["arch"] + "|" + frame["size"] + "|" + frame["seed"].astype(str)
    fixed = " * ".join(["method", *(f for f in ("arch", "size") if frame[f].nunique() > 1)])
    terms, words = [], []
    if block.nunique() > len(layout.places):
        terms.append(mixed.Term.of("block", block))
        words.append("(1 | block)")
    if own:
        present = [m for m in study.methods if (frame["method"] == m).any()]
        terms += [mixed.Term.of(f"run {m}", frame["cell"], (frame["method"] == m).to_numpy()) for m in present]
        words.append("(1 | run), its own variance for each method")
    else:
        terms.append(mixed.Term.of("run", frame["cell"]))
        words.append("(1 | run)")
    places = [f for f in ("arch", "size") if frame[f].nunique() > 1]
    if settings.languages == "random":
        for factors in ([], ["method"], places, [*places, "method"] if places else []):
            name = ":".join(["language", *factors])
            if name not in {term.name for term in terms}:
                terms.append(mixed.Term.of(name, _joined(frame, ["language", *factors])))
                words.append(f"(1 | {name})")
    else:
        x = np.hstack([x, _language_columns(frame, layout)])
        fixed += " + language * method" + (f" + language * {' * '.join(places)}" if places else "")
    for name, values in (covariates or {}).items():
        # Centred and scaled: neither moves the differences, and dependence is then judged without units.
        x = np.column_stack([x, (values - values.mean()) / values.std()])
        fixed += f" + {name}"
    return CrossedDesign(x, terms, " + ".join([f"score ~ {fixed}", *words]))


def varies_within(frame: pd.DataFrame, values: np.ndarray) -> bool:
    """Whether a covariate [n] varies within some architecture, size and method: else its slope cannot be told."""
    within = pd.Series(values, index=frame.index).groupby([frame["arch"], frame["size"], frame["method"]])
    return bool((within.max() - within.min()).max() > 1e-9 * max(float(np.abs(values).max()), 1e-300))


def _joined(frame: pd.DataFrame, columns: list[str]) -> pd.Series:
    """The columns' values with a bar between them: one level for each combination."""
    out = frame[columns[0]]
    for column in columns[1:]:
        out = out + "|" + frame[column]
    return out


def _language_columns(frame: pd.DataFrame, layout: Layout) -> np.ndarray:
    """Sum-to-zero columns of language, and of its product with each method but the control and each further place."""
    codes, levels = pd.factorize(frame["language"], sort=True)
    basis = np.vstack([np.eye(len(levels) - 1), -np.ones(len(levels) - 1)])[codes]
    products = [basis * (frame["method"] == m).to_numpy()[:, None] for m in layout.methods]
    for arch, size in layout.places[1:]:
        products.append(basis * ((frame["arch"] == arch) & (frame["size"] == size)).to_numpy()[:, None])
    return np.hstack([basis, *products])
