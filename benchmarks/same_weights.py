"""Whether two checkouts train the same students, to the last bit.

    python -m benchmarks.same_weights FOLDER OTHER [--students clip-quarter-dr siglip2-half-mcl ...] [--steps 20]

FOLDER is what `benchmarks.material` prepares, and OTHER another checkout (`git worktree add OTHER main`), or `.` to
see that a run repeats itself. Every student of the default configuration is trained by both, its learning rate
running through the whole schedule of so many steps; the sha256 of all its weights and of its history are compared.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def trained(folder: Path, student: str, steps: int, batch: int | None) -> str:
    """sha256 of what the checkout on the path makes of one student: weights and losses."""
    import torch

    from study.config.params import read
    from study.data.prepared import PreparedCorpus
    from study.distill.student import StudentConfig, distil
    from study.models import checkpoint

    params = read(Path("params.yaml"))
    arch, size, method = student.split("-")
    wanted: dict[str, int] = {"steps": steps, **({"batch": batch} if batch else {})}
    training = params.students.training.model_copy(update=wanted)
    spec = params.students.model_copy(update={"training": training})
    config = StudentConfig(arch, size, params.sizes[size], 0, params.methods[method], spec)
    teacher = checkpoint.load(folder / "teachers" / arch).requires_grad_(False)
    corpus = PreparedCorpus(folder / "corpus")
    model, history, _ = distil(config, teacher, corpus, folder / "embeddings" / arch, torch.device("cpu"))
    made = hashlib.sha256(json.dumps(history.rows).encode())
    for name, tensor in sorted(model.state_dict().items()):
        made.update(name.encode() + tensor.contiguous().numpy().tobytes())
    return made.hexdigest()


def asked(checkout: Path, arguments: list[str]) -> list[str]:
    """The answers of a checkout, in a process of its own."""
    environment = {**os.environ, "PYTHONPATH": str(checkout), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, str(Path(__file__).resolve()), *arguments, "--child"]
    done = subprocess.run(command, cwd=checkout, env=environment, stdout=subprocess.PIPE, text=True, check=True)
    return done.stdout.split()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("other", type=Path)
    parser.add_argument("--students", nargs="+", default=["clip-quarter-dr", "siglip2-half-mcl"])
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--batch", type=int, help="the study's own if left out")
    parser.add_argument("--child", action="store_true", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.child:
        for student in given.students:
            print(trained(given.folder, student, given.steps, given.batch), flush=True)
        return
    arguments = [str(given.folder.resolve()), ".", "--steps", str(given.steps)]
    arguments += ["--batch", str(given.batch)] if given.batch else []
    arguments += ["--students", *given.students]
    answers = zip(given.students, asked(ROOT, arguments), asked(given.other.resolve(), arguments), strict=True)
    different = 0
    for student, own, theirs in answers:
        different += own != theirs
        print(f"{student:24} {own[:16]} {theirs[:16]} {'same' if own == theirs else 'DIFFERENT'}")
    sys.exit(1 if different else 0)


if __name__ == "__main__":
    main()
