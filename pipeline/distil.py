"""Stage `distil@cell`: one student, trained."""

from __future__ import annotations

import sys

from pipeline import stage
from pipeline.carry import carry_out
from pipeline.work.distil import DistilTask
from study.design import Cell

if __name__ == "__main__":
    with stage.main("distil"):
        arch, size, method, seed = sys.argv[1:]
        carry_out(DistilTask(Cell(arch, size, method, int(seed))))
