"""Run a command or code of README.md without this project: evaluated.py <sh or python> <file of it>.

Code prints language -> direction -> MTEB's measures as JSON; CLIP_benchmark writes its files into the working folder.
"""

from __future__ import annotations

import json
import runpy
import shlex
import sys
from pathlib import Path
from typing import Any

# This project is cut off, and torchvision mended for as long as the result lives.
MENDED = runpy.run_path(str(Path(__file__).with_name("alone.py")), run_name="alone")


def main() -> None:
    kind, file = sys.argv[1:]
    lines = Path(file).read_text(encoding="utf-8")
    if kind == "sh":
        from clip_benchmark import cli

        sys.argv = shlex.split(lines.replace("\\\n", " "))
        cli.main()
        return
    found: dict[str, Any] = {}
    exec(compile(lines, file, "exec"), found)
    measured = {
        task.task_name: {scores["hf_subset"]: scores for scores in task.scores["test"]}
        for task in found["result"].task_results
    }
    print(json.dumps(measured))


if __name__ == "__main__":
    main()
