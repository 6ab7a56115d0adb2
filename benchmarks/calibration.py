"""Do the report's p values, intervals, verdicts and regions hold their level? Simulated studies with known effects.

    python benchmarks/calibration.py [--studies 200] [--seeds 3 5 10] [--languages 8 16 36]
        [--scenarios null language run] [--kinds pairs run] [--jobs 1] [--finished]

Draws studies in the project's own schema and sends each through `analysis.contrasts.analyse` and
`analysis.tradeoff.tradeoff.analyse`, as the report does. No part of the drawing is shared with the analysis. Finished
chunks lie in .scratch/calibration, so a run that was ended goes on where it stood.

Kinds: "pairs" draws consistency and stability as scores of language pairs, P[l, m] = level + g_l + g_m + noise with a
little that belongs to the pair alone, and reads the one from a table of pairs, the other, in three quarters of the
languages, from means over partners; "rows" draws scores of independent languages (retrieval, accuracy); "run" scores
that exist once a run. Nothing differs from the control in truth. A true effect would move estimates and interval ends
by itself and change nothing else (checked before it begins), so what is said of studies with effects follows from the
same draws: false verdicts of "cost" are counted where stability truly falls by 4 points and consistency does not rise,
and the other way round; false equivalence where the truth is at the edge of the smallest effect.

Columns, percent of data sets with the Monte-Carlo standard error: "error" p under .05, of one contrast; "familywise"
some adjusted p of the family under .05, which is the complement of simultaneous coverage; "places": the same in the
family of all methods and places; "equivalent": some method of the family falsely called equivalent; "cost", "raised":
some method falsely so called, on the average, the worse of the two truths; "cost in", "raised in": in some place;
"region" joint regions that hold the truth.
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

from analysis.contrasts import estimate, inference, paired
from analysis.data import language_pairs, load
from analysis.mixed import design, newton, reml
from analysis.mixed import model as mixed
from analysis.mixed.design import AVERAGE
from analysis.settings import AnalysisSettings
from analysis.tradeoff import joint, tradeoff
from pipeline.sources import ROOT
from study import records

ARCHS, SIZES = ("clip", "siglip2"), ("half",)
METHODS = ("none", "fd", "sd", "mcl")
OUTCOMES = ("consistency", "stability")
SD = {"block": 0.8, "run": 0.7, "language": 5.0, "language:place": 2.0, "language:place:method": 0.4,
      "pair": 2.0, "pair:method": 0.3, "residual": 1.5}  # fmt: skip
"""Points. A place is an architecture and a size; a language's part enters every pair of it once."""
LANGUAGE_METHOD, NOISY, TIMES = 0.7, "mcl", 3.0
TOGETHER = {"run": 0.6, "language": -0.6}
"""Correlation of what the two outcomes get from blocks and runs, and from languages."""
SCENARIOS = {"null": (False, False), "language": (True, False), "run": (False, True), "both": (True, True)}
"""Scenario -> whether there is a language:method variance, whether NOISY has TIMES the run sd."""
KINDS = ("pairs", "rows", "run")
SHARE = 0.75
"""Languages of stability, of those of consistency."""
SHIFT, CHUNK, ALPHA = 4.0, 10, 0.05
CODE = (inference, design, mixed, paired, language_pairs, reml, newton, joint.Differences, tradeoff.analyse,
        tradeoff.correlation, joint.correlation_of_estimates, joint.joint_region,
        joint.region_radius.__wrapped__)  # fmt: skip
"""What makes the numbers: a chunk is made again when its source has changed."""
STORE = ROOT / ".scratch" / "calibration"

Array = np.ndarray[Any, np.dtype[np.float64]]


def _two(rng: np.random.Generator, together: float, shape: tuple[int, ...]) -> Array:
    """Standard normal draws of both outcomes, [2, *shape]."""
    first, second = rng.standard_normal(shape), rng.standard_normal(shape)
    return np.stack([first, together * first + np.sqrt(1 - together**2) * second])


def simulate(
    kind: str, scenario: str, seeds: int, languages: int, index: int, effects: Mapping[str, float] | None = None
) -> load.StudyData:
    """A study in which `effects` are the true differences from the control of both outcomes, points; 0 without."""
    by_method, noisy = SCENARIOS[scenario]
    entropy = [KINDS.index(kind), list(SCENARIOS).index(scenario), seeds, languages, index]
    rng = np.random.default_rng(np.random.SeedSequence(entropy))
    places, m, n = [(a, s) for a in ARCHS for s in SIZES], len(METHODS), languages
    truth = np.array([(effects or {}).get(method, 0.0) for method in METHODS])
    run_sd = np.where([noisy and method == NOISY for method in METHODS], TIMES, 1.0) * SD["run"]
    shape = (len(places), seeds)
    runs = 50 + truth + SD["block"] * _two(rng, TOGETHER["run"], (*shape, 1))
    runs = runs + run_sd * _two(rng, TOGETHER["run"], (*shape, m))  # [2, places, seeds, methods]
    own = LANGUAGE_METHOD * _two(rng, TOGETHER["language"], (m, n)) if by_method else np.zeros((2, m, n))
    own = own[:, None] + SD["language:place:method"] * _two(rng, TOGETHER["language"], (len(places), m, n))
    common = SD["language"] * _two(rng, 0.5, (n,))[:, None, None]
    common = common + SD["language:place"] * _two(rng, 0.5, (len(places), 1, n))
    brings = (own + common)[:, :, None] + np.zeros((1, 1, seeds, 1, 1))  # [2, places, seeds, methods, languages]
    grid = [(f"{a}-{s}-{k}-s{i}", a, s, k, i) for a, s in places for i in range(seeds) for k in METHODS]
    cells = pd.DataFrame(grid, columns=load.FACTORS)
    names = [f"l{i:02d}" for i in range(n)]
    headlines = {}
    for o, name in enumerate(OUTCOMES):
        used = n if o == 0 else max(round(SHARE * n), 3)
        run, part = runs[o].reshape(-1), brings[o].reshape(-1, n)[:, :used]
        if kind == "run":
            scores = pd.DataFrame({"cell": cells["cell"], "score": run})
        elif kind == "rows":
            values = run[:, None] + 2 * part + rng.normal(0, SD["residual"], part.shape)
            scores = _long(cells, names[:used], values)
        else:
            scores = _pairs(rng, run, part, cells, names[:used], o == 0)
        frame = cells.merge(scores, on="cell")
        headlines[name] = load.Outcome(name, name, "", frame, pd.DataFrame(), kind != "run", True, name)
    return load.StudyData(
        cells, headlines, {}, pd.DataFrame(), names, {}, list(METHODS), list(ARCHS), list(SIZES), len(cells),
        [], [], [], [], "",
    )  # fmt: skip


def _pairs(
    rng: np.random.Generator, run: Array, part: Array, cells: pd.DataFrame, names: list[str], as_table: bool
) -> pd.DataFrame:
    """Scores of pairs through `analysis.data.language_pairs`, from a table of them or from means over partners."""
    n = part.shape[1]
    i, j = np.triu_indices(n, 1)
    method = cells["method"].map(METHODS.index).to_numpy()
    score = run[:, None] + part[:, i] + part[:, j] + SD["pair"] * rng.standard_normal(len(i))
    score = score + SD["pair:method"] * rng.standard_normal((len(METHODS), len(i)))[method]
    score = score + rng.normal(0, SD["residual"], score.shape)
    if as_table:
        return language_pairs.language_scores(pd.DataFrame({
            "cell": np.repeat(cells["cell"].to_numpy(), len(i)), "language": np.tile(np.array(names)[i], len(cells)),
            "partner": np.tile(np.array(names)[j], len(cells)), "score": score.ravel(),
        }))  # fmt: skip
    total = np.zeros(part.shape)
    for row, (a, b) in enumerate(zip(i, j, strict=True)):
        total[:, a] += score[:, row]
        total[:, b] += score[:, row]
    return language_pairs.from_partner_means(_long(cells, names, total / (n - 1)).assign(partners=n - 1))


def _long(cells: pd.DataFrame, names: list[str], values: Array) -> pd.DataFrame:
    """Scores [cells, languages] as rows cell, language, score."""
    return pd.DataFrame({"cell": np.repeat(cells["cell"].to_numpy(), len(names)),
                         "language": np.tile(names, len(cells)), "score": values.ravel()})  # fmt: skip


def answers(study: load.StudyData, index: int) -> pd.DataFrame:
    """What the report's analysis says of a study: one row per trade-off, with both of its rows of contrasts."""
    settings = AnalysisSettings(alpha=ALPHA)
    results = [estimate.analyse(study.headlines[name], study, settings, checks=False) for name in OUTCOMES]
    found = tradeoff.analyse(results[0], results[1], settings)
    runs = tradeoff.correlation(tradeoff.averages(found), ALPHA)
    converged = all(result.fit is None or result.fit.converged for result in results)
    table = []
    for t in found:
        line: dict[str, Any] = {"index": index, "arch": t.arch, "method": t.method, "verdict": t.verdict}
        for name, row in zip(OUTCOMES, (t.consistency, t.stability), strict=True):
            line |= {f"{name}_{what}": row[column] for what, column in
                     (("estimate", "estimate"), ("low", "ci_low"), ("high", "ci_high"), ("p", "p"),
                      ("p_adjusted", "p_adjusted"), ("p_equivalent", "p_equivalent"))}  # fmt: skip
        line["region"] = np.nan if t.region is None else float(t.region.holds((0.0, 0.0)))
        line |= {"correlation": t.correlation, "correlation_df": t.correlation_df, "converged": converged}
        if t.arch == AVERAGE and runs is not None:
            line |= {"runs_low": runs.low, "runs_high": runs.high}
        table.append(line)
    return pd.DataFrame(table)


def check() -> None:
    """The objects made here are what the report would read, and a true effect only shifts what is said of it."""
    for kind in KINDS:
        study = simulate(kind, "both", 3, 8, 0)
        here = answers(study, 0).set_index(["arch", "method"])
        other = answers(simulate(kind, "both", 3, 8, 0, {"fd": 2.0}), 0).set_index(["arch", "method"])
        shift = 2.0 * (here.index.get_level_values("method") == "fd")
        for name in OUTCOMES:
            for end in ("estimate", "low", "high"):
                if not np.allclose(other[f"{name}_{end}"], here[f"{name}_{end}"] + shift, 0, 1e-5):
                    raise SystemExit(f"{kind}: a true effect of 2 points does more than shift {name}_{end}")
    with tempfile.TemporaryDirectory() as folder:
        study = simulate("run", "both", 3, 8, 0)
        read = written_and_read(study, Path(folder))
    if (read.methods, read.archs, read.sizes) != (study.methods, study.archs, study.sizes):
        raise SystemExit(f"other factors after frames.load: {read.methods} {read.archs} {read.sizes}")
    theirs = read.headlines["stability"].frame[["cell", "score"]].sort_values("cell")["score"].to_numpy()
    ours = study.headlines["stability"].frame[["cell", "score"]].sort_values("cell")["score"].to_numpy()
    if not np.allclose(theirs, ours):
        raise SystemExit("other scores after frames.load")


def written_and_read(study: load.StudyData, folder: Path) -> load.StudyData:
    """The study's stability after its way through parquet files and `load.load`."""
    frame = study.headlines["stability"].frame
    raw: dict[str, pd.DataFrame] = {name: pd.DataFrame() for name in records.TABLES}
    raw["cells"] = study.cells.assign(role="student", towers="both", device="-", fingerprint="-")
    raw["stability"] = frame[load.FACTORS].assign(
        level="run", language=records.ALL_LANGUAGES, construct="agreement", score=frame["score"] / 100
    )
    for name, table in records.TABLES.items():
        other = {c.name: 0 for c in table.columns if c.name not in raw[name].columns}  # columns no analysis reads
        records.check(raw[name].assign(**other), table).to_parquet(folder / f"{name}.parquet", index=False)
    return load.load(folder, AnalysisSettings())


Task = tuple[str, str, int, int]
"""Kind, scenario, seeds, languages."""


def chunk_file(task: Task, start: int, stop: int) -> Path:
    """Where a chunk lies: under a key of the code and the numbers that make it."""
    spec = [SD, LANGUAGE_METHOD, NOISY, TIMES, TOGETHER, SCENARIOS, KINDS, ARCHS, SIZES, METHODS, SHARE, ALPHA]
    spec += [np.__version__, scipy.__version__, pd.__version__, inspect.getsource(simulate), inspect.getsource(_pairs)]
    spec += [inspect.getsource(answers), *(inspect.getsource(part) for part in CODE)]
    key = hashlib.sha256(json.dumps(spec).encode()).hexdigest()[:12]
    return STORE / key / ("-".join(map(str, (*task, start, stop))) + ".csv")


def work(task: Task, start: int, stop: int, path: Path) -> float:
    """Simulate and analyse the data sets start to stop; returns seconds for each."""
    begin = time.process_time()
    parts = [answers(simulate(*task, index), index) for index in range(start, stop)]
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_suffix(f".{os.getpid()}")
    pd.concat(parts).to_csv(partial, index=False)
    os.replace(partial, path)
    return (time.process_time() - begin) / (stop - start)


def share(hits: pd.Series, sets: pd.Series, low: float = np.nan, high: float = np.nan) -> str:
    """Percent of `hits` with its standard error over data sets; '!': more than two of them beyond `low` to `high`."""
    if not len(hits):
        return "-"
    by_set = hits.groupby(sets.to_numpy()).mean()
    kept = (hits.sum() + 2) / (len(hits) + 4)  # no error of 0 where nothing was hit
    spread = float(by_set.std(ddof=1)) if len(by_set) > 1 else 0.0
    error = max(spread / np.sqrt(len(by_set)), float(np.sqrt(kept * (1 - kept) / len(hits))))
    mark = "!" if hits.mean() < low - 2 * error or hits.mean() > high + 2 * error else " "
    return f"{100 * hits.mean():.1f} ({100 * error:.1f}){mark}"


def some(table: pd.DataFrame, hit: pd.Series) -> tuple[pd.Series, pd.Series]:
    """Whether any row of a data set is hit, and the data sets."""
    found = hit.groupby(table["index"]).any()
    return found, pd.Series(found.index)


def line(table: pd.DataFrame) -> dict[str, Any]:
    """One line of the printed table, of all data sets of one task."""
    points = AnalysisSettings().smallest("consistency")
    whole, places = (table[(table["arch"] == AVERAGE) == average] for average in (True, False))
    out: dict[str, Any] = {"sets": whole["index"].nunique()}
    noisy = whole["method"] == NOISY
    for name, rows in (("error", whole[~noisy]), (f"error {NOISY}", whole[noisy])):
        p = pd.concat([rows[f"{o}_p"] for o in OUTCOMES])
        out[name] = share(p < ALPHA, pd.concat([rows["index"]] * 2), 0.04, 0.06)
    for name, rows in (("familywise", whole), ("places", places)):
        hits = [some(rows, rows[f"{o}_p_adjusted"] < ALPHA) for o in OUTCOMES]
        out[name] = share(pd.concat([h for h, _ in hits]), pd.concat([s for _, s in hits]), 0.04, 0.06)
    hits = []
    for o in OUTCOMES:
        # The truth at +-points: the interval, moved there, lies within +-points.
        low, high = whole[f"{o}_low"], whole[f"{o}_high"]
        for edge in (points, -points):
            hits.append(some(whole, (low + edge > -points) & (high + edge < points)))
    out["equivalent"] = share(pd.concat([h for h, _ in hits]), pd.concat([s for _, s in hits]), 0.0, 0.05)
    for said, sign in (("cost", -1.0), ("raised", 1.0)):
        for name, rows in ((said, whole), (f"{said} in", places)):
            rates = []
            for up, down in ((0.0, sign * SHIFT), (SHIFT, 0.0), (0.0, 0.0)):
                gained = rows["consistency_low"] + up > 0
                moved = (rows["stability_low"] + down > 0) if sign > 0 else (rows["stability_high"] + down < 0)
                rates.append(some(rows, gained & moved))
            worst = max(rates, key=lambda rate: rate[0].mean())
            out[name] = share(*worst, 0.0, 0.05)
    for name, rows in (("region", whole[whole["method"] != NOISY]), (f"region {NOISY}", whole[noisy]),
                       ("region in", places)):  # fmt: skip
        known = rows["region"].notna()
        out[name] = share(rows.loc[known, "region"] == 1, rows.loc[known, "index"], 0.94, 0.96)
    if "runs_low" in whole:
        first = whole.drop_duplicates("index").dropna(subset=["runs_low"])
        true = TOGETHER["run"]
        out["correlation"] = share((first["runs_low"] <= true) & (first["runs_high"] >= true), first["index"])
    out["unconverged"] = int(table.loc[~table["converged"], "index"].nunique())
    return out


def report(chunks: Mapping[tuple[Task, int], Path]) -> str:
    """One table for each kind of scores, of the chunks that are there."""
    by_task: dict[Task, list[Path]] = {}
    for (task, _), path in chunks.items():
        by_task.setdefault(task, []).append(path)
    parts = ["percent (Monte-Carlo standard error); !: more than two of them beyond 4-6, 94-96, or above 5"]
    tables = {task: pd.concat([pd.read_csv(path) for path in paths]) for task, paths in by_task.items()}
    lines = [dict(zip(("kind", "scenario", "seeds", "languages"), task, strict=True)) | line(table)
             for task, table in tables.items()]  # fmt: skip
    for kind, scenario in dict.fromkeys(task[:2] for task in tables):
        same = {task: table for task, table in tables.items() if task[:2] == (kind, scenario)}
        for seeds in (*dict.fromkeys(task[2] for task in same), "all"):
            # Data sets of different sizes have the same numbers: told apart before they are put together.
            chosen = [t for task, t in same.items() if seeds in (task[2], "all")]
            pooled = pd.concat([t.assign(index=t["index"] + 1_000_000 * i) for i, t in enumerate(chosen)])
            if kind != "run" or seeds == "all":
                lines.append({"kind": kind, "scenario": scenario, "seeds": seeds, "languages": "all"} | line(pooled))
    order = {scenario: i for i, scenario in enumerate(SCENARIOS)}
    found = pd.DataFrame(lines, columns=list(lines[-1]) if lines else ["kind"])
    for kind in dict.fromkeys(found["kind"]):
        table = found[found["kind"] == kind].sort_values("scenario", key=lambda v: v.map(order), kind="stable")
        shown = table.drop(columns=["kind", "languages" if kind == "run" else "correlation"], errors="ignore")
        parts.append(f"{kind}\n{shown.to_string(index=False)}")
    return "\n\n".join(parts)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--studies", type=int, default=200, help="data sets of each kind, scenario and size")
    parser.add_argument("--seeds", type=int, nargs="+", default=[3, 5, 10])
    parser.add_argument("--languages", type=int, nargs="+", default=[8, 16, 36])
    parser.add_argument("--scenarios", nargs="+", choices=list(SCENARIOS), default=["null", "language", "run"])
    parser.add_argument("--kinds", nargs="+", choices=KINDS, default=["pairs", "run"])
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--finished", action="store_true", help="run nothing, print what has been run")
    given = parser.parse_args()
    os.environ.update(OMP_NUM_THREADS="1", OPENBLAS_NUM_THREADS="1", MKL_NUM_THREADS="1")  # for the workers
    if not given.finished:
        check()
    # Scores of runs have no languages, and so no variance of language x method.
    tasks: Sequence[Task] = [
        (kind, scenario, seeds, languages)
        for kind in given.kinds for scenario in given.scenarios for seeds in given.seeds
        for languages in (given.languages if kind != "run" else given.languages[:1])
        if kind != "run" or not SCENARIOS[scenario][0]
    ]  # fmt: skip
    plan = [(task, start) for start in range(0, given.studies, CHUNK) for task in tasks]
    chunks = {(task, start): chunk_file(task, start, start + CHUNK) for task, start in plan}
    missing = [key for key, path in chunks.items() if not path.is_file() and not given.finished]
    with ProcessPoolExecutor(given.jobs, mp_context=get_context("spawn")) as pool:
        waiting = {pool.submit(work, task, start, start + CHUNK, chunks[task, start]): task for task, start in missing}
        for done, future in enumerate(as_completed(waiting), 1):
            print(f"{done}/{len(missing)} {waiting[future]} {future.result():.2f} s each", file=sys.stderr, flush=True)
    print(report({key: path for key, path in chunks.items() if path.is_file()}))
    return 0


if __name__ == "__main__":
    sys.exit(main())
