"""Stages `evaluate@cell` and `evaluate-teacher@arch`: one model, scored on the test split."""

from __future__ import annotations

import sys

from pipeline import stage
from pipeline.carry import carry_out
from pipeline.work.distil import DistilTask
from pipeline.work.score import EvaluateTask
from pipeline.work.task import Task
from pipeline.work.teach import TeacherTask
from study.design import Cell

if __name__ == "__main__":
    with stage.main("evaluate"):
        arch, *rest = sys.argv[1:]
        model: Task = TeacherTask(arch) if not rest else DistilTask(Cell(arch, rest[0], rest[1], int(rest[2])))
        carry_out(EvaluateTask(model, arch))
