"""The numbers that a tracker shows of a cell: means over languages first, then languages, from the score tables."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

from pipeline.tracking.run_record import metric_name
from study import measures, records

if TYPE_CHECKING:
    import pandas as pd

Metrics = dict[str, dict[str, float]]
"""Cell to metric name to value."""

TABLES = ("retrieval", "consistency", "vqa")
"""Tables that every cell has of its own; stability compares cells, so it is known of a whole study only."""

LANGUAGES = "languages"
"""The group, within a kind of score, of values of one language."""


def score_metrics(tables: Mapping[str, pd.DataFrame]) -> Metrics:
    """Summary metrics of every cell in the tables, by cell.

    Args:
        tables: `retrieval`, `consistency` and `vqa` with the columns of `records`; `stability` may lack.
    """
    metrics: Metrics = defaultdict(dict)
    _summarise(metrics, "retrieval", tables["retrieval"], "metric")
    for (direction, measure), rows in tables["retrieval"].groupby(["direction", "metric"]):
        _put(metrics, "retrieval", [str(measure), str(direction)], rows.groupby("cell")["score"].mean())
    _summarise(metrics, "consistency", tables["consistency"], "construct")
    by_language = tables["vqa"].groupby(["cell", "language"])["correct"].mean()
    _put(metrics, "vqa", [measures.ACCURACY.name], by_language.groupby("cell").mean())
    for language, answers in by_language.groupby("language"):
        _put(metrics, f"vqa/{LANGUAGES}", [measures.ACCURACY.name, str(language)], answers.droplevel("language"))
    if (stability := tables.get("stability")) is not None:
        of_runs = stability[(stability["level"] == "run") & (stability["language"] == records.ALL_LANGUAGES)]
        for construct, rows in of_runs.groupby("construct"):
            _put(metrics, "stability", [str(construct)], rows.set_index("cell")["score"])
    return dict(metrics)


def headline_metrics() -> list[str]:
    """The one number of each kind of score that is looked at first."""
    return [metric_name(kind, found[0]) for kind, found in measures.HEADLINES.items()]


def _summarise(metrics: Metrics, kind: str, frame: pd.DataFrame, column: str) -> None:
    """`kind/measure`, the mean over languages, and `kind/languages/measure.<language>` of the main measure."""
    by_language = frame.groupby([column, "language", "cell"])["score"].mean()
    shown = measures.headline(kind, set(frame[column]))
    for measure in frame[column].unique():
        values = by_language.loc[measure]
        _put(metrics, kind, [str(measure)], values.groupby("cell").mean())
        if measure == shown:  # for each language; of the other measures the mean over languages is enough
            for language, rows in values.groupby("language"):
                _put(metrics, f"{kind}/{LANGUAGES}", [str(measure), str(language)], rows.droplevel("language"))


def _put(metrics: Metrics, group: str, name: Iterable[str], values: pd.Series[float]) -> None:
    """Give each cell of the index its value; an empty one is left out."""
    key = metric_name(group, *name)
    for cell, value in values.dropna().items():
        metrics[str(cell)][key] = float(value)
