"""What a study needs before anything is downloaded or trained: files, disk, memory, training cost, licences.

Told of studies that use what others published; a study that makes everything itself needs nothing.
"""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from pydantic import ValidationError

from study.corpora import Need
from study.corpora import corpus as find_corpus
from study.encoders import EncoderSpec
from study.known_checkpoints import BYTES, KNOWN, Known, known
from study.names import UnknownNameError
from study.objectives.method import CAPTIONS, captions_per_item, needed
from study.params import Params
from study.published import PublishedSpec
from study.towers.protocol import PublishedError, count

STATE = 16
"""Bytes a trained parameter: itself, its gradient, AdamW's two moments, in float32."""
ITEM = {"float32": 4, "float16": 2, "bfloat16": 2}
"""Bytes of a kept number."""
SPEED = 50e12
"""FLOP/s that the hours are counted at: an assumption about one large GPU, not a measurement."""


class Cost(NamedTuple):
    """What the students of one teacher take: number, bytes on disk and in training of one, FLOP of all."""

    students: int
    disk: float
    memory: float
    flops: float


def models(params: Params) -> list[Need]:
    """The published teachers and text encoders of the grid."""
    found = []
    for arch in params.grid.archs:
        teacher = params.teachers.get(arch)
        if isinstance(teacher, PublishedSpec):
            found.append(_checkpoint(f"teacher {arch}", teacher.checkpoint, teacher.revision, teacher.licence))
    for name in params.grid.sizes:
        scale = params.sizes.get(name)
        if isinstance(scale, EncoderSpec):
            found.append(_checkpoint(f"text encoder {name}", scale.encoder, scale.revision, scale.licence))
    return found


def _checkpoint(what: str, checkpoint: str, revision: str | None, licence: str | None) -> Need:
    about, folder = known(checkpoint), Path(checkpoint)
    weights = sum(path.stat().st_size for path in folder.glob("*.safetensors")) if folder.is_dir() else 0
    return Need(
        what=what,
        where=checkpoint if revision is None else f"{checkpoint}@{revision}",
        present=folder.is_dir(),
        bytes=weights or (about.bytes if about is not None else 0),
        licence=licence or (about.licence if about is not None else "licence not stated"),
        how="the checkpoint's files in that folder, as its library writes them; or its name with a revision",
        network=revision is not None,
    )


def data(params: Params) -> list[Need]:
    """The parts of the corpus; raises CorpusError where a source or split is unknown."""
    corpus = find_corpus(params.corpus.name)
    try:
        return corpus.needs(corpus.Settings.model_validate(params.corpus.settings)) if corpus.needs else []
    except ValidationError:
        return []  # the check that follows says what is wrong


def measured(spec: PublishedSpec) -> Known | None:
    """The parameters of a checkpoint in a folder; None if there is none, or the check that follows refuses it."""
    if not Path(spec.checkpoint).is_dir():
        return None
    try:
        model = spec.outline()
    except (PublishedError, UnknownNameError):
        return None
    text, image = model.text_counts(), count(model.image_module())
    return Known(text.total, text.vocabulary, image, model.context, model.embedding_width, spec.licence or "")


def cost(params: Params, about: Known) -> Cost:
    """The students of a teacher with those towers, at most: as many tokens a caption as its context holds."""
    grid, schedule = params.grid, params.students.training
    disk = memory = flops = 0.0
    fractions = [scale for size in grid.sizes if isinstance(scale := params.sizes.get(size), float)]
    for fraction in fractions:
        text = fraction * about.text
        disk += text * BYTES * len(grid.methods)
        memory = max(memory, text * STATE)
        for method in grid.methods:
            tokens = schedule.steps * schedule.batch * captions(params, method) * about.context
            flops += 6.0 * fraction * (about.text - about.table) * tokens
    seeds = len(grid.seeds)
    return Cost(len(fractions) * len(grid.methods) * seeds, disk * seeds, memory, flops * seeds)


def captions(params: Params, method: str) -> int:
    """Captions that a student of `method` encodes for an item."""
    try:
        return captions_per_item(needed(params.methods[method]))
    except (KeyError, UnknownNameError, ValidationError):
        return len(CAPTIONS)  # the check that follows says what is wrong


def lines(params: Params, needs: list[Need]) -> list[str]:
    """What the study reads, writes and takes, as text."""
    out = ["This study uses what others published. It reads:"]
    for need in needs:
        there = "there" if need.present else "network" if need.network else "MISSING"
        out.append(f"  {there:8}{need.what}: {need.where}, {size(need.bytes)}, {need.licence}")
    total = sum(need.bytes for need in needs)
    out.append(f"Disk: {size(total)} of these, as much again for what is prepared from them")
    for arch in params.grid.archs:
        spec = params.teachers.get(arch)
        if not isinstance(spec, PublishedSpec):
            continue
        about = measured(spec) or known(spec.checkpoint)
        if about is None:
            out.append(
                f"Students of {arch}: cost not estimated; it is where the checkpoint lies in a folder, or is one of "
                f"{', '.join(sorted(KNOWN))}"
            )
            continue
        found, kept = cost(params, about), 2 * about.width * ITEM[params.embedding.dtype]
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


def tell(params: Params) -> list[str]:
    """Print what is needed; returns the places of what is missing and cannot be downloaded."""
    needs = models(params) + data(params)
    if not needs:
        return []
    print("\n".join(lines(params, needs)), flush=True)
    return [need.where for need in needs if not need.present and not need.network]
