"""How MLflow's UI opens on a study: scores in the first columns, charts that compare, details folded away.

MLflow keeps a view that somebody shares as JSON in a tag of the experiment; a link names the tag.
"""

from __future__ import annotations

import json
from typing import Any

from pipeline.tracking.run_record import metric_name
from pipeline.tracking.score_metrics import LANGUAGES, headline_metrics

TAG = "mlflow.sharedViewState."
RUNS, METHODS = "small-polyglots-runs", "small-polyglots-methods"
"""Names of the two views: every run, and methods averaged over seeds."""

COMPARED = ("method", "arch", "size", "seed")
GROUPS = ("training", "retrieval", "consistency", "vqa", "stability", "cost")
RUNS_DRAWN = 100


def tags() -> dict[str, str]:
    """Tags of the experiment that hold the views."""
    by_method = {"aggregateFunction": "average", "groupByKeys": [{"mode": "param", "groupByData": "method"}]}
    return {TAG + RUNS: _text(None), TAG + METHODS: _text(by_method)}


def link(server: str, place: str, view: str) -> str:
    """The address of a view of the experiment with that id."""
    query = f"workflowType=machine_learning&viewStateShareKey={view}&compareRunsMode=CHART"
    return f"{server.rstrip('/')}/#/experiments/{place}/runs?{query}"


def _text(grouped: dict[str, Any] | None) -> str:
    state = {
        "orderByKey": "attributes.start_time",
        "orderByAsc": False,
        "selectedColumns": [
            *(f"metrics.`{name}`" for name in headline_metrics()),
            *(f"params.`{name}`" for name in COMPARED),
        ],
        "runsHiddenMode": "SHOW_ALL",
        "hideEmptyCharts": True,
        "useGroupedValuesInCharts": True,
        "isAccordionReordered": True,
        "groupBy": grouped,
        "compareRunCharts": _charts(),
        "compareRunSections": _sections(),
    }
    return json.dumps(state, sort_keys=True)


def _charts() -> list[dict[str, Any]]:
    """Two trade-offs, the scores of the first columns and the loss; MLflow adds the other metrics by itself."""
    retrieval, consistency, vqa, stability = headline_metrics()
    charts: list[dict[str, Any]] = [
        *(
            {"type": "SCATTER", "xaxis": _axis(x), "yaxis": _axis(y), "displayName": title}
            for x, y, title in (
                (retrieval, stability, "Stability by retrieval"),
                (consistency, vqa, "VQA by consistency"),
            )
        ),
        *(
            {"type": "BAR", "metricKey": name, "displayName": name.partition("/")[0]}
            for name in (retrieval, consistency, vqa, stability)
        ),
        {"type": "LINE", "metricKey": metric_name("training", "loss"), "displayName": "loss"},
    ]
    return [
        {"uuid": f"polyglots-{at}", "metricSectionId": "polyglots-scores", "runsCountToCompare": RUNS_DRAWN,
         "deleted": False, "isGenerated": False, **chart}
        for at, chart in enumerate(charts)
    ]  # fmt: skip


def _axis(metric: str) -> dict[str, str]:
    return {"key": metric, "type": "METRIC"}


def _sections() -> list[dict[str, Any]]:
    details = [f"{group}/{LANGUAGES}" for group in GROUPS[1:4]]
    folded = {"scores": False, **dict.fromkeys(GROUPS, False), **dict.fromkeys(details, True)}
    return [
        {"uuid": f"polyglots-{name}", "name": name, "display": not hidden, "isReordered": False, "deleted": False,
         "isGenerated": name != "scores"}
        for name, hidden in folded.items()
    ]  # fmt: skip
