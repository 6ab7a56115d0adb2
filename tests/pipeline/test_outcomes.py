"""A student that diverges: with `stop` an error that names what was declared, with `record` an outcome of the study."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from torch import Tensor

from pipeline import collect, export, failures, logs, params, paths, pool, publish, stage
from pipeline.failures import CellError
from pipeline.tracking import journal, telling
from pipeline.work.teach import TeacherTask
from study import records
from study.objectives.weighted_loss import WeightedLoss
from tests.pipeline.grids import ARCH, deliver, write_grid, write_resolved
from tests.pipeline.studies import edit

LOST, KEPT, TEACHER = f"{ARCH}-half-fd-s0", f"{ARCH}-half-none-s0", f"{ARCH}-teacher"
WHY = "the loss is nan at step 2 of 6"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    write_grid(tmp_path, seeds=[0])
    return tmp_path


@pytest.fixture
def spoil(monkeypatch: pytest.MonkeyPatch) -> Callable[[BaseException | float], None]:
    """Method fd's second step is spoilt: by a factor, or by an error."""
    forward = WeightedLoss.forward

    def spoil(by: BaseException | float) -> None:
        steps = 0

        def spoilt(self: WeightedLoss, *arguments: Any) -> dict[str, Tensor]:
            nonlocal steps
            terms = forward(self, *arguments)
            if "fd" not in terms:
                return terms
            steps += 1
            if steps == 2 and isinstance(by, BaseException):
                raise by
            return {**terms, "loss": terms["loss"] * by} if steps == 2 and isinstance(by, float) else terms

        monkeypatch.setattr(WeightedLoss, "forward", spoilt)

    return spoil


def make_all() -> None:
    for job in pool.jobs("students"):
        if pool.missing(job):
            telling.carry_out(job, "cpu", lambda done, total, row: None)


def test_to_stop_is_an_error_that_names_the_declared_rate(folder: Path, spoil: Callable[[float], None]) -> None:
    spoil(float("nan"))
    with pytest.raises(CellError) as caught:
        make_all()
    text = str(caught.value)
    assert text.startswith(f"{LOST}: {WHY} (learning rate ")
    assert "the learning rate is 0.001 (students.training.learning_rate); try a smaller one" in text
    assert "rows of its batch: " in text
    assert text.endswith(f"log: logs/{LOST}.log")
    assert "DivergenceError" in logs.place(LOST).read_text()

    write_resolved(("none", "fd"), tuned={"fd": {"learning_rate": 0.03}})
    spoil(float("nan"))
    with pytest.raises(CellError, match=r"the learning rate is 0\.03 \(tuned: tuning/clip-half-fd\.json\); try a"):
        make_all()


def test_a_recorded_student_is_in_the_tables_and_others_go_on(folder: Path, spoil: Callable[[float], None]) -> None:
    edit(folder / "params.yaml", {"execution.on_failure": "record"})
    spoil(float("nan"))
    make_all()
    deliver()
    assert failures.outcome(next(job[0] for job in pool.jobs("students") if job[0].name == LOST)).startswith(WHY)
    run = stage.read_json(paths.RUNS / LOST / "run.json")
    assert (run["status"], run["row"]["step"], len(run["batch"])) == ("diverged", 2, 8)
    assert WHY in stage.read_json(paths.SCORES / LOST / "diverged.json")["reason"]
    assert not list((paths.RUNS / LOST).glob("*.safetensors"))
    last = journal.events(journal.place(run["row"]["fingerprint"]))[0][-1]
    assert (last["status"], last["reason"].startswith(WHY)) == ("FAILED", True)

    grid = params.grid()
    tables = collect.result_tables(grid.teachers + grid.cells)
    assert list(tables["cells"]["cell"]) == [TEACHER, KEPT]
    assert list(tables["diverged"]["cell"]) == [LOST]
    assert tables["diverged"]["reason"][0].startswith(WHY)
    assert all(
        set(frame["cell"]) == {TEACHER, KEPT} for name, frame in tables.items() if name in ("retrieval", "vqa", "items")
    )
    paths.RESULTS.mkdir()
    for name, frame in tables.items():
        frame.to_parquet(paths.RESULTS / f"{name}.parquet", index=False)
    record = publish.run_record(LOST, grid.study, publish.scores().get(LOST))
    assert (record.status, record.metrics) == ("FAILED", {})
    assert record.failure.startswith(f"diverged in training: {WHY}")
    with pytest.raises(stage.StageError, match=f"{LOST} diverged in training, so there is no model"):
        export.export(LOST, "open_clip", folder / "exported")


def test_a_changed_learning_rate_runs_it_again_alone(folder: Path, spoil: Callable[[float], None]) -> None:
    edit(folder / "params.yaml", {"execution.on_failure": "record"})
    spoil(float("nan"))
    make_all()
    deliver()
    assert not [job for job in pool.jobs("students") if pool.missing(job)]
    write_resolved(("none", "fd"), tuned={"fd": {"learning_rate": 0.0005}})
    assert [job[0].name for job in pool.jobs("students") if pool.missing(job)] == [LOST]
    spoil(1.0)
    make_all()
    deliver()
    tables = collect.result_tables(params.grid().teachers + params.grid().cells)
    assert "diverged" not in tables
    assert set(tables["cells"]["cell"]) == {TEACHER, KEPT, LOST}


@pytest.mark.parametrize("error", [ValueError("a fault"), MemoryError("no room")])
def test_no_other_error_is_an_outcome(folder: Path, spoil: Callable[[BaseException], None], error: Exception) -> None:
    edit(folder / "params.yaml", {"execution.on_failure": "record"})
    spoil(error)
    says = "ValueError: a fault" if isinstance(error, ValueError) else "out of memory; lessen execution.workers"
    with pytest.raises(CellError, match=f"{LOST}: {says}"):
        make_all()
    assert pool.missing(next(job for job in pool.jobs("students") if job[0].name == LOST))


def test_when_all_diverge_no_table_is_made(folder: Path, spoil: Callable[[float], None]) -> None:
    edit(folder / "params.yaml", {"execution.on_failure": "record", "grid.methods": ["fd"]})
    write_resolved(["fd"])
    spoil(float("nan"))
    make_all()
    deliver()
    with pytest.raises(stage.StageError, match=f"all 1 students diverged in training: {LOST}"):
        collect.result_tables(params.grid().teachers + params.grid().cells)


def test_a_teacher_is_never_an_outcome(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from study.models.open_clip.clip import Clip

    edit(folder / "params.yaml", {"execution.on_failure": "record", "teachers.clip.training.batch": 20})
    monkeypatch.setattr(Clip, "image_text_loss", lambda self, images, texts: (images * float("nan")).sum())
    with pytest.raises(
        CellError, match=r"clip-teacher: .*at step 1 of 150.*\(teachers\.clip\.training\.learning_rate\)"
    ):
        telling.carry_out([TeacherTask(ARCH)], "cpu", lambda done, total, row: None)


def test_the_schema_of_the_table_is_kept(tmp_path: Path) -> None:
    row = {column.name: 1 if column.dtype != "str" else "x" for column in records.DIVERGED.columns}
    assert len(records.check(pd.DataFrame([row]), records.DIVERGED)) == 1
