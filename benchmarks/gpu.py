"""The default study and its options on a GPU machine that has nothing but Python and torch.

    python -m benchmarks.gpu pack BUNDLE            here: the corpus, and wheels for Python 3.12 that are missing there
    benchmarks/gpu.sh BUNDLE OUT                    there: unpacks the bundle, installs the wheels, runs the next line
    python -m benchmarks.gpu run MATERIAL OUT [--workers 8] [--students all] [--device cuda]

`run` goes through the study without DVC and MLflow, which such a machine lacks, from the same declaration, params.yaml:

    waits      some steps of a teacher and of each method's student under torch's sync debug mode, which makes an error
               of whatever the host waits for
    options    milliseconds a step of a half-size student of each architecture: as declared, bfloat16, AdamW not fused,
               torch.compile's two modes; and the loss that each comes to
    teachers   trained as declared, side by side; embeddings, items a second
    students   the grid, trained and scored on the test split by `--workers` processes on the one GPU

OUT/gpu.json has every figure and is written after each part; OUT/scores.csv the retrieval and VQA scores of each cell.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import platform
import re
import subprocess
import sys
import tarfile
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.material import Material, declared, prepare

if TYPE_CHECKING:
    from study.distill.student import StudentConfig

WHEELS = ("open_clip_torch", "ftfy", "wcwidth", "pydantic", "pydantic_core", "annotated_types", "typing_inspection",
          "ruamel.yaml", "ruamel.yaml.clib", "babel", "resvg_py")  # fmt: skip
"""What the study imports and a machine with torch, transformers, timm, pandas and pyarrow need not have."""

OPTIONS: Mapping[str, Mapping[str, Any]] = {
    "as declared": {},
    "bfloat16": {"precision": "bfloat16"},
    "not fused": {"fused": False},
    "compiled": {"compile": "default"},
    "CUDA graphs": {"compile": "reduce-overhead"},
    "CUDA graphs, bfloat16": {"compile": "reduce-overhead", "precision": "bfloat16"},
}


def locked(names: Sequence[str]) -> str:
    """These packages' lines of the lock file: version and hashes."""
    lines = Path("requirements/dev.txt").read_text(encoding="utf-8")
    blocks = re.findall(r"^[^\s#].*(?:\n[ \t].*)*", lines, flags=re.MULTILINE)
    wanted = {re.sub(r"[-_.]+", "-", name) for name in names}
    return "\n".join(block for block in blocks if block.partition("==")[0] in wanted) + "\n"


def pack(bundle: Path) -> None:
    """BUNDLE/material.tar.xz and BUNDLE/wheels."""
    material = prepare(bundle / "material", teacher_steps=2)
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--only-binary", ":all:"]
    command += ["--python-version", "3.12", "--platform", "manylinux2014_x86_64", "--platform", "manylinux_2_17_x86_64"]
    wanted = bundle / "wheels.txt"
    wanted.write_text(locked(WHEELS), encoding="utf-8")
    command += ["--require-hashes", "--requirement", str(wanted), "--dest", str(bundle / "wheels")]
    subprocess.run(command, check=True)
    with tarfile.open(bundle / "material.tar.xz", "w:xz", preset=3) as archive:
        archive.add(material.folder / "corpus", "material/corpus")
    print(f"{(bundle / 'material.tar.xz').stat().st_size / 2**20:.0f} MiB of corpus", flush=True)


def corner_of(arch: str, size: str, method: str, seed: int, **training: Any) -> StudentConfig:
    from study.distill.student import StudentConfig

    params = declared()
    schedule = params.students.training.model_copy(update=training)
    spec = params.students.model_copy(update={"training": schedule})
    return StudentConfig(arch, size, params.sizes[size], seed, params.methods[method], spec)


@contextmanager
def no_waiting(device: str) -> Iterator[None]:
    """Within steps the host must not wait; for a row of the history it may."""
    from unittest.mock import patch

    import torch

    from study.distill import training

    read_out = training.measured

    def allowed(values: Mapping[str, torch.Tensor]) -> dict[str, float]:
        torch.cuda.set_sync_debug_mode("default")
        row = read_out(values)
        torch.cuda.set_sync_debug_mode("error")
        return row

    rate = training.learning_rate

    def begin(step: int, schedule: Any) -> float:
        if step == 2:  # the first steps set up the optimiser and the libraries
            torch.cuda.set_sync_debug_mode("error")
        return rate(step, schedule)

    if device == "cpu":
        yield
        return
    with patch.object(training, "measured", allowed), patch.object(training, "learning_rate", begin):
        try:
            yield
        finally:
            torch.cuda.set_sync_debug_mode("default")


def waits(folder: Path, device: str) -> dict[str, str]:
    """For each teacher and method what was waited for, or nothing."""
    import torch

    from study.config.teacher import TeacherSpec
    from study.distill.student import distil
    from study.distill.teacher import train_teacher

    material, params, found, place = Material(folder), declared(), {}, torch.device(device)

    def trial(name: str, train: Any) -> None:
        try:
            with no_waiting(device):
                train()
            found[name] = "nothing"
        except RuntimeError as error:
            found[name] = str(error).splitlines()[0]

    for arch in params.grid.archs:
        spec = params.teachers[arch]
        assert isinstance(spec, TeacherSpec)
        short = spec.model_copy(update={"training": spec.training.model_copy(update={"steps": 6})})
        trial(f"{arch}-teacher", lambda short=short: train_teacher(short, material.corpus, place))
        teacher = material.teacher(arch)
        for method in params.grid.methods:
            config, embeddings = corner_of(arch, "half", method, 0, steps=6), material.embeddings(arch)
            trial(
                f"{arch}-half-{method}",
                lambda c=config, t=teacher, e=embeddings: distil(c, t, material.corpus, e, place),
            )
    return found


def options(folder: Path, device: str, steps: int) -> dict[str, dict[str, Any]]:
    """Milliseconds a step over the last half of `steps`, and the last loss."""
    import torch

    from study.distill.student import distil

    material, place = Material(folder), torch.device(device)
    rows: dict[str, dict[str, Any]] = {}
    for arch in declared().grid.archs:
        teacher = material.teacher(arch)
        for name, option in OPTIONS.items():
            config = corner_of(arch, "half", "dr", 0, steps=steps, **option)
            ticks: list[tuple[int, float, float]] = []

            def progress(done: int, total: int, row: Mapping[str, float], ticks: list[Any] = ticks) -> None:
                ticks.append((done, time.perf_counter(), row["loss"]))

            try:
                distil(config, teacher, material.corpus, material.embeddings(arch), place, None, progress)
            except Exception as error:  # an option that fails must not take the others with it
                rows[f"{arch} {name}"] = {"failed": f"{type(error).__name__}: {error}"[:300]}
                continue
            half = next(tick for tick in ticks if tick[0] >= steps // 2)
            taken = ticks[-1][0] - half[0]  # none where so few steps are made that only the last is told
            ms = 1000 * (ticks[-1][1] - half[1]) / taken if taken else None
            rows[f"{arch} {name}"] = {"ms": ms, "loss": ticks[-1][2]}
    return rows


def student(name: str, folder: str, device: str) -> list[dict[str, Any]]:
    """Train and score one cell; rows of its mean scores."""
    import torch

    from study.distill.student import distil
    from study.eval.evaluation import evaluate, images_of

    arch, size, method, seed = name.rsplit("-", 3)
    material, place = Material(Path(folder)), torch.device(device)
    config, teacher = corner_of(arch, size, method, int(seed[1:])), material.teacher(arch)
    started = time.perf_counter()
    model, _, _ = distil(config, teacher, material.corpus, material.embeddings(arch), place)
    trained = time.perf_counter()
    images = images_of(teacher.to(place), material.corpus, "test", place)
    scores = evaluate(name, model, material.corpus, images, "test", place)
    score = scores.retrieval.query("metric == 'map@10'")["score"].mean()
    row = {"cell": name, "map@10": float(score), "vqa": float(scores.vqa["correct"].mean())}
    return [{**row, "train": trained - started, "score": time.perf_counter() - trained}]


def teacher_of(arch: str, folder: str, device: str, steps: int | None) -> dict[str, float]:
    """Train and embed as declared; seconds."""
    import torch

    from study.config.teacher import TeacherSpec
    from study.distill.embeddings import write_embeddings
    from study.distill.teacher import train_teacher

    material, place, spec = Material(Path(folder)), torch.device(device), declared().teachers[arch]
    assert isinstance(spec, TeacherSpec)
    if steps is not None:
        spec = spec.model_copy(update={"training": spec.training.model_copy(update={"steps": steps})})
    started = time.perf_counter()
    model, _, _ = train_teacher(spec, material.corpus, place)
    trained = time.perf_counter()
    model.save(material.folder / "teachers" / arch)
    write_embeddings(model, material.corpus, material.embeddings(arch), place, layers=False)
    return {"train": trained - started, "embed": time.perf_counter() - trained}


def run(given: argparse.Namespace) -> None:
    import pandas as pd
    import torch

    params, found = declared(), {}
    given.out.mkdir(parents=True, exist_ok=True)

    def tell(part: str, value: Any) -> None:
        found[part] = value
        (given.out / "gpu.json").write_text(json.dumps(found, indent=1) + "\n")
        print(part, json.dumps(value, indent=1), flush=True)

    name = torch.cuda.get_device_name() if given.device != "cpu" else platform.processor()
    tell("machine", {"device": name, "torch": torch.__version__, "python": platform.python_version()})
    context = multiprocessing.get_context("spawn")
    started = time.perf_counter()
    with ProcessPoolExecutor(len(params.grid.archs), mp_context=context) as pool:
        made = {
            arch: pool.submit(teacher_of, arch, str(given.material), given.device, given.teacher_steps)
            for arch in params.grid.archs
        }
        tell("teachers", {arch: one.result() for arch, one in made.items()})
    tell("teachers, together", time.perf_counter() - started)
    tell("waits", waits(given.material, given.device))
    tell("options", options(given.material, given.device, given.option_steps))
    grid = params.grid
    cells = [
        f"{arch}-{size}-{method}-s{seed}"
        for seed in grid.seeds for arch in grid.archs for size in grid.sizes for method in grid.methods
    ]  # fmt: skip
    cells = cells if given.students == "all" else cells[: int(given.students)]
    started = time.perf_counter()
    with ProcessPoolExecutor(given.workers, mp_context=context) as pool:
        rows = pool.map(student, cells, [str(given.material)] * len(cells), [given.device] * len(cells))
        table = pd.DataFrame([row for part in rows for row in part])
    table.to_csv(given.out / "scores.csv", index=False)
    seconds = time.perf_counter() - started
    tell("students", {"cells": len(cells), "workers": given.workers, "seconds": seconds})
    tell("a cell alone, median", {key: float(table[key].median()) for key in ("train", "score")})


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    verbs = parser.add_subparsers(dest="verb", required=True)
    verbs.add_parser("pack").add_argument("bundle", type=Path)
    runs = verbs.add_parser("run")
    runs.add_argument("material", type=Path)
    runs.add_argument("out", type=Path)
    runs.add_argument("--workers", type=int, default=8)
    runs.add_argument("--students", default="all", help="all, or how many")
    runs.add_argument("--device", default="cuda")
    runs.add_argument("--teacher-steps", type=int, help="as declared if left out")
    runs.add_argument("--option-steps", type=int, default=200)
    given = parser.parse_args()
    if given.verb == "pack":
        pack(given.bundle)
    else:
        run(given)


if __name__ == "__main__":
    main()
