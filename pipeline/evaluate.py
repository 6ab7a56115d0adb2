"""Stage `evaluate@arch`: one teacher, scored on the test split."""

from __future__ import annotations

import sys

from pipeline import stage
from pipeline.carry import carry_out
from pipeline.work.score import EvaluateTask
from pipeline.work.teach import TeacherTask

if __name__ == "__main__":
    with stage.main("evaluate"):
        carry_out(EvaluateTask(TeacherTask(sys.argv[1]), sys.argv[1]))
