"""How fast, and how near, is analysis.mixed.model beside lme4 and lmerTest on the same simulated studies?

    python benchmarks/mixed_speed.py [--skip-slow]

Each row of the table is one data set fitted by both: model frame, fit, Satterthwaite degrees of freedom of
every coefficient, contrasts of each method with the control. Seconds are of the processor, so that other work
on the machine counts for neither side; R's leave out its start and the loading of packages. The last columns
are the largest difference of the contrasts: estimates in standard errors, standard errors and degrees of
freedom relative to R's; and the criterion less R's (lower is better).
The data are balanced, where estimates do not depend on the variances: tests/oracles has data that are not.
R and its packages, on Debian or Ubuntu (emmeans is for tests/oracles):

    apt install r-base-core r-cran-lme4 r-cran-lmertest r-cran-emmeans
"""

from __future__ import annotations

import argparse
import itertools
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from analysis.mixed import model as mixed

SCRIPT = Path(__file__).with_suffix(".R")
INSTALL = "apt install r-base-core r-cran-lme4 r-cran-lmertest"
METHODS = ("none", "fd", "ed", "sd", "mcl", "dr")
LANGUAGES = 28
RUN_SD = dict(zip(METHODS, (1.0, 0.6, 1.5, 0.8, 2.5, 1.2), strict=True))
SDS = {"block": 1.2, "language": 5.0, "language:method": 0.9}
PLACE_SDS = {"language:arch:size": 2.0, "language:arch:size:method": 0.8}
COLUMNS = {
    "block": ["arch", "size", "seed"],
    "run": ["arch", "size", "method", "seed"],
    **{name: name.split(":") for name in ("language", "language:method", *PLACE_SDS)},
}


@dataclass(frozen=True)
class Case:
    """One data set and model: `own` run variances, `full` with languages differing by place, several tasks."""

    seeds: int
    places: int = 1  # levels of arch, and of size
    own: bool = False
    full: bool = False
    tasks: int = 1
    repeats: int = 3
    slow: bool = False

    @property
    def factors(self) -> list[str]:
        return [*(["task"] if self.tasks > 1 else []), "method", *(["arch", "size"] if self.places > 1 else [])]

    @property
    def terms(self) -> list[str]:
        """Names of the random terms; with several tasks each is there for all of them, and for each by itself."""
        names = ["block", "run", "language", "language:method", *(PLACE_SDS if self.full else ())]
        return names if self.tasks == 1 else [n + by for n in names for by in ("", ":task")]

    @property
    def label(self) -> str:
        parts = ["full" if self.full else "spec", "run variance per method" if self.own else "one run variance"]
        return ", ".join(parts + (["two tasks"] if self.tasks > 1 else []))


CASES = (
    *(Case(3, own=own) for own in (False, True)),
    *(Case(3, 2, own=own) for own in (False, True)),
    *(Case(3, 2, own=own, full=True) for own in (False, True)),
    *(Case(15, 2, own=own, repeats=1, slow=True) for own in (False, True)),
    Case(15, 2, tasks=2, repeats=1, slow=True),
)


def simulate(case: Case, rng: np.random.Generator) -> pd.DataFrame:
    """Factors, score and one column for each random term of the model."""
    levels = {
        "task": range(case.tasks), "arch": range(case.places), "size": range(case.places),
        "method": METHODS, "seed": range(case.seeds), "language": range(LANGUAGES),
    }  # fmt: skip
    frame = pd.DataFrame(itertools.product(*levels.values()), columns=list(levels))
    for name in ("task", "arch", "size", "language"):
        frame[name] = name + frame[name].astype(str)
    score = 40.0 + frame["method"].map({m: 2.0 * i for i, m in enumerate(METHODS)}).to_numpy()
    score += 3.0 * (frame["arch"] == "arch1") - 4.0 * (frame["size"] == "size1") + rng.normal(size=len(frame))
    for name in case.terms:
        base = name.removesuffix(":task")
        keys = [*COLUMNS[base], *(["task"] if base != name else [])]
        frame[name] = frame[keys].astype(str).agg("|".join, axis=1)
        codes, found = pd.factorize(frame[name])
        sd = frame["method"].map(RUN_SD).to_numpy() if base == "run" else {**SDS, **PLACE_SDS}[base]
        score += sd * (1.0 if base == name else 0.5) * rng.normal(size=len(found))[codes]
    return frame.assign(score=score.round(6))


Data = tuple[pd.DataFrame, pd.DataFrame, np.ndarray]
"""What both sides read: rows, cells and weights."""


def contrasts(case: Case, frame: pd.DataFrame) -> tuple[pd.DataFrame, np.ndarray]:
    """Cells [c] of the fixed factors, and weights [m, c]: each method less the control, in each place and averaged."""
    cells = frame[case.factors].drop_duplicates().reset_index(drop=True)
    others = [f for f in case.factors if f != "method"]
    place = cells[others].agg("|".join, axis=1) if others else pd.Series("", index=cells.index)
    rows = []
    for method in METHODS[1:]:
        sign = np.select([cells["method"] == method, cells["method"] == METHODS[0]], [1.0, -1.0], 0.0)
        rows += [sign * (place == p).to_numpy() for p in place.unique()]
        rows += [sign / place.nunique()] if others else []
    return cells, np.array(rows)


def in_python(case: Case, data: Data) -> tuple[pd.DataFrame, float]:
    """Estimate, se, df of each contrast, and the criterion."""
    frame, cells, weights = data
    codes = pd.MultiIndex.from_frame(cells).get_indexer(pd.MultiIndex.from_frame(frame[case.factors]))
    x = np.eye(len(cells))[codes]
    terms = []
    for name in case.terms:
        # As in the R formula: a term for each method's rows, which apply to no other.
        split = METHODS if case.own and name == "run" else (None,)
        for method in split:
            where = None if method is None else (frame["method"] == method).to_numpy()
            terms.append(mixed.Term.of(f"{name} {method or ''}", frame[name], where))
    fit = mixed.fit(frame["score"], x, terms)
    fit.contrast(np.eye(len(cells)))
    return fit.contrast(weights), fit.criterion


def in_r(case: Case, data: Data, limit: float) -> pd.DataFrame | None:
    """Columns estimate, se, df, seconds, criterion; None when R took longer than `limit` seconds."""
    frame, cells, weights = data
    plain = {name: "key_" + name.replace(":", "_") for name in case.terms}
    random = []
    for name, column in plain.items():
        own = case.own and name == "run"
        random += [f'(0 + dummy(method, "{m}") | {column})' for m in METHODS] if own else [f"(1 | {column})"]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        keys = frame[list(plain)].rename(columns=plain)
        pd.concat([frame[[*case.factors, "score"]], keys], axis=1).to_csv(folder / "data.csv", index=False)
        cells.to_csv(folder / "cells.csv", index=False)
        pd.DataFrame(weights).to_csv(folder / "weights.csv", index=False)
        command = ["Rscript", str(SCRIPT), str(folder), " * ".join(case.factors), " + ".join(random), str(case.repeats)]
        try:
            subprocess.run(command, check=True, timeout=limit)
        except subprocess.TimeoutExpired:
            return None
        return pd.read_csv(folder / "found.csv")


HEADINGS = ("rows", "model", "python s", "R s", "R/python", "estimate", "se", "df", "criterion")
WIDTHS = (7, 43, 10, 12, 9, 9, 9, 9, 10)


def line(values: Sequence[str]) -> str:
    return " ".join(v.ljust(w) if i == 1 else v.rjust(w) for i, (v, w) in enumerate(zip(values, WIDTHS, strict=True)))


def compare(case: Case, limit: float) -> str:
    frame = simulate(case, np.random.default_rng(1))
    data = (frame, *contrasts(case, frame))
    seconds = []
    for _ in range(case.repeats):
        begin = time.process_time()
        table, criterion = in_python(case, data)
        seconds.append(time.process_time() - begin)
    ours = float(np.median(seconds))
    start = [f"{len(frame):,}", case.label, f"{ours:.2f}"]
    found = in_r(case, data, limit)
    if found is None:
        return line([*start, f"over {limit:.0f}", f"> {limit / ours:.0f}", *["-"] * 4])
    theirs = float(found["seconds"].iloc[0])
    near = [
        ((table["estimate"] - found["estimate"]).abs() / found["se"]).max(),
        (table["se"] / found["se"] - 1).abs().max(),
        (table["df"] / found["df"] - 1).abs().max(),
    ]
    lower = criterion - float(found["criterion"].iloc[0])
    return line([*start, f"{theirs:.2f}", f"{theirs / ours:.1f}", *(f"{v:.0e}" for v in near), f"{lower:+.0e}"])


def check_r() -> str | None:
    """What is missing, in words."""
    if shutil.which("Rscript") is None:
        return f"Rscript is not on the path: {INSTALL}"
    found = subprocess.run(["Rscript", str(SCRIPT), "check"], capture_output=True, text=True)
    return None if found.returncode == 0 else f"{found.stderr.strip()}: {INSTALL}"


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--skip-slow", action="store_true", help="leave out the rows of minutes")
    parser.add_argument("--limit", type=float, default=300, help="seconds on the clock that R may take for a row (300)")
    options = parser.parse_args()
    missing = check_r()
    if missing:
        print(missing, file=sys.stderr)
        return 1
    print(line(HEADINGS))
    for case in CASES:
        if not (case.slow and options.skip_slow):
            print(compare(case, options.limit), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
