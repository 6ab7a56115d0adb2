"""What kills do to a study that runs: python benchmarks/kills.py --kills 200 --seed 0

Each kill strikes `make repro` of a tiny study, or a tool, at a random moment of one stage: SIGKILL, SIGTERM or SIGINT
to DVC, the whole group, the stage's process, one worker or MLflow's writer, or SIGKILL in the moment at which DVC
writes dvc.lock or its rwlock. Then the same command runs again, and the outcome is judged: it ends well, nothing that
was finished is made again, no process is left, MLflow has one finished run a model, and every file has the bytes of an
undisturbed run. Ctrl-C and SIGTERM end everything within 5 s and without a traceback.

Every kill follows from the seed and its number but for the machine's own pace. Prints a table, and a line of JSON for
each kill into `--out`; ends with 1 if anything was wrong. What decides is in tests/kills.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from tests.kills.ground import Ground
from tests.kills.judge import AROUND, STAGES, TOOLS, Kill, Verdict, drawn, judged


def table(verdicts: Sequence[Verdict]) -> str:
    """Kills by stage and kind, in Markdown; `wrong` counts kills with anything wrong."""
    kinds = sorted({verdict.kill.kind for verdict in verdicts})
    stages = [name for name in (*AROUND[:2], *STAGES, *AROUND[2:], *TOOLS)]
    counts = Counter((verdict.kill.stage, verdict.kill.kind) for verdict in verdicts)
    lines = [f"| stage | {' | '.join(kinds)} | all | wrong |", f"|{'---|' * (len(kinds) + 3)}"]
    for stage in stages:
        mine = [verdict for verdict in verdicts if verdict.kill.stage == stage]
        if mine:
            row = [str(counts[stage, kind] or "") for kind in kinds]
            lines.append(f"| {stage} | {' | '.join(row)} | {len(mine)} | {sum(bool(v.wrong) for v in mine)} |")
    row = [str(sum(counts[stage, kind] for stage in stages)) for kind in kinds]
    lines.append(f"| all | {' | '.join(row)} | {len(verdicts)} | {sum(bool(v.wrong) for v in verdicts)} |")
    return "\n".join(lines)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--first", type=int, default=0, help="number of the first one")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", choices=[*STAGES, *AROUND, *TOOLS], help="one stage or tool")
    parser.add_argument("--minutes", type=float, default=1e9, help="no further kill is begun after so many")
    parser.add_argument("--ground", type=Path, help="a folder for the study, kept and used again")
    parser.add_argument("--out", type=Path, default=Path("kills.jsonl"), help="a line of JSON a kill")
    parser.add_argument("--read", type=Path, nargs="+", default=[], help="kill nothing; the table of earlier outputs")
    given = parser.parse_args()
    if given.read:
        lines = [json.loads(line) for path in given.read for line in path.read_text(encoding="utf-8").splitlines()]
        return told([verdict_of(line) for line in lines])
    until, verdicts = time.monotonic() + 60 * given.minutes, []
    with tempfile.TemporaryDirectory(prefix="kills-") as folder, given.out.open("w", encoding="utf-8") as out:
        ground = Ground(given.ground or Path(folder))
        ground.make()
        taken = ", ".join(f"{stage} {seconds:.1f}" for stage, seconds in ground.seconds.items())
        print(f"undisturbed, seconds: {taken}", flush=True)
        for number in range(given.first, given.first + given.kills):
            if time.monotonic() > until:
                break
            verdict = judged(ground, drawn(number, given.seed, given.only))
            out.write(json.dumps(verdict.row(), ensure_ascii=False) + "\n")
            out.flush()
            said = "; ".join(verdict.wrong) if verdict.wrong else "well"
            if not verdict.hit:
                said = f"was over before it: {said}"
            print(
                f"{number}: {verdict.kill.stage} ({verdict.kill.engine}), {verdict.kill.kind}, "
                f"{verdict.seconds} s and {verdict.again} s: {said[:1500]}",
                flush=True,
            )
            verdicts.append(verdict)
    return told(verdicts)


def verdict_of(line: dict[str, Any]) -> Verdict:
    """What `Verdict.row` wrote."""
    known = {name: value for name, value in line.items() if name != "kind"}
    return Verdict(**{**known, "kill": Kill(**line["kill"])})


def told(verdicts: Sequence[Verdict]) -> int:
    """Print the table; the exit status."""
    counted = [verdict for verdict in verdicts if verdict.hit or verdict.wrong]
    wrong = sum(bool(verdict.wrong) for verdict in counted)
    print(table(counted))
    print(f"{sum(v.hit for v in counted)} kills, {wrong} wrong; {len(verdicts) - len(counted)} came too late")
    return int(wrong > 0)


if __name__ == "__main__":
    sys.exit(main())
