"""Stage `teacher@arch`: one teacher, trained with its family's own loss."""

from __future__ import annotations

import sys

from pipeline import stage
from pipeline.carry import carry_out
from pipeline.work.teach import TeacherTask

if __name__ == "__main__":
    with stage.main("teacher"):
        carry_out(TeacherTask(sys.argv[1]))
