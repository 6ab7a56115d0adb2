"""A kill by its number: which it is, what it does to the study, and whether what follows is as it has to be."""

from __future__ import annotations

import re
import shutil
import signal
import subprocess
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path
from random import Random
from typing import Any

from tests.kills.ground import ENGINES, Ground
from tests.kills.strike import ENDS, Struck, end, strike

POOLS = ("pool-teachers", "pool")
STAGES = (
    "resolve", "prepare", "pool-teachers", "teacher", "embed", "pool", "student", "evaluate", "collect", "analyse",
    "publish",
)  # fmt: skip
AROUND = ("check", "repro", "summary")
"""What make runs; `repro` while it loads."""
TOOLS = {
    "tune": (("tune", "clip", "half", "fd"), "tuning"),
    "export": (("export", "clip-half-fd-s0", "--to", "open_clip"), "exported"),
    "verify": (("verify", "clip-half-fd-s0"), ""),
    "status": (("status",), ""),
}
"""Commands of a finished study, and the folder that each writes."""
WHOLE = ("prepare", "embed", "collect", "analyse")
"""Stages whose command makes something whenever it runs."""
LONGEST = 5.0
"""Seconds in which Ctrl-C and SIGTERM end a study."""
AGAIN_SECONDS = 500.0


@dataclass
class Kill:
    """What is killed, by what, when."""

    number: int
    stage: str
    target: str
    by: str
    engine: str = "local"
    moment: float = 0.5
    """Of the stage's duration."""
    written: str = ""
    """The file of DVC's that is just being written."""
    entry: int = 0
    made: bool = True
    bare: bool = False

    @property
    def kind(self) -> str:
        return f"{self.by} {self.target}" + (f", {self.written} written" if self.written else "")


@dataclass
class Verdict:
    """A kill and what came of it; nothing in `wrong` is well."""

    kill: Kill
    hit: bool = False
    seconds: float = 0.0
    again: float = 0.0
    """Seconds of the second run."""
    lines: list[str] = field(default_factory=list)
    """What was printed between the kill and the end."""
    mended: list[str] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)

    def row(self) -> dict[str, Any]:
        return {"kind": self.kill.kind, **asdict(self)}


def drawn(number: int, seed: int, only: str | None = None) -> Kill:
    """The kill with that number: stages in turn, all else by chance."""
    rng = Random(f"{seed}/{number}")
    places = [*STAGES, "pool", "student", *AROUND, *TOOLS]
    place = only or places[number % len(places)]
    target = rng.choice(["dvc", "group", "stage", "group"])
    by = rng.choice(["KILL", "TERM", "INT"])
    kill = Kill(number, place, target, by, moment=rng.random(), entry=rng.randrange(4), bare=rng.random() < 0.15)
    kill.made = rng.random() < 0.7
    if place in TOOLS:
        kill.target = "command"
    elif place in AROUND:
        kill.target = "group"
    elif place in POOLS:
        kill.engine = rng.choice(["local", "local", "slurm", "ray"])
        kill.target = rng.choice([kill.target, "group", "worker", "writer"])
    elif rng.random() < 0.3:
        kill.target, kill.by, kill.written = rng.choice(["dvc", "group"]), "KILL", rng.choice(["dvc.lock", "rwlock"])
        kill.moment = 0.5 * kill.moment
    if kill.target == "worker" and kill.by == "INT":
        kill.by = "KILL"  # a terminal sends it to all, or to none
    if kill.target in ("dvc", "stage") and kill.by == "INT":
        kill.target = "group"
    return kill


def judged(ground: Ground, kill: Kill) -> Verdict:
    """Carry out a kill, run again what a user would, and compare."""
    return _of_tool(ground, kill) if kill.stage in TOOLS else _of_run(ground, kill)


def _of_run(ground: Ground, kill: Kill) -> Verdict:
    verdict = Verdict(kill)
    if kill.stage in AROUND:
        ground.at_end(kill.engine)
        asked = rf" -m pipeline {kill.stage} "
        length = 2.0

        def when(printed: str, running: dict[int, str]) -> bool:
            return any(re.search(asked, f"{line} ") for line in running.values())
    else:
        ground.with_engine(kill.engine)
        ground.before(kill.stage, kill.engine, entry=kill.entry, made=kill.made, bare=kill.bare)
        asked, length = rf"Running stage '(.*:)?{kill.stage}(@[^']*)?':", ground.seconds.get(kill.stage, 5.0)

        def when(printed: str, running: dict[int, str]) -> bool:
            return re.search(asked, printed) is not None

    written = {"dvc.lock": ground.study / "dvc.lock", "rwlock": ground.tree / ".dvc" / "tmp" / "rwlock"}.get(
        kill.written
    )
    struck = strike(
        ground.command(straight=kill.stage not in AROUND), ground.tree, ground.environment(),
        ground.folder / "struck.txt", when,
        kill.moment * length, kill.target, signal.Signals[f"SIG{kill.by}"], written,
        outlives=kill.engine == "slurm",
    )  # fmt: skip
    _look(verdict, struck, kill)
    finished, trained = _finished(ground), _trainings(ground)
    again = _again(ground, verdict, ground.command(), ground.tree)
    if left := end(struck.mark):
        verdict.wrong.append(f"left over after the second run: {left}")
    verdict.mended = re.findall(r"^mend: .*", again, re.MULTILINE)
    for name in finished:
        if _trainings(ground).get(name, 0) > trained.get(name, 0):
            verdict.wrong.append(f"{name} was finished and is trained or scored again")
    over = struck.begun if struck.code == 0 else struck.begun[:-1]
    for stage in {name for name in over if name.partition("@")[0] in WHOLE}:
        if re.search(rf"Running stage '(.*:)?{re.escape(stage)}':", again):
            verdict.wrong.append(f"stage {stage} was finished and runs again")
    _compare(ground, verdict)
    if ground.until:
        return verdict
    counts = ground.runs()
    expected = {*(path.name for path in (ground.study / "runs").iterdir()), "clip-teacher", "report"}
    if set(counts) != expected or any(status != ["FINISHED"] for status in counts.values()):
        verdict.wrong.append(f"MLflow has {counts}")
    return verdict


def _of_tool(ground: Ground, kill: Kill) -> Verdict:
    command, makes = TOOLS[kill.stage]
    verdict = Verdict(kill)
    ground.at_end()
    kept = ground.folder / "made" / kill.stage
    if kill.stage not in ground.seconds:
        began = time.monotonic()
        _again(ground, verdict, ground.command(*command), ground.study)
        ground.seconds[kill.stage] = time.monotonic() - began
        shutil.rmtree(kept, ignore_errors=True)
        if makes:
            shutil.copytree(ground.study / makes, kept)
        ground.at_end()
    struck = strike(
        ground.command(*command), ground.study, ground.environment(), ground.folder / "struck.txt",
        lambda printed, running: True, kill.moment * ground.seconds[kill.stage], "command",
        signal.Signals[f"SIG{kill.by}"],
    )  # fmt: skip
    _look(verdict, struck, kill)
    _again(ground, verdict, ground.command(*command), ground.study)
    if makes and (differ := _differ(_files(kept), _files(ground.study / makes))):
        verdict.wrong.append(f"{kill.stage} wrote other files: {differ}")
    _compare(ground, verdict)
    return verdict


def _look(verdict: Verdict, struck: Struck, kill: Kill) -> None:
    """What the kill itself has to show."""
    verdict.hit, verdict.seconds = struck.hit, round(struck.seconds, 2)
    verdict.lines = [line for line in struck.after.splitlines() if line.strip()][:40]
    if not struck.hit and struck.code:
        verdict.wrong.append(f"ended with {struck.code} without a kill: {struck.printed[-600:]}")
    if struck.orphans:
        verdict.wrong.append(f"left over: {struck.orphans}")
    if struck.hit and kill.by in ("TERM", "INT") and kill.target in {*ENDS, "command"}:
        if struck.seconds > LONGEST:
            verdict.wrong.append(f"took {struck.seconds:.1f} s to end")
        if "Traceback" in struck.after:
            verdict.wrong.append("a traceback")


def _again(ground: Ground, verdict: Verdict, command: list[str], folder: Path) -> str:
    """Run what a user runs; what it printed."""
    began = time.monotonic()
    try:
        done = subprocess.run(
            command, cwd=folder, env=ground.environment(), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT, text=True, errors="replace", timeout=AGAIN_SECONDS,
            check=False, start_new_session=True,
        )  # fmt: skip
    except subprocess.TimeoutExpired as error:
        verdict.wrong.append(f"the second run does not end: {str(error.output)[-600:]}")
        return ""
    verdict.again = round(time.monotonic() - began, 1)
    if done.returncode:
        verdict.wrong.append(f"needs a hand: {done.stdout[-1200:]}")
    return done.stdout


def _finished(ground: Ground) -> list[str]:
    """Models whose training and scoring are done."""
    study, found = ground.study, []
    base = ground.folder / "local"
    for cell in sorted(path.name for path in (base / "studies" / "tiny" / "scores").iterdir()):
        model = f"teachers/{cell.removesuffix('-teacher')}" if cell.endswith("-teacher") else f"runs/{cell}"
        parts = []
        for kind, place in (
            ("teacher" if cell.endswith("-teacher") else "distil", model),
            ("evaluate", f"scores/{cell}"),
        ):
            key = (base / "studies" / "tiny" / place / "fingerprint").read_text().strip()
            record = study / place / "fingerprint"
            in_place = record.is_file() and record.read_text().strip() == key
            parts.append(in_place or (study / ".scratch" / kind / key / "DONE").is_file())
        if all(parts):
            found.append(cell)
    return found


def _trainings(ground: Ground) -> dict[str, int]:
    """Times that a model was begun, by name."""
    logs = (ground.study / "logs").glob("*.log")
    return {log.stem: len(re.findall(r"^--- .* on \S+, process", log.read_text(), re.MULTILINE)) for log in logs}


def _compare(ground: Ground, verdict: Verdict) -> None:
    if differ := _differ(ground.truth[verdict.kill.engine], ground.contents()):
        verdict.wrong.append(f"not the bytes of an undisturbed run: {differ}")


def _differ(one: dict[str, Any], other: dict[str, Any]) -> list[str]:
    return sorted(name for name in {*one, *other} if one.get(name) != other.get(name))[:12]


def _files(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


__all__ = ["ENGINES", "STAGES", "TOOLS", "Kill", "Verdict", "drawn", "judged"]
