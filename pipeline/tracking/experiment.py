"""A study's experiment: what it is called, how it is described, and how its UI opens."""

from __future__ import annotations

from pathlib import Path

from pipeline import params
from pipeline.tracking import view
from pipeline.tracking.destination import Destination
from pipeline.tracking.score_metrics import headline_metrics
from pipeline.tracking.tracker import Tracker

LATER = "`make ui` or the next `make repro` sends the rest"

FACTORS = ("archs", "sizes", "methods", "seeds")


def destination() -> Destination:
    """Where the runs of the study in the working folder go."""
    return Destination.of(Path.cwd(), params.grid().study)


def open_tracker() -> Tracker:
    """The study's experiment, opened or made, with its description and its views.

    Raises:
        TrackingError: the store cannot be used.
    """
    return Tracker(destination(), note(params.grid()), view.tags())


def note(grid: params.Grid) -> str:
    """The experiment's description in the UI."""
    factors = "\n".join(f"- **{factor}**: {', '.join(map(str, getattr(grid, factor)))}" for factor in FACTORS)
    scores = ", ".join(f"`{name}`" for name in headline_metrics())
    return f"""{grid.description}

One run for each of {len(grid.cells)} students and {len(grid.teachers)} teachers, and one for the report.

{factors}

**Compare methods**: *Group by* > `method`; the filter `params.size = "half" and params.arch = "clip"` keeps one block.
The scores to look at first are {scores}; those of one language are under `.../languages`, training curves under
`training/`, what a run cost under `cost/`. Confidence intervals and tests are in the run `report`, among its artifacts.

This view follows the study's files. Runs that were replaced are in the bin; runs of other hands are left alone.
"""
