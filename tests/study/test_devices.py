"""What a GPU would refuse or wait for, found without one.

torch's meta device computes shapes and no values: it raises where tensors of two devices meet, and wherever the host
would read a value that the device has (`item`, `tolist`, `bool`, `nonzero`, a mask as index, a copy to the host),
which on a GPU means to wait until all that was queued is done.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from study.config.schedule import Schedule
from study.config.size import EncoderSpec
from study.config.student import StudentSpec
from study.config.teacher import TeacherSpec
from study.data.prepared import PreparedCorpus
from study.distill import training
from study.distill.embeddings import write_embeddings
from study.distill.student import StudentConfig, distil, initial_student
from study.distill.teacher import train_teacher
from study.eval.evaluation import evaluate, images_of
from study.models import pretrained_family
from study.models.dual_encoder import DualEncoder
from study.models.embed import embed_images, embed_texts, layer_blocks
from study.objectives import OBJECTIVES
from study.objectives.base import Queue
from study.transfer import Ahead
from tests.study.models.checkpoints import models

CPU, META = torch.device("cpu"), torch.device("meta")
SCHEDULE = Schedule(steps=3, batch=8, learning_rate=1e-3)
BUCKETS = SCHEDULE.model_copy(update={"length_buckets": 3})
PLAIN: Mapping[str, Mapping[str, Any]] = {name: {} for name in OBJECTIVES}
FULL: Mapping[str, Mapping[str, Any]] = {
    "fd": {"layers": True, "view": "english"},
    "mcl": {"bank": 12, "key": "image"},
    "dr": {"start": "corpus", "queue": 12},
}
"""Every objective as it is by default, and those that remember or read more, with which the tower gives more."""


class NoWaitingCopy(TorchDispatchMode):
    """Refuses a copy from host to device that the host waits for."""

    def __torch_dispatch__(
        self, operator: Any, types: Any, arguments: tuple[Any, ...] = (), options: dict[str, Any] | None = None
    ) -> Any:
        given = options or {}
        if operator is torch.ops.aten._to_copy.default and given.get("device") == META:
            assert arguments[0].device == META or given.get("non_blocking"), "the host waits for a copy to the device"
        return operator(*arguments, **given)


@pytest.fixture
def read_out(monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """What the host asks of the device while it trains: the names of each row of the history."""
    asked: list[list[str]] = []

    def measured(values: Mapping[str, Tensor]) -> dict[str, float]:
        assert {value.device for value in values.values()} == {META}
        asked.append(list(values))
        return dict.fromkeys(values, 1.0)

    def fit(*arguments: Any, **options: Any) -> training.History:
        with NoWaitingCopy():
            return training.fit(*arguments, **options)

    monkeypatch.setattr("study.distill.training.measured", measured)
    # The guard keeps what it sees on the device; what it reads with a row of the history needs values.
    monkeypatch.setattr("study.divergence.Guard.read", lambda guard, step: guard._kept.clear())
    monkeypatch.setattr("study.distill.student.fit", fit)
    monkeypatch.setattr("study.distill.teacher.fit", fit)
    return asked


def config(objectives: Mapping[str, Mapping[str, Any]], size: float | EncoderSpec = 0.9, **spec: Any) -> StudentConfig:
    training = spec.pop("training", SCHEDULE)
    return StudentConfig("arch", "most", size, 0, objectives, StudentSpec(training=training, **spec))


def distil_on_meta(
    declared: StudentConfig, teacher: DualEncoder, corpus: PreparedCorpus, embeddings: Path, asked: list[list[str]]
) -> None:
    """Some steps and one row of the history, for which alone the device is waited for."""
    asked.clear()
    student, history, _ = distil(declared, teacher, corpus, embeddings, META)
    assert {tensor.device for tensor in student.state_dict().values()} == {META}
    assert (len(asked), len(history.rows)) == (1, 1)
    assert asked[0][:2] == ["gradient_norm", "loss"]


@pytest.mark.parametrize("towers", ["text", "both"])
def test_no_step_of_a_student_waits_for_its_device(
    towers: str,
    teacher: DualEncoder,
    corpus: PreparedCorpus,
    embeddings: Path,
    read_out: list[list[str]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    distil_on_meta(config(PLAIN, towers=towers), teacher, corpus, embeddings, read_out)
    monkeypatch.setattr("study.distill.dataset.RESIDENT_BYTES", 0)
    distil_on_meta(config(FULL, towers=towers, training=BUCKETS), teacher, corpus, embeddings, read_out)


@pytest.mark.parametrize("name", [*models.TEACHERS, "small_encoder"])
def test_no_step_beside_a_published_checkpoint_waits(
    name: str, checkpoints: Callable[[str], Path], corpus: PreparedCorpus, tmp_path: Path, read_out: list[list[str]]
) -> None:
    """Every kind of text tower: of open_clip and transformers, causal or not, and an encoder of its own."""
    taught = "open_clip_xlm_roberta" if name == "small_encoder" else name
    teacher = pretrained_family(models.family(taught)).fetch(str(checkpoints(taught)), None).requires_grad_(False)
    write_embeddings(teacher, corpus, tmp_path, CPU, layers=False)
    size = EncoderSpec(encoder=str(checkpoints(name))) if name == "small_encoder" else 0.9
    distil_on_meta(config({"dr": {}}, size, towers="both"), teacher, corpus, tmp_path, read_out)


@pytest.mark.parametrize("family", ["clip", "siglip2"])
def test_no_step_of_a_teacher_waits_for_its_device(
    family: str, corpus: PreparedCorpus, read_out: list[list[str]]
) -> None:
    spec = TeacherSpec(family=family, model="polyglot-s-p8-32", vocabulary=400, context=20, training=SCHEDULE)
    teacher, history, _ = train_teacher(spec, corpus, META)
    assert {tensor.device for tensor in teacher.state_dict().values()} == {META}
    assert (read_out, len(history.rows)) == ([["gradient_norm", "loss"]], 1)


def test_embedding_and_scoring_fetch_each_block_and_nothing_else(
    teacher: DualEncoder, corpus: PreparedCorpus, monkeypatch: pytest.MonkeyPatch
) -> None:
    fetched: list[torch.Size] = []

    def to_host(blocks: Iterable[Tensor], device: torch.device) -> Iterator[Tensor]:
        for block in blocks:
            assert block.device == device == META
            fetched.append(block.shape)
            values = torch.randn(block.shape, generator=torch.Generator().manual_seed(len(fetched)))
            yield torch.nn.functional.normalize(values, dim=-1)

    monkeypatch.setattr("study.models.embed.to_host", to_host)
    monkeypatch.setattr("study.models.embed.TOKENS", 16 * teacher.context)
    model, texts = teacher.to(META), corpus.captions("distil")["text"].tolist()
    with NoWaitingCopy():
        width, depth = model.embedding_width, model.text_layers + 1
        assert embed_texts(model, texts, META).shape == (len(texts), width)
        assert embed_images(model, corpus.pictures("distil"), META).shape == (len(corpus.pictures("distil")), width)
        blocks = list(layer_blocks(model, texts, META))
        assert sum(map(len, blocks)) == len(texts)
        assert blocks[0].shape == (16, depth, model.token_table().embedding_dim)
        scores = evaluate("x", model, corpus, images_of(model, corpus, "test", META), "test", META)
    assert all(np.isfinite(table["score"]).all() for table in (scores.retrieval, scores.consistency))
    assert max(shape[0] for shape in fetched) <= 64


def test_the_tests_above_would_see_what_waits() -> None:
    there = torch.ones(3, device=META)
    for waiting in (torch.Tensor.item, torch.Tensor.tolist, bool, torch.Tensor.nonzero, torch.Tensor.cpu):
        with pytest.raises((RuntimeError, NotImplementedError)):
            waiting(there.sum() if waiting in (torch.Tensor.item, bool) else there)
    with pytest.raises((RuntimeError, NotImplementedError)):
        there[there > 0]
    with pytest.raises(RuntimeError, match="device"):
        there + torch.ones(3)
    with pytest.raises(AssertionError, match="waits for a copy"), NoWaitingCopy():
        torch.ones(3).to(META)


def test_what_is_read_ahead_is_the_same_and_is_made_before_it_is_asked_for() -> None:
    made: list[int] = []

    def make(step: int) -> int:
        made.append(step)
        if step == 7:
            raise ValueError("cannot be read")
        return step * step

    with Ahead(make, 9, threaded=True) as ahead:
        assert [ahead(step) for step in range(4)] == [0, 1, 4, 9]
        deadline = time.monotonic() + 10
        while made[-1] < 5 and time.monotonic() < deadline:
            time.sleep(0.001)
        assert made == [0, 1, 2, 3, 4, 5]
        assert ahead(2) == 4  # a step that was had already
        with pytest.raises(ValueError, match="cannot be read"):
            ahead(7)
        assert ahead(8) == 64
    assert max(made) == 8


@pytest.mark.parametrize("towers", ["text", "both"])
def test_a_student_whose_batches_are_read_ahead_is_the_same(
    towers: str, teacher: DualEncoder, corpus: PreparedCorpus, embeddings: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("study.distill.dataset.RESIDENT_BYTES", 0)
    declared = config(FULL, towers=towers)
    plain = distil(declared, teacher, corpus, embeddings, CPU)[0].state_dict()
    monkeypatch.setattr("study.distill.student.waits", lambda device: True)
    threaded = distil(declared, teacher, corpus, embeddings, CPU)[0].state_dict()
    assert all(torch.equal(plain[name], threaded[name]) for name in plain)


def test_a_queue_knows_its_fill_again_after_a_checkpoint() -> None:
    full, again = Queue(5, 2), Queue(5, 2)
    full.push(torch.arange(6.0).view(3, 2))
    again.load_state_dict(full.state_dict())
    for queue in (full, again):
        queue.push(torch.ones(1, 2))
    assert torch.equal(full.content(), again.content())
    assert len(again.content()) == int(again.filled) == 4


@pytest.mark.parametrize(
    ("teacher", "option"),
    [
        ("clip", {"fused": False}),
        ("siglip2", {"fused": False}),
        ("clip", {"compile": "default"}),
        ("clip", {"length_buckets": 3}),
    ],
    indirect=["teacher"],
)
def test_how_a_step_is_computed_changes_nothing_beyond_rounding(
    option: dict[str, Any],
    teacher: DualEncoder,
    corpus: PreparedCorpus,
    embeddings: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Traced by torch.compile and taken apart, but not put together by a C++ compiler, which takes a minute."""
    monkeypatch.setattr("study.config.schedule.BACKEND", "aot_eager")
    objectives = {"dr": {}, "fd": {"layers": True}} if "length_buckets" in option else {"dr": {}}
    plain = config(objectives)
    training = SCHEDULE.model_copy(update=option)
    other = StudentConfig("arch", "most", 0.9, 0, objectives, plain.spec.model_copy(update={"training": training}))
    (first, history, _), (again, same, _) = (distil(c, teacher, corpus, embeddings, CPU) for c in (plain, other))
    assert same.rows[-1]["loss"] == pytest.approx(history.rows[-1]["loss"], rel=1e-5)
    start = initial_student(teacher, plain, [])
    weights = [torch.cat([p.detach().flatten() for p in m.text_module().parameters()]) for m in (start, first, again)]
    # As a whole: Adam makes a full step of a gradient that is nothing but rounding, as of a key's bias.
    assert torch.dist(weights[1], weights[2]) < 1e-3 * torch.dist(weights[1], weights[0])
