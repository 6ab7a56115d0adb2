"""How long a large study takes on so many GPUs, on paper: FLOP that are counted, at throughputs that others measured.

    python benchmarks/plan.py [--gpus 8 64] [--captions 2500000] [--seeds 10] [--teraflops 50]

The study: the methods of studies/paper at two sizes, a teacher of SigLIP2's shape So400m at 256 pixels, 36 languages. A
student sees every caption once. Each caption counts with its whole context of 64 tokens, so this is an upper bound.
"""

from __future__ import annotations

import argparse
from math import ceil
from pathlib import Path
from typing import NamedTuple

from study.config.params import read
from study.objectives.encoded import captions_per_item, needed

PAPER = Path(__file__).resolve().parent.parent / "studies" / "paper" / "params.yaml"
WIDTH, MLP, LAYERS, TOKENS, PATCHES, VOCABULARY = 1152, 4304, 27, 64, 256, 256_000
"""Of So400m: https://huggingface.co/google/siglip2-so400m-patch16-256, config.json."""
TOWER = LAYERS * (4 * WIDTH * WIDTH + 2 * WIDTH * MLP)
"""Parameters of a tower that a token passes through, without biases and norms."""
CAPTIONS_AN_IMAGE = 5
SIZES = {"half": 0.5, "quarter": 0.25}
SCORED = 261_375
"""Captions of Crossmodal-3600."""
ADOPTED = 1.35
"""Seconds of DVC for a cell, one by one: measured on two cores, the default study."""
HASHED = 0.5e9
"""Bytes a second that DVC hashes: assumed."""
# NVIDIA's NeMo documents CLIP g/14 in training at 559 samples/s on 8 A100 and 935 on 8 H100 (one node of each).
G14 = 6.0 * (1.01e9 * 257 + 0.30e9 * 77)
CITED = {"A100": 559 / 8 * G14 / 1e12, "H100": 935 / 8 * G14 / 1e12}


class Plan(NamedTuple):
    """FLOP of the embeddings, of a student of each size and method, of scoring one; students; bytes on disk."""

    embedding: float
    students: list[float]
    scoring: float
    disk: float


def plan(captions: int, seeds: int) -> Plan:
    methods = read(PAPER).methods
    images = captions / CAPTIONS_AN_IMAGE
    embedding = 2.0 * TOWER * (2 * captions * TOKENS + images * PATCHES)
    students = [
        6.0 * fraction * TOWER * TOKENS * captions * captions_per_item(needed(terms))
        for fraction in SIZES.values()
        for terms in methods.values()
        for _ in range(seeds)
    ]
    disk = 2 * 2 * captions * WIDTH + sum(
        4 * fraction * (TOWER + VOCABULARY * WIDTH) for fraction in SIZES.values() for _ in range(len(methods) * seeds)
    )
    return Plan(embedding, students, 2.0 * TOWER * SIZES["half"] * TOKENS * SCORED, disk)


def hours(work: list[float], gpus: int, rate: float) -> float:
    """Until the last of some jobs is done, the longest first, each on one GPU."""
    loads = [0.0] * gpus
    for flops in sorted(work, reverse=True):
        loads[loads.index(min(loads))] += flops
    return max(loads) / rate / 3600


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--gpus", type=int, nargs="+", default=[8, 64])
    parser.add_argument("--captions", type=int, default=2_500_000)
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--teraflops", type=float, default=50.0, help="that a GPU sustains; assumed")
    args = parser.parse_args()
    found, rate = plan(args.captions, args.seeds), args.teraflops * 1e12
    print(
        "cited, of CLIP g/14 in training: " + ", ".join(f"{name} {value:.0f} TFLOP/s" for name, value in CITED.items())
    )
    print(f"{len(found.students)} students of {sum(found.students):.1e} FLOP; embeddings {found.embedding:.1e} FLOP")
    print(f"longest student {max(found.students) / rate / 3600:.1f} h; {found.disk / 1e9:.0f} GB on disk")
    serial = len(found.students) * ADOPTED + found.disk / HASHED
    for gpus in args.gpus:
        shards = [found.embedding / ceil(args.captions / 65536)] * ceil(args.captions / 65536)
        parts = {
            "embeddings, on one GPU": found.embedding / rate / 3600,
            "embeddings, by shards": hours(shards, gpus, rate),
            "students": hours(found.students, gpus, rate),
            "scoring": hours([found.scoring] * len(found.students), gpus, rate),
            "DVC, one by one": serial / 3600,
        }
        print(f"{gpus} GPUs: " + ", ".join(f"{name} {value:.2f} h" for name, value in parts.items()))


if __name__ == "__main__":
    main()
