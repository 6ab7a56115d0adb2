"""`repro`: what a kill left cut is mended, then DVC runs, in this process.

DVC's own command prints a traceback where an interrupt meets it while it loads, which takes a second or more; here it
is one line, as of every command.
"""

from __future__ import annotations

from pathlib import Path

from pipeline import mend, paths


def run(until: str | None) -> int:
    """Run what is missing or out of date.

    Args:
        until: the last stage that is wanted; all if None.

    Returns:
        DVC's exit status.

    Raises:
        StageError: dvc.lock cannot be used.
    """
    for line in mend.mend(Path()):
        print(f"mend: {line}", flush=True)
    from dvc.cli import main

    status: int = main(["repro", str(paths.DVC) if until is None else f"{paths.DVC}:{until}"])
    return status
