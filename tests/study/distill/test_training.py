"""The loop, its checkpoints, and the pairing of methods."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from study.config.schedule import Schedule
from study.config.student import StudentSpec
from study.data.prepared import PreparedCorpus
from study.distill.batches import Batches
from study.distill.shards import ShardedArray
from study.distill.student import StudentConfig, distil, initial_student
from study.distill.training import TrainingError, fit, learning_rate
from study.models.dual_encoder import DualEncoder
from study.objectives import OBJECTIVES
from study.objectives.base import Queue
from study.objectives.weighted_loss import WeightedLoss
from study.seeds import stream
from tests.study.tiny import SPLITS

CPU = torch.device("cpu")
SCHEDULE = Schedule(steps=6, batch=8, learning_rate=1e-3)


def config(method: str, seed: int = 0, **spec: object) -> StudentConfig:
    declared = {"training": SCHEDULE.model_dump(), **spec}
    return StudentConfig("arch", "most", 0.9, seed, {method: {}}, StudentSpec.model_validate(declared))


def test_every_item_comes_once_an_epoch_and_the_step_alone_decides() -> None:
    batches = Batches(20, 5, "batches", "clip", "half", 3)
    epoch = np.concatenate([batches(step) for step in range(4)])
    assert sorted(epoch) == list(range(20))
    assert not np.array_equal(batches(0), batches(4))
    assert np.array_equal(batches(5), Batches(20, 5, "batches", "clip", "half", 3)(5))
    assert not np.array_equal(batches(0), Batches(20, 5, "batches", "clip", "half", 4)(0))
    with pytest.raises(ValueError, match="batch of 21 out of 20"):
        Batches(20, 21, "batches")


def test_the_learning_rate_warms_up_and_falls_to_nearly_zero() -> None:
    schedule = Schedule(steps=100, batch=2, learning_rate=1.0, warmup=0.1)
    rates = [learning_rate(step, schedule) for step in range(100)]
    assert rates[0] == pytest.approx(0.1)
    assert max(rates) == rates[9] == 1.0
    assert rates[-1] < 0.001
    assert rates[10:] == sorted(rates[10:], reverse=True)


class Line(nn.Module):
    """The least that the loop asks of a model."""

    def __init__(self) -> None:
        super().__init__()
        self.table = nn.Embedding(1, 3)
        nn.init.zeros_(self.table.weight)
        self.scale = nn.Parameter(torch.ones(()))

    def token_table(self) -> nn.Embedding:
        return self.table

    def temperature_parameters(self) -> list[nn.Parameter]:
        return [self.scale]

    def forward(self, x: Tensor) -> Tensor:
        return self.scale * x @ self.table.weight.T


def losses(model: Line, stop: int | None = None) -> object:
    def step_loss(step: int) -> dict[str, Tensor]:
        if step == stop:
            raise KeyboardInterrupt
        x = torch.randn(4, 3, generator=torch.Generator().manual_seed(step))
        return {"loss": (model(x) - x.sum(dim=1, keepdim=True)).square().mean()}

    return step_loss


def run(model: Line, checkpoint: Path | None = None, stop: int | None = None) -> None:
    schedule = Schedule(steps=40, batch=4, learning_rate=0.05)
    step_loss = losses(model, stop)
    fit(model, {}, step_loss, schedule, checkpoint=checkpoint, checkpoint_seconds=0, report_every=5)  # type: ignore[arg-type]


def test_a_killed_run_goes_on_to_the_very_same_weights(tmp_path: Path) -> None:
    whole, killed, resumed = Line(), Line(), Line()
    run(whole)
    with pytest.raises(KeyboardInterrupt):
        run(killed, tmp_path / "c", stop=23)
    assert (tmp_path / "c").exists()
    run(resumed, tmp_path / "c")
    assert torch.equal(whole.table.weight, resumed.table.weight)
    assert not torch.equal(whole.table.weight, killed.table.weight)


def test_a_loss_that_is_not_finite_stops_the_run() -> None:
    model = Line()
    with pytest.raises(TrainingError, match="smaller learning rate"):
        fit(model, {}, lambda step: {"loss": model.scale * float("nan")}, SCHEDULE, report_every=1)  # type: ignore[arg-type]


@pytest.mark.parametrize("init", ["teacher", "random"])
def test_all_methods_start_from_the_same_weights_and_see_the_same_batches(
    init: str,
    teacher: DualEncoder,
    corpus: PreparedCorpus,
    embeddings: Path,
    texts: list[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    seen: dict[str, list[list[int]]] = {}
    starts: dict[str, dict[str, Tensor]] = {}
    call, method = Batches.__call__, ""

    def recorded(self: Batches, step: int) -> np.ndarray:
        rows = call(self, step)
        seen.setdefault(method, []).append(rows.tolist())
        return rows

    monkeypatch.setattr(Batches, "__call__", recorded)
    original = initial_student

    def started(*arguments: object) -> DualEncoder:
        student = original(*arguments)  # type: ignore[arg-type]
        starts[method] = {name: tensor.clone() for name, tensor in student.state_dict().items()}
        return student

    monkeypatch.setattr("study.distill.student.initial_student", started)
    ends = {}
    for method in OBJECTIVES:
        student, _, _ = distil(config(method, init=init), teacher, corpus, embeddings, CPU)
        ends[method] = student.token_table().weight.detach()
    first, *others = OBJECTIVES
    for other in others:
        assert seen[other] == seen[first]
        assert all(torch.equal(starts[other][name], starts[first][name]) for name in starts[first])
        assert not torch.equal(ends[other], ends[first])


def test_a_run_repeats_bit_for_bit_and_another_seed_does_not(
    teacher: DualEncoder, corpus: PreparedCorpus, embeddings: Path
) -> None:
    first, again, other = (
        distil(config("dr", seed), teacher, corpus, embeddings, CPU)[0].state_dict() for seed in (0, 0, 1)
    )
    assert all(torch.equal(first[name], again[name]) for name in first)
    assert any(not torch.equal(first[name], other[name]) for name in first)


def test_a_queue_that_starts_from_the_corpus_repeats_and_changes_the_student(
    teacher: DualEncoder, corpus: PreparedCorpus, embeddings: Path
) -> None:
    started = replace(config("dr"), objectives={"dr": {"start": "corpus"}})
    first, again, empty = (
        distil(c, teacher, corpus, embeddings, CPU)[0].token_table().weight for c in (started, started, config("dr"))
    )
    assert torch.equal(first, again)
    assert not torch.equal(first, empty)


@pytest.mark.parametrize("start", ["empty", "corpus"])
def test_a_killed_student_goes_on_with_the_queue_it_had(
    start: str,
    teacher: DualEncoder,
    corpus: PreparedCorpus,
    embeddings: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # 12 samples at the start and 8 captions a step: after the kill some of either are in the queue.
    declared = replace(config("dr"), objectives={"dr": {"start": start, "queue": 12}})
    monkeypatch.setattr("study.distill.student.fit", partial(fit, checkpoint_seconds=0, report_every=1))
    whole = distil(declared, teacher, corpus, embeddings, CPU)[0].state_dict()
    checkpoint, forward = tmp_path / "checkpoint", WeightedLoss.forward
    steps = 0

    def killed(self: WeightedLoss, *arguments: Any) -> dict[str, Tensor]:
        nonlocal steps
        steps += 1
        if steps == 3:
            raise KeyboardInterrupt
        return forward(self, *arguments)

    with monkeypatch.context() as patch:
        patch.setattr(WeightedLoss, "forward", killed)
        with pytest.raises(KeyboardInterrupt):
            distil(declared, teacher, corpus, embeddings, CPU, checkpoint)
    held = torch.load(checkpoint, weights_only=True)["modules"]["method"]
    assert int(held["text.dr.queue.filled"]) == 12
    resumed = distil(declared, teacher, corpus, embeddings, CPU, checkpoint)[0].state_dict()
    assert all(torch.equal(whole[name], resumed[name]) for name in whole)


def test_every_method_of_a_block_that_asks_starts_from_the_same_captions(
    teacher: DualEncoder, corpus: PreparedCorpus, embeddings: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    started: list[list[Tensor]] = []
    original = WeightedLoss.start

    def recorded(self: WeightedLoss, *samples: Any) -> None:
        original(self, *samples)
        started.append([m.content() for m in self.modules() if isinstance(m, Queue)])

    monkeypatch.setattr(WeightedLoss, "start", recorded)
    asks: dict[str, Any] = {"start": "corpus", "queue": 12}
    for seed, objectives in ((0, {"dr": asks}), (0, {"ed": {}, "dr": {**asks, "queue": 7}}), (1, {"dr": asks})):
        distil(replace(config("dr", seed), objectives=objectives), teacher, corpus, embeddings, CPU)
    (first,), (shorter,), (other,) = started
    english = ShardedArray(embeddings / "distil_e").whole()
    expected = stream("queue", "arch", "most", 0).permutation(len(english))[:12]
    torch.testing.assert_close(first, english[torch.from_numpy(expected)], rtol=0, atol=0)
    assert torch.equal(shorter, first[:7])
    assert not torch.equal(other, first)


@pytest.mark.parametrize("method", ["dr", "none"])
def test_bfloat16_is_for_matrix_products_alone(
    method: str, teacher: DualEncoder, corpus: PreparedCorpus, embeddings: Path
) -> None:
    objective = {"none": "task"}.get(method, method)
    schedule = SCHEDULE.model_copy(update={"precision": "bfloat16"})
    (full, exact, _), (half, rounded, _) = (
        distil(config(objective, training=wanted.model_dump()), teacher, corpus, embeddings, CPU)
        for wanted in (SCHEDULE, schedule)
    )
    assert {p.dtype for p in half.parameters()} == {torch.float32}
    assert rounded.rows[-1]["loss"] == pytest.approx(exact.rows[-1]["loss"], rel=0.02)
    assert not torch.equal(half.token_table().weight, full.token_table().weight)


@pytest.mark.parametrize("towers", ["text", "both"])
def test_the_frozen_image_tower_stays_the_teachers(
    towers: str, teacher: DualEncoder, corpus: PreparedCorpus, embeddings: Path
) -> None:
    student, history, cost = distil(config("fd", towers=towers), teacher, corpus, embeddings, CPU)
    theirs, own = teacher.image_module().state_dict(), student.image_module().state_dict()
    same = set(theirs) == set(own) and all(torch.equal(theirs[name], own[name]) for name in theirs)
    assert same == (towers == "text")
    assert ("fd_image" in history.rows[-1]) == (towers == "both")
    assert (cost.steps, cost.items, cost.captions) == (6, 48, 48)


def test_fd_on_layers_trains_through_the_cached_hidden_states(
    teacher: DualEncoder, corpus: PreparedCorpus, embeddings: Path
) -> None:
    plain = config("fd")
    layered = StudentConfig("arch", "most", 0.9, 0, {"fd": {"layers": True}}, plain.spec)
    without, with_layers = (distil(c, teacher, corpus, embeddings, CPU)[1].rows[-1]["fd"] for c in (plain, layered))
    assert with_layers > without


def test_where_the_teachers_outputs_lie_changes_nothing(
    teacher: DualEncoder, corpus: PreparedCorpus, embeddings: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    layered = StudentConfig("arch", "most", 0.9, 0, {"fd": {"layers": True}, "dr": {}}, config("fd").spec)
    resident = distil(layered, teacher, corpus, embeddings, CPU)[0].state_dict()
    monkeypatch.setattr("study.distill.dataset.RESIDENT_BYTES", 0)
    from_disk = distil(layered, teacher, corpus, embeddings, CPU)[0].state_dict()
    assert all(torch.equal(resident[name], from_disk[name]) for name in resident)


def test_captions_are_counted_as_they_are_encoded(
    teacher: DualEncoder, corpus: PreparedCorpus, embeddings: Path
) -> None:
    """The tokens of the drawn items' captions by hand, in their own language and in English."""
    captions = corpus.captions("distil")
    batches = Batches(len(captions), 8, "batches", "arch", "most", 0)
    drawn = captions.iloc[np.concatenate([batches(step) for step in range(6)])]
    student = initial_student(teacher, config("fd"), [*captions["text"], *captions["english"]])
    own, english = (
        float((student.tokenize(drawn[column].tolist()) != student.vocabulary.pad).sum())
        for column in ("text", "english")
    )
    assert own != english
    cases: list[tuple[dict[str, Any], float, int]] = [
        ({"fd": {}}, own, 1),
        ({"fd": {"view": "english"}}, english, 1),
        ({"fd": {"view": "english", "layers": True}}, own + english, 2),
        ({"fd": {"view": "english"}, "task": {}}, own + english, 2),
        ({"dr": {"alpha": 1.0}}, english, 1),
        ({"dr": {"alpha": 0.0}}, own, 1),
        ({"dr": {}}, own + english, 2),
    ]
    for objectives, tokens, encoded in cases:
        student, history, cost = distil(replace(config("fd"), objectives=objectives), teacher, corpus, embeddings, CPU)
        assert cost.captions == 48 * encoded
        assert cost.flops == 6.0 * student.text_counts().non_vocabulary * tokens
        assert np.isfinite(history.rows[-1]["loss"])


def test_an_equal_budget_of_captions_halves_the_steps_of_two_caption_methods(
    teacher: DualEncoder, corpus: PreparedCorpus, embeddings: Path
) -> None:
    costs = {m: distil(config(m, budget="captions"), teacher, corpus, embeddings, CPU)[2] for m in ("fd", "ed")}
    assert costs["fd"].captions == costs["ed"].captions
    assert costs["ed"].steps * 2 == costs["fd"].steps
    assert costs["fd"].flops > 0


def test_distillation_learns(teacher: DualEncoder, corpus: PreparedCorpus, embeddings: Path) -> None:
    spec = StudentSpec(training=Schedule(steps=60, batch=20, learning_rate=3e-3))
    start = StudentConfig("arch", "most", 0.9, 0, {"fd": {}}, spec)
    _, history, _ = distil(start, teacher, corpus, embeddings, CPU)
    assert history.rows[-1]["loss"] < 0.5 * history.rows[0]["loss"]
    assert len(SPLITS["distil"]) >= spec.training.batch
