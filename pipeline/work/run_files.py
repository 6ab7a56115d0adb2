"""run.json, history.csv and fragmentation.csv: everything about a training that is not weights."""

from __future__ import annotations

import platform
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeline import stage
from pipeline.work.device import device_name, torch_device
from pipeline.work.inputs import open_corpus
from pipeline.work.task import Task

if TYPE_CHECKING:
    from study.distill.cost import TrainingCost
    from study.distill.training import History
    from study.models.dual_encoder import DualEncoder


def write_run(
    folder: Path,
    task: Task,
    model: DualEncoder,
    history: History,
    cost: TrainingCost,
    row: dict[str, Any],
    settings: dict[str, Any],
    device: str,
) -> None:
    """Write the three files; `row` is the run's row of the `cells` table but for what is common to all tasks."""
    import pandas as pd

    from study.eval.fragmentation import fragmentation

    row = {
        "cell": task.name,
        **row,
        **asdict(cost),
        "seconds": round(history.seconds, 3),
        "device": device_name(torch_device(device)),
        "fingerprint": task.fingerprint,
    }
    record = {"cell": task.name, "row": row, "settings": settings, "temperature": model.temperature}
    if model.evidence:
        record["checkpoint"] = asdict(model.evidence)
    stage.write_json(folder / "run.json", {**record, "versions": versions()})
    pd.DataFrame(history.rows, columns=list(history.rows[0]) if history.rows else ["step"]).to_csv(
        folder / "history.csv", index=False
    )
    fragmentation(model, open_corpus(), "validation").to_csv(folder / "fragmentation.csv", index=False)


def versions() -> dict[str, str]:
    """The versions that a result depends on."""
    from importlib.metadata import version

    names = ("torch", "transformers", "open_clip_torch", "tokenizers", "numpy")
    return {"python": platform.python_version(), **{name: version(name) for name in names}}
