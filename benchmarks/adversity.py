"""What a study does on a full or read-only disk, under a clock that jumps, and so on: python benchmarks/adversity.py

    full        the disk fills up where a stage begins (a small tmpfs)
    read-only   the whole checkout, or the folder that a stage writes to, cannot be written
    clock       the clock goes back or on by 400 days, or jumps while it runs (libfaketime, if it is installed)
    cache       objects in DVC's cache change, with times kept, and what was made from them is restored
    packages    an npm package in the cache of downloads is cut
    twice       `make repro` begins twice at once, of one study and of two
    ui          MLflow's UI is open while the study runs
    memory      address space is bounded (`ulimit -v`)
    strings     description and hypotheses hold HTML, LaTeX, formulas of spreadsheets, quotes

Each case runs a tiny study as `make repro` does; it has to end well or with a named error, in time and without a
traceback. Then the cause is taken away, and another run has to leave the bytes of an undisturbed one. Prints a row a
case, and ends with 1 if one went wrong. `full` and `read-only` mount file systems and so need the rights for it;
they run in a mount namespace of their own (`unshare --mount`).
"""

from __future__ import annotations

import argparse
import csv
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from html.parser import HTMLParser
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from pipeline.prepare import CACHE
from tests.kills.ground import NAME, Ground
from tests.kills.judge import STAGES
from tests.pipeline.studies import edit

SECONDS = 600.0
INSIDE = "ADVERSITY_INSIDE"
FAKETIME = (
    "/usr/lib/x86_64-linux-gnu/faketime/libfaketime.so.1",
    "/usr/lib/aarch64-linux-gnu/faketime/libfaketime.so.1",
)
HOSTILE = '<script>alert(1)</script> \\input{/etc/passwd} $x_1$ % & # =HYPERLINK("http://x") \'q" {{7*7}} 日本'
SIZES = {"K": 1 << 10, "M": 1 << 20}


@dataclass
class Seen:
    """What became of a case."""

    case: str
    code: int = 0
    said: str = ""
    wrong: list[str] = field(default_factory=list)


def run(ground: Ground, *, prefix: tuple[str, ...] = (), **more: str) -> tuple[int, str]:
    """The study to its end: exit status and what it printed."""
    command = [*prefix, *ground.command(straight=True)]
    try:
        done = subprocess.run(
            command, cwd=ground.tree, env=ground.environment(**more), stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace", timeout=SECONDS,
            check=False, start_new_session=True,
        )  # fmt: skip
    except subprocess.TimeoutExpired as error:
        return 124, f"did not end: {error.output!r}"
    return done.returncode, done.stdout


def named(printed: str) -> str:
    """The lines that say what went wrong, ours before DVC's and make's."""
    lines = [line for line in printed.splitlines() if re.match(r"(ERROR|[a-z-]+): ", line) and "make:" not in line]
    stages = [
        line for line in lines if re.match(rf"({'|'.join((*STAGES, 'check', 'repro', 'mend', 'summary'))}): ", line)
    ]
    errors = [line for line in stages if re.search(r"space|cannot|not the bytes|memory|read-only|Read-only|cut", line)]
    return (errors or [line for line in lines if line.startswith("ERROR")] or lines or [printed[-200:]])[0][:400]


def looked(ground: Ground, seen: Seen, code: int, printed: str, *, fails: bool | None = None) -> None:
    """Judge the run under adversity.

    Args:
        fails: whether it has to fail; None if it may.
    """
    seen.code, seen.said = code, "ends well" if code == 0 else named(printed)
    if "Traceback" in printed:
        seen.wrong.append(f"a traceback: {printed[printed.index('Traceback') :][-700:]}")
    if code == 124:
        seen.wrong.append("did not end")
    if fails is not None and fails != bool(code):
        seen.wrong.append("fails" if code else "ends well, without a word")


def again(ground: Ground, seen: Seen) -> None:
    """Without the cause: the bytes of an undisturbed run."""
    code, printed = run(ground)
    if code:
        seen.wrong.append(f"the next run fails: {printed[-700:]}")
    found, truth = ground.contents(), ground.truth["local"]
    if differ := sorted(name for name in {*found, *truth} if found.get(name) != truth.get(name)):
        seen.wrong.append(f"not the bytes of an undisturbed run: {differ[:8]}")


def mount(*arguments: str) -> None:
    subprocess.run(("mount", *arguments), check=True)


def full(ground: Ground) -> Iterator[Seen]:
    kept = ground.folder / "disk"
    for stage in STAGES:
        seen = Seen(f"full: {stage}")
        ground.before(stage)
        if kept.exists():
            shutil.rmtree(kept)
        ground.tree.rename(kept)
        ground.tree.mkdir()
        mount("-t", "tmpfs", "-o", "size=4G", "tmpfs", str(ground.tree))
        try:
            shutil.copytree(kept, ground.tree, symlinks=True, dirs_exist_ok=True)
            used = shutil.disk_usage(ground.tree).used
            mount("-o", f"remount,size={used + (96 << 10)}", str(ground.tree))
            looked(ground, seen, *run(ground))
            mount("-o", "remount,size=4G", str(ground.tree))
            again(ground, seen)
        finally:
            subprocess.run(("umount", str(ground.tree)), check=False)
            shutil.rmtree(ground.tree, ignore_errors=True)
        yield seen


def read_only(ground: Ground) -> Iterator[Seen]:
    places = {"publish": ".", "resolve": ".", "prepare": ".scratch", "pool-teachers": ".scratch", "teacher": "teachers",
              "embed": "embeddings", "pool": ".scratch", "student": "runs", "evaluate": "scores", "collect": ".scratch",
              "analyse": ".scratch"}  # fmt: skip
    for stage, place in places.items():
        seen = Seen(f"read-only: {place} at {stage}")
        ground.before(stage)
        folder = ground.tree if place == "." else ground.study / place
        folder.mkdir(exist_ok=True)
        mount("--bind", str(folder), str(folder))
        try:
            mount("-o", "remount,bind,ro", str(folder))
            looked(ground, seen, *run(ground), fails=True)
        finally:
            subprocess.run(("umount", "-l", str(folder)), check=False)
        again(ground, seen)
        yield seen


def clock(ground: Ground) -> Iterator[Seen]:
    library = next((path for path in FAKETIME if Path(path).is_file()), None)
    if library is None:
        print("clock: libfaketime is not installed, left out", flush=True)
        return
    for jump in ("-400d", "+400d"):
        seen = Seen(f"clock: {jump}")
        ground.before("pool-teachers")
        looked(
            ground, seen, *run(ground, LD_PRELOAD=library, FAKETIME=jump, FAKETIME_DONT_FAKE_MONOTONIC="1"), fails=False
        )
        again(ground, seen)
        yield seen
    seen, now = Seen("clock: back by a day while the pool works"), ground.folder / "now"
    ground.before("pool")
    now.write_text("+0\n")
    more = {"FAKETIME_TIMESTAMP_FILE": str(now), "FAKETIME_NO_CACHE": "1", "FAKETIME_DONT_FAKE_MONOTONIC": "1"}
    with subprocess.Popen(
        ground.command(), cwd=ground.tree, env=ground.environment(LD_PRELOAD=library, **more), text=True,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL,
    ) as process:  # fmt: skip
        assert process.stdout is not None
        printed = []
        for line in process.stdout:
            printed.append(line)
            if "pool'" in line:
                time.sleep(5.0)
                now.write_text("-1d\n")
    looked(ground, seen, process.returncode, "".join(printed), fails=False)
    again(ground, seen)
    yield seen


def spoil(file: Path) -> None:
    """Other bytes of the same length; time and mode stay."""
    before, content = file.stat(), bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.chmod(0o644)
    file.write_bytes(content)
    file.chmod(before.st_mode)
    os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))


def cache(ground: Ground) -> Iterator[Seen]:
    read = {  # what is spoilt, and from which stage on the study is made again
        "corpus/captions": "embed",
        "teachers/clip/model.safetensors": "embed",
        "embeddings": "pool",
        "runs/clip-half-fd-s0/run.json": "collect",
        "scores/clip-half-fd-s0/vqa.parquet": "collect",
        "results/retrieval.parquet": "analyse",
        "report/report.html": "publish",
    }
    for place, stage in read.items():
        ground.before(stage)
        target = ground.study / place
        if not target.is_file():
            target = max(
                (path for path in target.parent.rglob("*") if path.is_file()), key=lambda path: path.stat().st_size
            )
        name, content = target.relative_to(ground.study), target.read_bytes()
        seen = Seen(f"cache: {name} at {stage}")
        objects = (
            path for path in (ground.tree / ".dvc/cache/files/md5").glob("??/*") if path.stat().st_size == len(content)
        )
        spoil(next(path for path in objects if path.read_bytes() == content))
        out = ground.study / Path(*name.parts[: 1 if name.parts[0] in ("corpus", "results", "report") else 2])
        shutil.rmtree(out)
        code, printed = run(ground)
        looked(ground, seen, code, printed, fails=True)
        if remedy := re.search(r"Remove (.*?) and run", " ".join(printed.split())):
            for path in remedy[1].split():
                found = ground.study / path
                shutil.rmtree(found) if found.is_dir() else found.unlink(missing_ok=True)
        again(ground, seen)
        yield seen


def packages(ground: Ground) -> Iterator[Seen]:
    source = next(CACHE.glob("npm-*"))
    for pattern, cut in (("*.json", 0.5), ("*.svg", 0.5), ("*.svg", 0.0)):
        ground.before("prepare")
        copied = ground.folder / "downloads"
        shutil.rmtree(copied, ignore_errors=True)
        shutil.copytree(source, copied / source.name, symlinks=True)
        files = sorted((copied / source.name / "node_modules").rglob(pattern), key=lambda path: path.stat().st_size)
        for file in files if pattern == "*.svg" else files[-40:]:
            file.write_bytes(file.read_bytes()[: int(cut * file.stat().st_size)])
        seen = Seen(f"packages: {pattern} cut to {cut:.0%}")
        looked(ground, seen, *run(ground, POLYGLOTS_CACHE=str(copied)), fails=True)
        again(ground, seen)
        yield seen


def twice(ground: Ground) -> Iterator[Seen]:
    for other in (NAME, "second"):
        seen = Seen(f"twice: {'one study' if other == NAME else 'two studies'}")
        ground.before("pool")
        if other != NAME:
            shutil.copytree(ground.study, ground.tree / "studies" / other)
        running = [
            subprocess.Popen(
                ["make", "repro", f"STUDY={study}"], cwd=ground.tree, env=ground.environment(), text=True,
                stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            )
            for study in (NAME, other)
        ]  # fmt: skip
        ends = [(process.communicate(timeout=SECONDS)[0], process.returncode) for process in running]
        for printed, code in ends:
            if code or "Traceback" in printed:
                looked(ground, seen, code, printed)
        seen.said = f"{[code for _, code in ends]}: {seen.said or 'both end well'}"
        again(ground, seen)
        yield seen


def ui(ground: Ground) -> Iterator[Seen]:
    seen = Seen("ui: open while it runs")
    ground.before("pool")
    command = ground.command("ui", "--port", "5077")
    shown = subprocess.Popen(
        command, cwd=ground.study, env=ground.environment(), stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL, start_new_session=True,
    )  # fmt: skip
    time.sleep(10.0)
    try:
        looked(ground, seen, *run(ground), fails=False)
    finally:
        os.killpg(shown.pid, 15)
        shown.wait()
    again(ground, seen)
    yield seen


def memory(ground: Ground) -> Iterator[Seen]:
    for megabytes in (300, 1200, 2500):
        seen = Seen(f"memory: {megabytes} MB of address space")
        ground.before("pool")
        looked(ground, seen, *run(ground, prefix=("bash", "-c", f'ulimit -v {megabytes << 10}; exec "$@"', "-")))
        again(ground, seen)
        yield seen


class _Scripts(HTMLParser):
    """Whether text of ours became a tag."""

    hostile = False

    def handle_data(self, data: str) -> None:
        self.hostile |= self.cdata_elem == "script" and data.strip() == "alert(1)"


def strings(ground: Ground) -> Iterator[Seen]:
    seen = Seen("strings: description and hypotheses")
    ground.at_end()
    changes = {"study.description": HOSTILE, "analysis.hypotheses": [HOSTILE, "=1+1", "@SUM(A1)", "-2+3"]}
    kept = (ground.study / "params.yaml").read_text()
    edit(ground.study / "params.yaml", changes)
    looked(ground, seen, *run(ground), fails=False)
    parser = _Scripts()
    parser.feed((ground.study / "report" / "report.html").read_text())
    if parser.hostile:
        seen.wrong.append("a script of the description runs in the report")
    for table in (ground.study / "report").rglob("*.csv"):
        with table.open(encoding="utf-8", newline="") as file:
            cells = [cell for row in csv.reader(file) for cell in row if re.match(r"[=@]|[+-](?![\d.]|inf)", cell)]
        if cells:
            seen.wrong.append(f"{table.name} has cells that a spreadsheet computes: {cells[:3]}")
    for tex in (ground.study / "report").rglob("*.tex"):
        if "\\input{/etc" in tex.read_text():
            seen.wrong.append(f"{tex.name} reads another file")
    (ground.study / "params.yaml").write_text(kept)
    again(ground, seen)
    yield seen


CASES: dict[str, Callable[[Ground], Iterator[Seen]]] = {
    "full": full, "read-only": read_only, "clock": clock, "cache": cache, "packages": packages, "twice": twice,
    "ui": ui, "memory": memory, "strings": strings,
}  # fmt: skip
MOUNTING = ("full", "read-only")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("cases", nargs="*", choices=[*CASES, []], help="all if left out")
    parser.add_argument("--ground", type=Path, help="a folder for the study, kept and used again")
    given = parser.parse_args()
    wanted = given.cases or list(CASES)
    if INSIDE not in os.environ and set(wanted) & set(MOUNTING):
        os.environ[INSIDE] = "1"
        os.execvp("unshare", ["unshare", "--mount", "--propagation", "private", sys.executable, *sys.argv])
    wrong = 0
    with tempfile.TemporaryDirectory(prefix="adversity-") as folder:
        ground = Ground(given.ground or Path(folder))
        ground.make()
        print("| case | exit status | seen | then |\n|---|---|---|---|", flush=True)
        for case in wanted:
            for seen in CASES[case](ground):
                wrong += bool(seen.wrong)
                then = "; ".join(seen.wrong).replace("\n", " ") or "clean"
                print(f"| {seen.case} | {seen.code} | {seen.said} | {then} |", flush=True)
    return wrong > 0


if __name__ == "__main__":
    sys.exit(main())
