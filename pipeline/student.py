"""Stage `student@cell`: one student, trained, and scored on the test split."""

from __future__ import annotations

import sys

from pipeline import stage
from pipeline.carry import carry_out
from pipeline.work.distil import DistilTask
from pipeline.work.score import EvaluateTask
from study.design import Cell

if __name__ == "__main__":
    with stage.main("student"):
        arch, size, method, seed = sys.argv[1:]
        trained = DistilTask(Cell(arch, size, method, int(seed)))
        carry_out(trained, EvaluateTask(trained, arch))
