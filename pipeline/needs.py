"""What a study needs before anything is downloaded or trained: files, licences, time, disk, memory.

Files are told of studies that use what others published; a study that makes everything itself needs none.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from pydantic import ValidationError

from study.config.grid import cells
from study.config.params import Params
from study.config.pretrained import PretrainedSpec
from study.config.size import EncoderSpec
from study.config.teacher import TeacherSpec
from study.data import CorpusError, Requirement
from study.data import corpus as find_corpus
from study.models import TRAINABLE
from study.models.errors import PretrainedError
from study.models.known_checkpoints import BYTES, KNOWN, Known, known
from study.models.trained_sizes import towers_of
from study.names import UnknownNameError
from study.objectives.encoded import CAPTIONS, captions_per_item, needed

if TYPE_CHECKING:
    from study.models.dual_encoder import DualEncoder

STATE = 16
"""Bytes a trained parameter: itself, its gradient, AdamW's two moments, in float32."""
ITEM = {"float32": 4, "float16": 2, "bfloat16": 2}
"""Bytes of a kept number."""
SPEED = 50e12
"""FLOP/s that the hours are counted at: an assumption about one large GPU, not a measurement."""
CORE = 4e10
"""FLOP/s of a CPU's core, with every caption as long as the context: what the default study took (performance.md)."""
PROGRAM = 0.7e9
"""Bytes that a worker takes before it holds a model: torch and the tables, measured on Linux."""


class Cost(NamedTuple):
    """What the students of one teacher take: number, bytes on disk and in training of one, FLOP of all."""

    students: int
    disk: float
    memory: float
    flops: float


def models(params: Params) -> list[Requirement]:
    """The published teachers and text encoders of the grid."""
    found = []
    for arch in params.grid.archs:
        teacher = params.teachers.get(arch)
        if isinstance(teacher, PretrainedSpec):
            found.append(_checkpoint(f"teacher {arch}", teacher.checkpoint, teacher.revision, teacher.licence))
    for name in params.grid.sizes:
        scale = params.sizes.get(name)
        if isinstance(scale, EncoderSpec):
            found.append(_checkpoint(f"text encoder {name}", scale.encoder, scale.revision, scale.licence))
    return found


def _checkpoint(what: str, checkpoint: str, revision: str | None, licence: str | None) -> Requirement:
    about, folder = known(checkpoint), Path(checkpoint)
    weights = sum(path.stat().st_size for path in folder.glob("*.safetensors")) if folder.is_dir() else 0
    return Requirement(
        what=what,
        where=checkpoint if revision is None else f"{checkpoint}@{revision}",
        present=folder.is_dir(),
        bytes=weights or (about.bytes if about is not None else 0),
        licence=licence or (about.licence if about is not None else "licence not stated"),
        how="the checkpoint's files in that folder, as its library writes them; or its name with a revision",
        network=revision is not None,
    )


def data(params: Params) -> list[Requirement]:
    """The parts of the corpus."""
    try:
        corpus = find_corpus(params.corpus.name)
        return corpus.needs(corpus.Settings.model_validate(params.corpus.settings)) if corpus.needs else []
    except (CorpusError, ValidationError):
        return []  # the check that follows says what is wrong


def outlined(spec: PretrainedSpec) -> DualEncoder | None:
    """A checkpoint in a folder, without its weights; None if there is none, or the check that follows refuses it."""
    if not Path(spec.checkpoint).is_dir():
        return None
    try:
        return spec.build_on_meta()
    except (PretrainedError, UnknownNameError):
        return None


def measured(spec: PretrainedSpec, model: DualEncoder | None) -> Known | None:
    """The parameters of a checkpoint as `outlined` gives it."""
    if model is None:
        return None
    from study.models.dual_encoder import count

    text, image = model.text_counts(), count(model.image_module())
    return Known(
        text.total, text.vocabulary, image, model.context, model.embedding_width, spec.licence or "", model.image_tokens
    )


def trained(spec: TeacherSpec) -> Known | None:
    """The parameters of a teacher that is trained here; None for a configuration that only its library knows."""
    towers = towers_of(spec.family, spec.model, spec.vocabulary, spec.context) if spec.family in TRAINABLE else None
    if towers is None:
        return None
    text = towers.text
    return Known(text.text, text.table, towers.image, spec.context, towers.embedding, "", towers.patches)


def cost(params: Params, about: Known) -> Cost:
    """The students of a teacher with those towers, at most: as many tokens a caption as its context holds.

    Text encoders that others trained are not counted; an image tower that is trained too counts whole.
    """
    grid, schedule = params.grid, params.students.training
    image = about.image if params.students.towers == "both" else 0
    disk = memory = flops = 0.0
    fractions = [scale for size in grid.sizes if isinstance(scale := params.sizes.get(size), float)]
    for fraction in fractions:
        text = fraction * about.text
        disk += (text + image) * BYTES * len(grid.methods)
        memory = max(memory, (text + image) * STATE)
        for method in grid.methods:
            tokens = schedule.steps * schedule.batch * captions(params, method) * about.context
            flops += 6.0 * fraction * (about.text - about.table) * tokens
            flops += 6.0 * image * about.patches * schedule.steps * schedule.batch
    seeds = len(grid.seeds)
    return Cost(len(fractions) * len(grid.methods) * seeds, disk * seeds, memory, flops * seeds)


def teaching(spec: TeacherSpec, about: Known) -> Cost:
    """The training of a teacher, at most: as many tokens a caption as its context holds."""
    items = spec.training.steps * spec.training.batch
    flops = 6.0 * items * ((about.text - about.table) * about.context + about.image * about.patches)
    size = about.text + about.image
    return Cost(0, size * BYTES, size * STATE, flops)


def captions(params: Params, method: str) -> int:
    """Captions that a student of `method` encodes for an item."""
    try:
        return captions_per_item(needed(params.methods[method]))
    except (KeyError, UnknownNameError, ValidationError):
        return len(CAPTIONS)  # the check that follows says what is wrong


def lines(params: Params, needs: list[Requirement]) -> list[str]:
    """What the study reads, writes and takes, as text."""
    out = ["This study uses what others published. It reads:"]
    for need in needs:
        there = "there" if need.present else "network" if need.network else "MISSING"
        out.append(f"  {there:8}{need.what}: {need.where}, {size(need.bytes)}, {need.licence}")
    total = sum(need.bytes for need in needs)
    out.append(f"Disk: {size(total)} of these, as much again for what is prepared from them")
    for arch in params.grid.archs:
        spec = params.teachers.get(arch)
        if not isinstance(spec, PretrainedSpec):
            continue
        model = outlined(spec)
        if model is not None and model.evidence.assumed:
            out.append(f"Assumed of {arch}, whose files do not say: {'; '.join(model.evidence.assumed)}")
        towers = measured(spec, model) or known(spec.checkpoint)
        if towers is None:
            out.append(
                f"Students of {arch}: cost not estimated; it is where the checkpoint lies in a folder, or is one of "
                f"{', '.join(sorted(KNOWN))}"
            )
            continue
        found, kept = cost(params, towers), 2 * towers.width * ITEM[params.embedding.dtype]
        out.append(f"Embeddings of {arch}: {size(kept)} a caption of split distil")
        out.append(
            f"{found.students} students of {arch}: {size(found.disk)} on disk; {size(found.memory)} of memory for the "
            f"weights, gradients and AdamW's moments of one, activations besides; {found.flops:.1e} FLOP of training "
            f"at most, {found.flops / SPEED / 3600:.1f} h at {SPEED / 1e12:.0f} TFLOP/s (assumed)"
        )
    missing = [need for need in needs if not need.present and not need.network]
    if missing:
        out.append("Missing, to be put in place first:")
        for need in missing:
            out.append(f"  {need.where}: {need.what}; {need.how}" + (f" ({need.problem})" if need.problem else ""))
    return out


def size(count: float) -> str:
    """Bytes for people, in powers of 1000."""
    if not count:
        return "size unknown"
    for unit in ("B", "kB", "MB", "GB"):
        if count < 1000:
            return f"{count:.3g} {unit}"
        count /= 1000
    return f"{count:.3g} TB"


def about(spec: TeacherSpec | PretrainedSpec) -> Known | None:
    """The towers of a teacher, as far as they are known before it is there."""
    if isinstance(spec, TeacherSpec):
        return trained(spec)
    return measured(spec, outlined(spec)) or known(spec.checkpoint)


def workers(params: Params) -> tuple[int, str, float]:
    """Workers, where they are, and the FLOP/s of one; without torch, so a GPU is guessed from its device files."""
    gpus = len(list(Path("/dev").glob("nvidia[0-9]*")))
    device, wanted = params.execution.device, params.execution.workers
    if device.startswith("cuda") or (device == "auto" and gpus):
        count = max(1, gpus) if device in ("auto", "cuda") else 1
        return (count if wanted == "auto" else wanted), "GPU", SPEED
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return (cores if wanted == "auto" else wanted), "CPU", CORE * min(params.execution.threads, cores)


def summary(params: Params) -> list[str]:
    """What was found in a params.yaml that is right: students, teachers, time, disk and memory, as text."""
    grid = params.grid
    levels: dict[str, Sequence[object]] = {"architecture": grid.archs, "size": grid.sizes, "method": grid.methods}
    shape = " x ".join(counted(len(names), factor) for factor, names in {**levels, "seed": grid.seeds}.items())
    students = len(list(cells(grid.archs, grid.sizes, grid.methods, grid.seeds)))
    here = [arch for arch in grid.archs if isinstance(params.teachers[arch], TeacherSpec)]
    teachers = f"{counted(len(grid.archs), 'teacher')}, {len(here)} of them trained here"
    out = [f"{params.study.name}: {counted(students, 'student')} ({shape}) of {teachers}"]
    total, uncounted = Cost(0, 0.0, 0.0, 0.0), [s for s in grid.sizes if isinstance(params.sizes[s], EncoderSpec)]
    for arch in grid.archs:
        spec = params.teachers[arch]
        towers = about(spec)
        if towers is None:
            uncounted.append(arch)
            continue
        parts = [cost(params, towers), *([teaching(spec, towers)] if isinstance(spec, TeacherSpec) else [])]
        for part in parts:
            total = Cost(0, total.disk + part.disk, max(total.memory, part.memory), total.flops + part.flops)
    count, device, speed = workers(params)
    if total.flops:
        out.append(
            f"about {duration(total.flops / (count * speed))} of training on {counted(count, f'{device} worker')} "
            f"({speed:.0e} FLOP/s each, assumed); {size(total.disk)} of disk for the "
            f"models; {size(count * (total.memory + PROGRAM))} of memory for the programs, weights and optimiser; "
            "the corpus and the teachers' embeddings come on top"
        )
    if uncounted:
        out.append(f"not in these figures: {', '.join(uncounted)}")
    return out


def counted(number: int, noun: str) -> str:
    """`1 seed`, `2 seeds`."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def duration(seconds: float) -> str:
    """A length of time for people, rounded up to minutes."""
    minutes = max(1, round(seconds / 60))
    if minutes < 120:
        return f"{minutes} min"
    return f"{minutes / 60:.0f} h" if minutes < 72 * 60 else f"{minutes / 1440:.0f} days"


def tell(params: Params) -> list[str]:
    """Print what is needed; returns the places of what is missing and cannot be downloaded."""
    needs = models(params) + data(params)
    if not needs:
        return []
    print("\n".join(lines(params, needs)), flush=True)
    return [need.where for need in needs if not need.present and not need.network]
