"""`make ui`: MLflow's UI, opened on the study's runs; or the address of the team's server, where they go there."""

from __future__ import annotations

import os
import socket
import sys

from pipeline import params, publish, stage
from pipeline.tracking import experiment, view
from pipeline.tracking.follow import Follower
from pipeline.tracking.tracker import Tracker, TrackingError
from pipeline.tracking.watcher import publishing

HOST = "127.0.0.1"


def bring_up_to_date() -> None:
    """Publish what there is: the results, or of an unfinished study what its workers told."""
    try:
        records = publish.run_records(params.grid())
    except stage.StageError as error:
        print(f"MLflow: the study is not finished ({error}); this is what there is so far")
        with publishing(0.0) as alone:
            if alone:  # or a watcher does it
                Follower(experiment.open_tracker()).turn()
    else:
        print(f"MLflow: {publish.publish(records)}")


def told(tracker: Tracker, server: str) -> str:
    """Where to look."""
    return (
        f"runs      {view.link(server, tracker.place, view.RUNS)}\n"
        f"methods   {view.link(server, tracker.place, view.METHODS)}"
    )


def free(port: int) -> bool:
    """Whether nobody listens there."""
    with socket.socket() as one:
        one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            one.bind((HOST, port))
        except OSError:
            return False
    return True


def run(port: int) -> None:
    where = experiment.destination()
    if where.store is not None and not free(port):
        raise stage.StageError(f"port {port} is taken: `make ui PORT=...` takes another one")
    try:
        bring_up_to_date()
        tracker = experiment.open_tracker()
    except TrackingError as error:
        raise stage.StageError(str(error)) from None
    if where.store is None:
        print(told(tracker, where.uri) if where.uri.startswith("http") else f"MLflow: {where.shown}")
        return
    print(f"{told(tracker, f'http://{HOST}:{port}')}\n(Ctrl-C ends it)", flush=True)
    os.environ |= {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false", "PYTHONWARNINGS": "ignore"}
    command = [sys.executable, "-m", "mlflow", "ui", "--host", HOST, "--port", str(port), "--workers", "1",
               "--backend-store-uri", where.uri, "--uvicorn-opts", "--log-level warning"]  # fmt: skip
    os.execv(sys.executable, command)
