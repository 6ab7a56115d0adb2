"""Do the printed p values and intervals hold their level? Type I error and coverage on simulated studies.

    python benchmarks/calibration.py [--studies 500] [--seeds 3 5 10] [--scenarios null run] [--jobs 2]
        [--finished]

Draws studies with known effects in the project's own schema and sends each through `analysis.contrasts.analyse`
(run-level scores also through `analysis.tradeoff.analyse`), as the report does. No part of the drawing is shared
with the analysis. Finished chunks lie in .scratch/calibration, so a run that was ended goes on where it stood.

In scenario "effect" two methods truly differ from the control by EFFECT points, in all others none does. "error" is
the share of p values under .05 of methods that do not differ, "power" the share of adjusted ones of methods that do,
"familywise" the share of data sets in which an adjusted p of a method that does not differ is under .05. "cover" is
the share of intervals that hold the true difference in the population of languages, "tested" the share that hold the
difference averaged over the languages drawn, which is what run means speak of.
"""

from __future__ import annotations

import argparse
import hashlib
import inspect
import json
import os
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import scipy

from analysis import contrasts, frames, tradeoff
from analysis.settings import Settings
from pipeline.sources import ROOT, code_hash
from study import records

ARCHS, SIZES = ("clip", "siglip2"), ("half",)
METHODS = ("none", "fd", "ed", "sd", "mcl", "dr")
LANGUAGES = tuple(f"l{i:02d}" for i in range(16))
SD = {"block": 0.8, "run": 0.7, "language": 10.0, "language:place": 4.0, "language:place:method": 0.8, "residual": 1.0}
"""Points. A place is an architecture and a size."""
LANGUAGE_METHOD, NOISY, TIMES = 1.0, "mcl", 3.0
SCENARIOS = {
    "null": (False, False),
    "language": (True, False),
    "run": (False, True),
    "both": (True, True),
    "effect": (True, True),
}
"""Scenario -> whether there is a language:method variance, whether NOISY has TIMES the run sd."""
EFFECT = 1.5
RUN_LEVEL = ("null", "run", "effect")
"""Scenarios of run-level scores, which have no languages."""
KINDS = ("run x language", "run")
WATCHED = ("fd", NOISY)
TRUTH = {"effect": dict.fromkeys(WATCHED, EFFECT)}
"""Scenario -> true differences from the control, points; 0 where not named."""
CHUNK, ALPHA = 25, 0.05
COLUMNS = ["index", "analysis", "method", "p", "p_adjusted", "ci_low", "ci_high", "tested", "converged"]
STORE = ROOT / ".scratch" / "calibration"


def simulate(
    kind: str, scenario: str, seeds: int, index: int, effects: Mapping[str, float] | None = None
) -> tuple[frames.Study, dict[str, float]]:
    """A study whose true differences from the control are `effects`, points; the scenario's TRUTH without them.

    Returns:
        The study, and for each method the true difference averaged over the languages drawn.
    """
    by_method, noisy = SCENARIOS[scenario]
    effects = TRUTH.get(scenario, {}) if effects is None else effects
    entropy = [KINDS.index(kind), list(SCENARIOS).index(scenario), seeds, index]
    rng = np.random.default_rng(np.random.SeedSequence(entropy))
    places, m, n = [(a, s) for a in ARCHS for s in SIZES], len(METHODS), len(LANGUAGES)
    run_sd = np.where([noisy and method == NOISY for method in METHODS], TIMES, 1.0) * SD["run"]
    truth, level = np.array([effects.get(method, 0.0) for method in METHODS]), np.zeros(m)
    means = np.array([0.0, 3.0])[:, None, None] + truth

    def runs() -> np.ndarray:
        block = rng.normal(0, SD["block"], (len(places), seeds, 1))
        return np.asarray(50 + means + block + rng.normal(0, run_sd, (len(places), seeds, m)))

    grid = [(f"{a}-{s}-{k}-s{i}", a, s, k, i) for a, s in places for i in range(seeds) for k in METHODS]
    cells = pd.DataFrame(grid, columns=frames.FACTORS)
    empty = pd.DataFrame()
    headlines = {}
    if kind == "run":
        for name in ("stability", "consistency"):
            headlines[name] = frames.Outcome(name, name, "", cells.assign(score=runs().ravel()), empty, False)
    else:
        own = rng.normal(0, LANGUAGE_METHOD, (m, n)) if by_method else np.zeros((m, n))
        special = own + rng.normal(0, SD["language:place:method"], (len(places), m, n))
        common = rng.normal(0, SD["language"], n) + rng.normal(0, SD["language:place"], (len(places), n))
        scores = runs()[..., None] + common[:, None, None] + special[:, None]
        scores += rng.normal(0, SD["residual"], scores.shape)
        frame = cells.loc[cells.index.repeat(n)].reset_index(drop=True)
        frame = frame.assign(language=np.tile(LANGUAGES, len(cells)), score=scores.ravel())
        headlines["retrieval"] = frames.Outcome("retrieval", "retrieval", "", frame, empty, True)
        level = special.mean(axis=(0, 2))
    study = frames.Study(
        cells, headlines, {}, empty, list(LANGUAGES), {}, list(METHODS), list(ARCHS), list(SIZES), len(cells),
        [], [], [], [], "",
    )  # fmt: skip
    return study, dict(zip(METHODS, truth + level - level[0], strict=True))


def answers(study: frames.Study, tested: Mapping[str, float], index: int) -> pd.DataFrame:
    """What every analysis of a study says of the averaged contrasts; see COLUMNS."""
    settings = Settings(alpha=ALPHA)
    result = contrasts.analyse(next(iter(study.headlines.values())), study, settings)
    declared = result.marginal()
    parts = [declared.assign(analysis=f"declared: {result.procedure}")]
    if not result.sensitivity.empty:
        parts.append(result.sensitivity[result.sensitivity["analysis"] != result.procedure])
    joint = [{"method": t.method, "p": t.p_joint} for t in tradeoff.analyse(study, settings)]
    if joint:  # the origin is outside the region just where p_joint < alpha
        parts.append(pd.DataFrame(joint).assign(analysis="trade-off, joint region"))
    table = pd.concat([part.reindex(columns=COLUMNS) for part in parts], ignore_index=True)
    table["converged"] = all(fit is None or fit.converged for fit in (result.fit, result.pooled))
    return table.assign(index=index, tested=table["method"].map(dict(tested)))


def written_and_read(study: frames.Study, folder: Path) -> frames.Study:
    """The study after its way through parquet files and `frames.load`."""
    outcome = next(iter(study.headlines.values()))
    score = outcome.frame["score"] / 100
    raw: dict[str, list[pd.DataFrame]] = {name: [] for name in records.TABLES}
    raw["cells"] = [study.cells.assign(role="student", towers="both", device="-", fingerprint="-")]
    if outcome.by_language:
        base = outcome.frame[["cell", "language"]].assign(metric="map@10", protocol="-")
        for direction, shift in zip(records.DIRECTIONS, (0.01, -0.01), strict=True):
            raw["retrieval"].append(base.assign(direction=direction, score=score + shift))
    else:
        base = outcome.frame[frames.FACTORS].assign(level="run", language=records.ALL_LANGUAGES)
        raw["stability"] = [base.assign(construct="agreement", score=score)]
    for name, table in records.TABLES.items():
        frame = pd.concat(raw[name], ignore_index=True) if raw[name] else pd.DataFrame()
        other = {c.name: 0 for c in table.columns if c.name not in frame.columns}  # columns no analysis reads
        records.check(frame.assign(**other), table).to_parquet(folder / f"{name}.parquet", index=False)
    return frames.load(folder, Settings())


def check() -> None:
    """The objects made here are what the report would read, and a true effect only shifts what is said of it."""
    for kind in KINDS:
        study, tested = simulate(kind, "both", 3, 0)
        study.headlines.pop("consistency", None)
        with tempfile.TemporaryDirectory() as folder:
            read = written_and_read(study, Path(folder))
        if (read.methods, read.archs, read.sizes) != (study.methods, study.archs, study.sizes):
            raise SystemExit(f"{kind}: other factors after frames.load: {read.methods} {read.archs} {read.sizes}")
        other, _ = simulate(kind, "both", 3, 0, {"fd": 2.0})
        other.headlines.pop("consistency", None)
        here, there, moved = (answers(s, tested, 0).set_index(["analysis", "method"]) for s in (study, read, other))
        shift = 2.0 * (here.index.get_level_values("method") == "fd")
        expected = here.assign(ci_low=here["ci_low"] + shift, ci_high=here["ci_high"] + shift)
        # Scores turn from points to fractions and back, and the search for variances ends by a tolerance.
        for what, got, want, columns in (
            ("frames.load", there, here, ["p", "p_adjusted", "ci_low", "ci_high"]),
            ("a true effect of 2 points", moved, expected, ["ci_low", "ci_high"]),
        ):
            if not got.index.equals(want.index) or not np.allclose(got[columns], want[columns], 0, 1e-5, True):
                raise SystemExit(f"{kind}: other numbers after {what}\n{got[columns]}\n{want[columns]}")


def chunk_file(kind: str, scenario: str, seeds: int, start: int, stop: int, code: str) -> Path:
    """Where a chunk lies: under a key of the code and the numbers that make it."""
    spec = [SD, LANGUAGE_METHOD, NOISY, TIMES, SCENARIOS, TRUTH, KINDS, ARCHS, SIZES, METHODS, LANGUAGES, ALPHA, code]
    spec += [np.__version__, scipy.__version__, pd.__version__]
    text = json.dumps([spec, inspect.getsource(simulate), inspect.getsource(answers)])
    key = hashlib.sha256(text.encode()).hexdigest()[:12]
    return STORE / key / f"{kind.replace(' ', '')}-{scenario}-{seeds}-{start}-{stop}.csv"


def work(kind: str, scenario: str, seeds: int, start: int, stop: int, path: Path) -> float:
    """Simulate and analyse the data sets start to stop; returns seconds for each."""
    begin = time.perf_counter()
    parts = [answers(*simulate(kind, scenario, seeds, index), index) for index in range(start, stop)]
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_suffix(f".{os.getpid()}")
    pd.concat(parts).to_csv(partial, index=False)
    os.replace(partial, path)
    return (time.perf_counter() - begin) / (stop - start)


def share(hits: pd.Series, sets: pd.Series, nominal: float = np.nan) -> str:
    """Percent of `hits` with its standard error over data sets; '!': more than two of them beyond nominal +-1 point."""
    if not len(hits):
        return "-"
    by_set = hits.groupby(sets).mean()
    kept = (hits.sum() + 2) / (len(hits) + 4)  # no error of 0 where nothing was hit
    spread = float(by_set.std(ddof=1)) if len(by_set) > 1 else 0.0
    error = max(spread / np.sqrt(len(by_set)), float(np.sqrt(kept * (1 - kept) / len(hits))))
    mark = "!" if abs(hits.mean() - nominal) > 0.01 + 2 * error else " "
    return f"{100 * hits.mean():.1f} ({100 * error:.1f}){mark}"


def lines(scored: pd.DataFrame, truth: Mapping[str, float]) -> list[dict[str, Any]]:
    """One line of the printed table for each analysis; `truth` are the differences that are not 0.

    The methods but NOISY are drawn alike, so that their rates are one number ("others"), four times as well known.
    """
    found = []
    for analysis, table in scored.groupby("analysis", sort=False):
        known = table[table["p"].notna()]
        line: dict[str, Any] = {"analysis": analysis, "sets": table["index"].nunique()}
        noisy, same = known["method"] == NOISY, ~known["method"].isin(list(truth))
        for name, rows in (("others", ~noisy), (NOISY, noisy)):
            null, real = known[rows & same], known[rows & ~same & known["p_adjusted"].notna()]
            line[f"error {name}"] = share(null["p"] < ALPHA, null["index"], ALPHA)
            line[f"power {name}"] = share(real["p_adjusted"] < ALPHA, real["index"])
        family = table[~table["method"].isin(list(truth))].dropna(subset="p_adjusted")
        family = family.groupby("index")["p_adjusted"].min().reset_index()
        line["familywise"] = share(family["p_adjusted"] < ALPHA, family["index"], ALPHA)
        ends = table[table["ci_low"].notna()]
        noisy = ends["method"] == NOISY
        for name, true in (
            ("cover", ends["method"].map(truth).astype(float).fillna(0.0)),
            ("tested", ends["tested"]),
        ):
            inside = (ends["ci_low"] <= true) & (true <= ends["ci_high"])
            # An interval is held to the truth that it speaks of: of the population, or of the languages drawn.
            meant = 1 - ALPHA if ("REML" in str(analysis)) == (name == "cover") else np.nan
            line[f"{name} others"] = share(inside[~noisy], ends.loc[~noisy, "index"], meant)
            line[f"{name} {NOISY}"] = share(inside[noisy], ends.loc[noisy, "index"], meant)
        line["no answer"] = len(table) - len(known)
        line["unconverged"] = table.loc[~table["converged"], "index"].nunique()
        found.append(line)
    return found


Cell = tuple[str, str, int]
"""Kind, scenario and number of seeds."""


def report(cells: Sequence[Cell], chunks: Mapping[tuple[str, str, int, int, int], Path]) -> str:
    """One table for each kind of scores and analysis, of the chunks that are there."""
    rows = []
    for cell in cells:
        paths = [path for task, path in chunks.items() if task[:3] == cell]
        if paths:
            found = lines(pd.concat([pd.read_csv(path) for path in paths]), TRUTH.get(cell[1], {}))
            rows += [{"kind": cell[0], "scenario": cell[1], "seeds": cell[2], **line} for line in found]
    parts = ["percent (Monte-Carlo standard error); !: more than two of them beyond 4-6 or 94-96"]
    for (kind, analysis), table in pd.DataFrame(rows).groupby(["kind", "analysis"], sort=False):
        shown = table.drop(columns=["kind", "analysis"]).loc[:, lambda t: (t != "-").any() & (t != 0).any()]
        parts.append(f"{kind} scores, {analysis}\n{shown.to_string(index=False)}")
    return "\n\n".join(parts)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--studies", type=int, default=500, help="data sets for each scenario and number of seeds")
    parser.add_argument("--seeds", type=int, nargs="+", default=[3, 5, 10])
    parser.add_argument("--scenarios", nargs="+", choices=list(SCENARIOS), default=list(SCENARIOS))
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--finished", action="store_true", help="run nothing, print what has been run")
    given = parser.parse_args()
    os.environ.update(OMP_NUM_THREADS="1", OPENBLAS_NUM_THREADS="1", MKL_NUM_THREADS="1")  # for the workers
    if not given.finished:
        check()
    code = code_hash(["analysis.contrasts", "analysis.tradeoff"])
    cells = [(k, s, n) for k in KINDS for s in given.scenarios if k != "run" or s in RUN_LEVEL for n in given.seeds]
    starts = range(0, given.studies, CHUNK)
    plan = [(*cell, start, min(start + CHUNK, given.studies)) for start in starts for cell in cells]
    chunks = {task: chunk_file(*task, code) for task in plan}
    missing = [task for task, path in chunks.items() if not path.is_file() and not given.finished]
    with ProcessPoolExecutor(given.jobs, mp_context=get_context("spawn")) as pool:
        waiting = {pool.submit(work, *task, chunks[task]): task for task in missing}
        for done, future in enumerate(as_completed(waiting), 1):
            print(f"{done}/{len(missing)} {waiting[future]} {future.result():.2f} s each", file=sys.stderr, flush=True)
    print(report(cells, {task: path for task, path in chunks.items() if path.is_file()}))
    return 0


if __name__ == "__main__":
    sys.exit(main())
