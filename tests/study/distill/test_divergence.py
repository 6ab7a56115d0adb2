"""A training that cannot go on is stopped at its very step, which names the batch."""

from __future__ import annotations

import pickle
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from study.config.schedule import Schedule
from study.data.prepared import PreparedCorpus
from study.distill.student import distil
from study.distill.training import fit
from study.divergence import NAMED, DivergenceError, Guard
from study.models.dual_encoder import DualEncoder
from study.objectives.weighted_loss import WeightedLoss
from tests.study.distill.test_training import CPU, Line, config

SCHEDULE = Schedule(steps=60, batch=4, learning_rate=0.01)
STEP = 26
"""Counts from 0; with a report every 20 steps it lies between two of them."""


def spoilt(model: Line, at: int, by: Callable[[Tensor], Tensor]) -> Callable[[int], dict[str, Tensor]]:
    def step_loss(step: int) -> dict[str, Tensor]:
        loss = (model(torch.ones(1, 3)) - 3.0).square().mean()
        return {"loss": by(loss) if step == at else loss}

    return step_loss


@pytest.mark.parametrize(
    ("by", "says"),
    [
        (lambda loss: loss * float("nan"), "the loss is nan at step 27 of 60"),
        (lambda loss: loss + float("inf"), "the loss is inf at step 27"),
        (lambda loss: loss + 1e8, "more than 1,000,000 times that of the first step at step 27"),
        (lambda loss: (loss - loss).sqrt() + loss, "the norm of the gradients is nan, at a loss of"),
    ],
)
def test_it_ends_at_the_very_step_and_names_batch_and_rate(by: Callable[[Tensor], Tensor], says: str) -> None:
    model, steps = Line(), list[int]()
    step_loss = spoilt(model, STEP, by)

    def seen(step: int) -> dict[str, Tensor]:
        steps.append(step)
        return step_loss(step)

    with pytest.raises(DivergenceError) as caught:
        fit(model, {}, seen, SCHEDULE, batch=lambda step: [step, 7])  # type: ignore[arg-type]
    assert steps[-1] == STEP
    assert says in str(caught.value)
    assert "smaller learning rate" in str(caught.value)
    assert str(caught.value).endswith(f"rows of its batch: {STEP}, 7")
    assert caught.value.step == STEP + 1
    assert [row["step"] for row in caught.value.rows] == [20]


def test_a_loss_that_is_large_or_rises_a_thousandfold_is_no_divergence() -> None:
    model = Line()
    for factor in (1e9, 1e3):
        at = 0 if factor == 1e9 else STEP
        fit(model, {}, spoilt(model, at, lambda loss: (loss + 1) * factor), SCHEDULE)  # type: ignore[arg-type] # noqa: B023


def test_the_error_travels_between_processes_whole() -> None:
    error = DivergenceError(3, "the loss is nan", range(NAMED + 5), "try")
    again = pickle.loads(pickle.dumps(error))
    assert str(again) == str(error)
    assert again.step == 3
    assert str(error).endswith(f"{NAMED - 1} and 5 more")


def test_a_gpu_is_waited_for_every_so_many_steps_and_the_step_is_found_all_the_same() -> None:
    """What a guard of a GPU keeps is read together; the tensors may lie anywhere."""
    guard = Guard(torch.device("cuda"), 4)
    one = torch.ones(())
    seen = [guard.see(step, one * (float("nan") if step >= 5 else 1.0), one) for step in range(8)]
    assert seen == [None] * 7 + [(5, "the loss is nan")]
    guard = Guard(torch.device("cuda"), 4)
    assert guard.see(0, one, one) is None
    assert guard.see(1, one * float("inf"), one) is None
    assert guard.read(1) == (1, "the loss is inf")
    assert guard.read(1) is None


def test_a_run_that_was_killed_ends_at_the_same_step(tmp_path: Path) -> None:
    """The first loss, by which an exploded one is known, is kept with the checkpoint."""
    model = Line()

    def growing(step: int) -> dict[str, Tensor]:
        loss = (model(torch.ones(1, 3)) - 3.0).square().mean()
        return {"loss": loss + 10.0 ** min(step - 10, 30)}

    def killed(step: int) -> dict[str, Tensor]:
        if step == 14:
            raise KeyboardInterrupt
        return growing(step)

    def run(step_loss: Callable[[int], dict[str, Tensor]], **more: Any) -> None:
        fit(model, {}, step_loss, SCHEDULE, report_every=2, checkpoint_seconds=0, **more)  # type: ignore[arg-type]

    with pytest.raises(DivergenceError) as whole:
        run(growing)
    model = Line()
    with pytest.raises(KeyboardInterrupt):
        run(killed, checkpoint=tmp_path / "c")
    with pytest.raises(DivergenceError) as resumed:
        run(growing, checkpoint=tmp_path / "c")
    assert resumed.value.step == whole.value.step


def test_a_student_names_the_captions_of_its_batch(
    teacher: DualEncoder, corpus: PreparedCorpus, embeddings: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    steps, forward = 0, WeightedLoss.forward

    def spoilt_method(self: WeightedLoss, *arguments: Any) -> Mapping[str, Tensor]:
        nonlocal steps
        steps += 1
        terms = forward(self, *arguments)
        return {**terms, "loss": terms["loss"] * (float("nan") if steps == 3 else 1.0)}

    monkeypatch.setattr(WeightedLoss, "forward", spoilt_method)
    with pytest.raises(DivergenceError, match="at step 3 of 6") as caught:
        distil(config("fd"), teacher, corpus, embeddings, CPU)
    from study.distill.batches import Batches

    batches = Batches(len(corpus.captions("distil")), 8, "batches", "arch", "most", 0)
    assert list(caught.value.batch) == batches(2).tolist()
