"""The one training loop, for teachers and students alike.

A step's batch depends on the step's number alone, and a checkpoint holds everything else, so a run
that was killed goes on to the same weights that it would have had.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import torch
from torch import Tensor, nn

from study.config.schedule import Schedule
from study.divergence import Batch, DivergenceError, Guard
from study.files import replacing
from study.models.dual_encoder import DualEncoder

FUSED = ("cpu", "cuda")
"""Types of device on which AdamW has a fused step."""

Progress = Callable[[int, int, Mapping[str, float]], None]
"""Called with steps done, steps in all and the newest row of the history, which is empty between two rows."""

TELL_SECONDS = 5.0
"""Where rows are further apart than that, steps are told between them."""


@dataclass
class History:
    """What a run leaves for the record."""

    rows: list[dict[str, float]] = field(default_factory=list)
    seconds: float = 0.0


def learning_rate(step: int, schedule: Schedule) -> float:
    """Linear warm-up, then half a cosine to zero; `step` counts from 0."""
    warm = max(1, round(schedule.warmup * schedule.steps))
    if step < warm:
        return schedule.learning_rate * (step + 1) / warm
    done = (step - warm) / max(1, schedule.steps - warm)
    return schedule.learning_rate * 0.5 * (1.0 + math.cos(math.pi * done))


def optimiser(modules: Sequence[nn.Module], model: DualEncoder, schedule: Schedule) -> torch.optim.AdamW:
    """AdamW; no weight decay on vectors, scalars and the token table; table and temperature with their own factors."""
    special = {id(model.token_table().weight): schedule.table_multiplier}
    special |= {id(p): schedule.temperature_multiplier for p in model.temperature_parameters()}
    groups: dict[tuple[float, float], list[nn.Parameter]] = {}
    seen: set[int] = set()
    for parameter in (p for module in modules for p in module.parameters() if p.requires_grad):
        if id(parameter) not in seen:
            seen.add(id(parameter))
            factor = special.get(id(parameter), 1.0)
            decay = schedule.weight_decay if parameter.ndim > 1 and id(parameter) not in special else 0.0
            groups.setdefault((factor, decay), []).append(parameter)
    declared = [{"params": p, "weight_decay": decay, "factor": factor} for (factor, decay), p in groups.items()]
    fused = schedule.fused and model.token_table().weight.device.type in FUSED
    return torch.optim.AdamW(declared, lr=schedule.learning_rate, betas=(0.9, 0.98), fused=fused)


def measured(values: Mapping[str, Tensor]) -> dict[str, float]:
    """Scalars as the host reads them; it waits for the device once, not for each."""
    return dict(zip(values, torch.stack([value.detach().float() for value in values.values()]).tolist(), strict=True))


def fit(
    model: DualEncoder,
    beside: Mapping[str, nn.Module],
    step_loss: Callable[[int], dict[str, Tensor]],
    schedule: Schedule,
    *,
    checkpoint: Path | None = None,
    checkpoint_seconds: float = 60.0,
    report_every: int = 20,
    progress: Progress | None = None,
    batch: Batch | None = None,
) -> History:
    """Minimise `step_loss(step)["loss"]` for `schedule.steps` steps.

    `beside` the model stands what else is trained or remembers something. With `checkpoint`, the state is
    written there every `checkpoint_seconds`, and read from there if it exists. `batch` gives the rows of a step, for
    the error's message.

    Raises:
        DivergenceError: loss or gradients are no longer finite, or the loss has exploded; it names the step.
    """
    modules: dict[str, nn.Module] = {"model": model, **beside}
    trained = list(modules.values())
    optim = optimiser(trained, model, schedule)
    parameters = [p for group in optim.param_groups for p in group["params"]]
    history, first = History(), 0
    guard = Guard(parameters[0].device, report_every)
    if checkpoint is not None and checkpoint.exists():
        first = _restore(checkpoint, modules, optim, history, guard)
    for module in trained:
        module.train()
    started, saved = time.perf_counter() - history.seconds, time.perf_counter()
    told = saved
    for step in range(first, schedule.steps):
        rate = learning_rate(step, schedule)
        for group in optim.param_groups:
            group["lr"] = rate * group["factor"]
        terms = step_loss(step)
        optim.zero_grad(set_to_none=True)
        terms["loss"].backward()
        norm = nn.utils.clip_grad_norm_(parameters, schedule.clip_norm)
        optim.step()
        last = step + 1 == schedule.steps
        reported = last or (step + 1) % report_every == 0
        wrong = guard.see(step, terms["loss"], norm)
        if wrong is None and reported:
            wrong = guard.read(step)
        if wrong is not None:
            raise _diverged(*wrong, schedule, history, batch)
        if reported:
            row = {"step": step + 1, "learning_rate": rate, **measured({"gradient_norm": norm, **terms})}
            history.rows.append(row)
            history.seconds = time.perf_counter() - started
            if progress is not None:
                progress(step + 1, schedule.steps, row)
                told = time.perf_counter()
            if checkpoint is not None and not last and time.perf_counter() - saved > checkpoint_seconds:
                _save(checkpoint, step + 1, modules, optim, history, guard)
                saved = time.perf_counter()
        elif progress is not None and time.perf_counter() - told > TELL_SECONDS:
            progress(step + 1, schedule.steps, {})
            told = time.perf_counter()
    for module in trained:
        module.eval()
    return history


def _diverged(step: int, what: str, schedule: Schedule, history: History, batch: Batch | None) -> DivergenceError:
    rate = learning_rate(step, schedule)
    error = DivergenceError(
        step + 1,
        f"{what} at step {step + 1} of {schedule.steps} (learning rate {rate:g} there, {schedule.learning_rate:g} at "
        "its highest)",
        [] if batch is None else [int(row) for row in batch(step)],
        "try a smaller learning rate",
    )
    error.rows = history.rows
    return error


def _save(
    path: Path,
    step: int,
    modules: Mapping[str, nn.Module],
    optim: torch.optim.Optimizer,
    history: History,
    guard: Guard,
) -> None:
    state = {
        "step": step,
        "modules": {name: module.state_dict() for name, module in modules.items()},
        "optimiser": optim.state_dict(),
        "history": history.rows,
        "seconds": history.seconds,
        "first_loss": guard.first,
    }
    with replacing(path) as temporary:
        torch.save(state, temporary)


def _restore(
    path: Path, modules: Mapping[str, nn.Module], optim: torch.optim.Optimizer, history: History, guard: Guard
) -> int:
    state = torch.load(path, weights_only=True, map_location="cpu")
    for name, module in modules.items():
        module.load_state_dict(state["modules"][name], strict=True)
    optim.load_state_dict(state["optimiser"])
    history.rows, history.seconds, guard.first = state["history"], state["seconds"], state["first_loss"]
    return int(state["step"])
