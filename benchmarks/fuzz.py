"""How many mutated files end in anything but success or plain lines: python benchmarks/fuzz.py --seed 0

    params      params.yaml files made from this repository's studies, checked in this process by what
                `python -m pipeline check` calls; `commands` of them by that command as well
    followed    accepted ones, further: plans, DVC's graph, and every stage of the study made tiny
    files       tables, shards, images, questions, checkpoints, plans, tuned values through the readers of the stages

Every case follows from the seed, its kind and its number. Cases that failed are written to a folder, input and reason;
`--only "captions, CSV" 17` tries one again and tells what became of it. Works in a process of its own for each kind,
which is ended where it stays silent, and whose memory is bounded. The mutators are those of tests/fuzzing.
"""

from __future__ import annotations

import argparse
import contextlib
import multiprocessing
import os
import resource
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from pathlib import Path
from random import Random

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
os.environ |= {"HF_HUB_OFFLINE": "1", "DVC_NO_ANALYTICS": "1", "TOKENIZERS_PARALLELISM": "false"}

from pipeline.sources import ROOT
from study.models.shape import SizeError
from tests.fuzzing import following, inputs, parameters
from tests.fuzzing.kinds import KINDS, shares
from tests.fuzzing.outcome import FAULTS, Result, attempt

SILENT = 900.0
"""Seconds without a word after which a process is ended: it hangs in C code, where no alarm rings."""
MEMORY = 12 << 30
TINY_SECONDS = 300.0

Told = tuple[str, str, bytes]
"""Verdict, reason and input of a case."""
Try = Callable[[int], Told]


@dataclass
class Tally:
    """What became of the cases of one kind; faults: number to reason and input."""

    verdicts: Counter[str] = field(default_factory=Counter)
    seconds: float = 0.0
    accepted: list[int] = field(default_factory=list)
    faults: dict[int, Told] = field(default_factory=dict)

    def add(self, number: int, told: Told) -> None:
        self.verdicts[told[0]] += 1
        if told[0] == "accepted":
            self.accepted.append(number)
        elif told[0] != "refused":
            self.faults[number] = told


def watched(attempt_one: Try, numbers: Sequence[int]) -> Iterator[tuple[int, Told]]:
    """Each case in a process of its own for all; one that dies or stays silent is a fault, and the next ones go on."""
    context, left = multiprocessing.get_context("fork"), list(numbers)

    def work(pipe: Connection) -> None:
        resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
        nowhere = os.open(os.devnull, os.O_WRONLY)
        for stream in (1, 2):  # libraries in other languages print past sys.stdout
            os.dup2(nowhere, stream)
        for number in left:
            pipe.send((number, attempt_one(number)))

    while left:
        ours, theirs = context.Pipe(duplex=False)
        process = context.Process(target=work, args=(theirs,))
        process.start()
        theirs.close()
        try:
            while left:
                if not ours.poll(SILENT):
                    yield left.pop(0), ("hang", f"no word in {SILENT:.0f} s", b"")
                    break
                yield ours.recv()
                left.pop(0)
        except EOFError:
            process.join()
            yield left.pop(0), ("traceback", f"its process ended with status {process.exitcode}", b"")
        finally:
            process.kill()
            process.join()


def parameter_case(seed: int, folder: Path) -> Try:
    def case(number: int) -> Told:
        mutant = parameters.mutant(seed, number)
        found = parameters.checked(folder, mutant)
        return found.verdict, found.said, mutant.content

    return case


def command_case(seed: int, folder: Path) -> Try:
    """By the command itself, whose faults are lines, too, that ask for a report."""

    def case(number: int) -> Told:
        mutant = parameters.mutant(seed, number)
        place = folder / mutant.study
        (place / "params.yaml").write_bytes(mutant.content)
        command = [sys.executable, "-m", "pipeline", "check"]
        env = os.environ | {"PYTHONPATH": str(ROOT)}
        done = subprocess.run(command, cwd=place, env=env, capture_output=True, text=True, timeout=600)
        if "Traceback" in done.stderr or "please report" in done.stderr or done.returncode not in (0, 1):
            return "traceback", f"status {done.returncode}\n{done.stderr}", mutant.content
        return "refused" if done.returncode else "accepted", done.stderr, mutant.content

    return case


def followed_case(seed: int, folder: Path) -> Try:
    """Plans and DVC's graph of the file itself, all stages of it made tiny; `skipped` where that breaks its rules."""

    def case(number: int) -> Told:
        mutant = parameters.mutant(seed, number)
        found = attempt(lambda: taken_further(folder, mutant, Random(f"{seed}/followed/{number}")), TINY_SECONDS)
        verdict = "skipped" if found.value == "skipped" else found.verdict
        return "line" if verdict == "refused" else verdict, found.said, mutant.content

    return case


def taken_further(folder: Path, mutant: parameters.Mutant, random: Random) -> str:
    place = folder / mutant.study
    (place / "params.yaml").write_bytes(mutant.content)
    graph = Path(tempfile.mkdtemp(prefix="graph-", dir=folder))
    os.chdir(place)
    following.plans()
    following.graph(graph / "study", place / "params.yaml")
    tiny = following.shrunk(place / "params.yaml", random)
    for content in (tiny, following.sized(tiny, 0.75), following.sized(tiny, 1.0)):
        checked = parameters.checked(folder, parameters.Mutant(mutant.study, content))
        if checked.verdict != "accepted":
            continue
        # So small a corpus has fewer tokens than are declared, and a teacher of fewer has room for other fractions.
        with contextlib.suppress(SizeError):
            following.run(folder / "kept")
            return "run"
    return "skipped"


def one_each(attempt_one: Try, numbers: Sequence[int]) -> Iterator[tuple[int, Told]]:
    """A fresh process for each case: stages keep what they read in memory, and a study's folder is theirs alone."""
    for number in numbers:
        yield from watched(attempt_one, [number])


def file_case(seed: int, kind: inputs.Kind, folder: Path) -> Try:
    def case(number: int) -> Told:
        mutated = inputs.mutated(seed, number, kind, folder)
        first, later = inputs.tried(mutated, folder)
        if later is not None and later.verdict != "accepted":
            return "later", later.said, mutated.content
        return first.verdict, first.said, mutated.content

    return case


def counted(cases: Iterator[tuple[int, Told]], out: Path, name: str) -> Tally:
    tally, started = Tally(), used()
    for number, told in cases:
        tally.add(number, told)
        if number in tally.faults:
            place = out / name.replace(" ", "-").replace(",", "") / str(number)
            place.mkdir(parents=True, exist_ok=True)
            (place / "input").write_bytes(told[2])
            (place / "why.txt").write_text(f"{told[0]}\n{told[1]}\n", encoding="utf-8", errors="backslashreplace")
    tally.seconds = used() - started
    return tally


def used() -> float:
    """Seconds of a processor that processes which have ended took; how long they waited says nothing."""
    spent = resource.getrusage(resource.RUSAGE_CHILDREN)
    return spent.ru_utime + spent.ru_stime


HEAD = ("kind", "tried", "accepted", "refused", "tracebacks", "unclear lines", "hangs", "failed later", "CPU seconds")


def row(name: str, tally: Tally) -> None:
    seen = tally.verdicts
    later = seen["later"] + seen["line"]
    cells: list[str | int] = [name, seen.total() - seen["skipped"], seen["accepted"], seen["refused"]]
    cells += [*(seen[verdict] for verdict in FAULTS), later, f"{tally.seconds:.0f}"]
    print(f"| {' | '.join(f'{cell:,}' if isinstance(cell, int) else cell for cell in cells)} |", flush=True)


def main(given: argparse.Namespace, folder: Path) -> int:
    seed, out, failed = given.seed, given.out, 0
    parameters.lay_out(folder)
    (folder / "kept").mkdir()
    print(f"| {' | '.join(HEAD)} |\n|{'---|' * len(HEAD)}", flush=True)

    def told(name: str, cases: Iterator[tuple[int, Told]]) -> Tally:
        nonlocal failed
        tally = counted(cases, out, name)
        row(name, tally)
        failed += len(tally.faults) - tally.verdicts["skipped"]
        return tally

    if given.params:
        checked = told("params.yaml", watched(parameter_case(seed, folder), range(given.params)))
        random = Random(f"{seed}/chosen")
        some = sorted(random.sample(range(given.params), min(given.commands, given.params)))
        if some:
            told("by the command", watched(command_case(seed, folder), some))
        chosen = random.sample(checked.accepted, min(given.followed, len(checked.accepted)))
        if chosen:
            told("accepted, followed", one_each(followed_case(seed, folder), chosen))
    for kind in KINDS if given.files else ():
        place = inputs.lay_out(kind, folder)
        told(kind.name, watched(file_case(seed, kind, place), range(shares(given.files)[kind.name])))
    print(f"\n{failed} faults" + (f", in {out}" if failed else ""))
    return 1 if failed else 0


def again(seed: int, name: str, number: int, folder: Path) -> None:
    """Try one case in this process, and tell all of it."""
    if name == "params.yaml":
        parameters.lay_out(folder)
        found: Result | None = parameters.checked(folder, parameters.mutant(seed, number))
        later = None
    else:
        kind = next(kind for kind in KINDS if kind.name == name)
        place = inputs.lay_out(kind, folder)
        found, later = inputs.tried(inputs.mutated(seed, number, kind, place), place)
    for result in (found, later):
        if result is not None:
            print(f"{result.verdict}\n{result.said}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--params", type=int, default=10_000, help="parameter files")
    parser.add_argument("--commands", type=int, default=50, help="of them checked by the command, too")
    parser.add_argument("--followed", type=int, default=200, help="accepted ones that are taken further")
    parser.add_argument("--files", type=int, default=5_000, help="input files of all kinds")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=Path("fuzz-failures"), help="where cases that failed are written")
    parser.add_argument("--only", nargs=2, metavar=("KIND", "NUMBER"), help="try one case again")
    arguments = parser.parse_args()
    arguments.out = arguments.out.resolve()
    with tempfile.TemporaryDirectory(prefix="fuzz-") as temporary:
        where = Path(temporary).resolve()
        if arguments.only:
            again(arguments.seed, arguments.only[0], int(arguments.only[1]), where)
        else:
            sys.exit(main(arguments, where))
