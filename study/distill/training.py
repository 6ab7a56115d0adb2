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
from study.files import replacing
from study.models.dual_encoder import DualEncoder

Progress = Callable[[int, int, Mapping[str, float]], None]
"""Called with steps done, steps in all and the newest row of the history."""


class TrainingError(RuntimeError):
    """The training cannot go on."""


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
    return torch.optim.AdamW(declared, lr=schedule.learning_rate, betas=(0.9, 0.98), fused=True)


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
) -> History:
    """Minimise `step_loss(step)["loss"]` for `schedule.steps` steps.

    `beside` the model stands what else is trained or remembers something. With `checkpoint`, the state is
    written there every `checkpoint_seconds`, and read from there if it exists.

    Raises:
        TrainingError: the loss is no longer finite.
    """
    modules: dict[str, nn.Module] = {"model": model, **beside}
    trained = list(modules.values())
    optim = optimiser(trained, model, schedule)
    parameters = [p for group in optim.param_groups for p in group["params"]]
    history, first = History(), 0
    if checkpoint is not None and checkpoint.exists():
        first = _restore(checkpoint, modules, optim, history)
    for module in trained:
        module.train()
    started, saved = time.perf_counter() - history.seconds, time.perf_counter()
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
        if last or (step + 1) % report_every == 0:
            row = {"step": step + 1, "learning_rate": rate, "gradient_norm": float(norm)}
            row |= {name: float(value.detach()) for name, value in terms.items()}
            if not math.isfinite(row["loss"]):
                raise TrainingError(
                    f"loss is {row['loss']} at step {step + 1}; try a smaller learning rate than {rate:g}"
                )
            history.rows.append(row)
            history.seconds = time.perf_counter() - started
            if progress is not None:
                progress(step + 1, schedule.steps, row)
            if checkpoint is not None and not last and time.perf_counter() - saved > checkpoint_seconds:
                _save(checkpoint, step + 1, modules, optim, history)
                saved = time.perf_counter()
    for module in trained:
        module.eval()
    return history


def _save(
    path: Path, step: int, modules: Mapping[str, nn.Module], optim: torch.optim.Optimizer, history: History
) -> None:
    state = {
        "step": step,
        "modules": {name: module.state_dict() for name, module in modules.items()},
        "optimiser": optim.state_dict(),
        "history": history.rows,
        "seconds": history.seconds,
    }
    with replacing(path) as temporary:
        torch.save(state, temporary)


def _restore(path: Path, modules: Mapping[str, nn.Module], optim: torch.optim.Optimizer, history: History) -> int:
    state = torch.load(path, weights_only=True, map_location="cpu")
    for name, module in modules.items():
        module.load_state_dict(state["modules"][name], strict=True)
    optim.load_state_dict(state["optimiser"])
    history.rows, history.seconds = state["history"], state["seconds"]
    return int(state["step"])
