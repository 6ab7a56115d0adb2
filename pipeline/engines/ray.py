"""Engine `ray`: jobs are tasks of a Ray cluster, on its CPUs or on shares of its GPUs.

Where none is declared, one is started on this machine. It listens to this machine alone: every one of its sockets is
bound to the loopback interface, and it asks for a token that only this process and its children know.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import socket
import subprocess
import sys
import tempfile
from collections.abc import Generator, Iterator, Sequence
from pathlib import Path
from typing import Any

from pipeline import sources, stage
from pipeline.engines.base import Ended, Engine, Job, carry_out, name_of
from pipeline.engines.local import devices
from study.config.params import ExecutionSpec

LOOPBACK = "127.0.0.1"
ALONE = {
    # Ray would write its machine's public address in the place of a loopback one, unless it is told that clusters of
    # several machines are not wanted, which is what this variable says on every system.
    "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0",
    "RAY_AUTH_MODE": "token",
}
QUIET = {"RAY_USAGE_STATS_ENABLED": "0", "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0", "RAY_DEDUP_LOGS": "0"}
TOKEN = secrets.token_hex(32)
"""One of a process: Ray keeps the first that it reads."""
POLL = 1.0
"""Seconds between two looks."""
ANSWER_SECONDS = 10.0
"""In which a cluster that is there answers."""


class RayEngine(Engine):
    """Makes jobs where a Ray cluster has room for them; its machines see the study's folder at the same path."""

    def __init__(self, execution: ExecutionSpec, jobs: int) -> None:
        import_ray(alone=execution.ray.address is None)
        self.execution, self.address = execution, execution.ray.address
        self.names: list[str] = []
        if self.address is None:
            self.names = devices(execution.device, execution.workers, execution.workers_per_gpu)[:jobs]
            self.workers, self.where = len(self.names), f"an embedded Ray: {', '.join(self.names)}"
        else:
            self.workers = jobs if execution.workers == "auto" else min(jobs, int(execution.workers))
            self.where = f"the Ray cluster {self.address}"

    def run(self, jobs: Sequence[Job]) -> Generator[Ended, None, None]:
        stage.SCRATCH.mkdir(exist_ok=True)  # by which machines know that they see this folder
        with self._cluster() as ray:
            yield from self._awaited(ray, jobs)

    def _awaited(self, ray: Any, jobs: Sequence[Job]) -> Generator[Ended, None, None]:
        share = self._share(ray)
        device = "cuda" if share["num_gpus"] else "cpu"
        # Workers of tasks with GPUs are not used again unless this is 0.
        task = ray.remote(max_calls=0, max_retries=0, **share)(_make)
        waiting = list(jobs)[::-1]
        pending: dict[Any, Job] = {}
        while waiting or pending:
            while waiting and len(pending) < self.workers:
                job = waiting.pop()
                pending[task.remote(str(Path.cwd()), tuple(job), device, self.execution.threads)] = job
            try:
                over, _ = ray.wait(list(pending), timeout=POLL)
            except ray.exceptions.RayError as error:
                raise _unreachable(error) from None
            for answer in over:
                yield self._ended(ray, pending.pop(answer), answer)

    def _ended(self, ray: Any, job: Job, answer: Any) -> Ended:
        try:
            return Ended(job, ray.get(answer))
        except ray.exceptions.RayTaskError as error:
            return Ended(job, str(error.cause))
        except (ray.exceptions.RayError, ConnectionError) as error:
            if not ray.is_initialized():
                raise _unreachable(error) from None
            return Ended(job, f"a worker was killed, or its machine is gone, while it made {name_of(job)}", lost=True)

    def _share(self, ray: Any) -> dict[str, float]:
        """Of a machine's CPUs and GPUs, what a job takes."""
        gpus = ray.cluster_resources().get("GPU", 0)
        if self.execution.device.startswith("cuda") and not gpus:
            raise stage.StageError(f"execution.device is {self.execution.device!r}, but {self.where} has no GPU")
        on_gpu = gpus and self.execution.device != "cpu"
        return {
            "num_cpus": self.execution.threads,
            "num_gpus": 1 / self.execution.workers_per_gpu if on_gpu else 0,
        }

    @contextlib.contextmanager
    def _cluster(self) -> Iterator[Any]:
        if self.address is None:
            gpus = len({name for name in self.names if name.startswith("cuda")})
            with embedded(len(self.names) * self.execution.threads, gpus) as ray:
                yield ray
            return
        ray = import_ray(alone=False)
        try:
            if self.address != "auto":  # Ray itself would wait for minutes
                host, _, port = self.address.rpartition(":")
                socket.create_connection((host, int(port)), timeout=ANSWER_SECONDS).close()
            # Machines of the cluster need the same environment; the code is found in the folder that they share.
            ray.init(
                address=self.address,
                log_to_driver=False,
                logging_level="ERROR",
                runtime_env={"env_vars": {"PYTHONPATH": str(sources.ROOT)}},
            )
        except (OSError, ray.exceptions.RayError, RuntimeError, ValueError) as error:
            raise _unreachable(error) from None
        try:
            yield ray
        finally:
            ray.shutdown()


@contextlib.contextmanager
def embedded(cpus: int, gpus: int) -> Iterator[Any]:
    """A Ray of this machine alone, for as long as it is used.

    Args:
        cpus: that it may use.
        gpus: that it may use.
    """
    ray = import_ray(alone=True)
    # Ray's sockets lie in this folder, and the name of a socket has 107 bytes at most.
    short = None if len(tempfile.gettempdir()) < 32 else "/tmp"
    folder = tempfile.mkdtemp(prefix="ray-", dir=short)
    guard = subprocess.Popen(
        [sys.executable, "-m", "pipeline.engines.guard", str(os.getpid()), folder],
        env=os.environ | {"PYTHONPATH": str(sources.ROOT)}, stdin=subprocess.PIPE, start_new_session=True,
    )  # fmt: skip
    assert guard.stdin is not None
    try:
        try:
            ray.init(
                num_cpus=cpus,
                num_gpus=gpus,
                include_dashboard=False,
                log_to_driver=False,
                logging_level="ERROR",
                _node_ip_address=LOOPBACK,
                _temp_dir=folder,
            )
        except Exception as error:  # Ray has no class of its own for a start that takes too long
            said = " ".join(str(error).split())[:300]
            raise stage.StageError(f"Ray did not start on this machine, what is finished is kept: {said}") from error
        yield ray
    finally:
        ray.shutdown()
        guard.stdin.close()
        guard.wait()


def import_ray(alone: bool) -> Any:
    """Ray, which reads the environment when it is imported.

    Args:
        alone: whether it is to be of this machine alone.
    """
    os.environ.update(QUIET)
    if alone:
        os.environ.update(ALONE)
        os.environ["RAY_AUTH_TOKEN"] = TOKEN
    import ray

    return ray


def _make(folder: str, job: Job, device: str, threads: int) -> str | None:
    """What a worker of the cluster does: make a job, in the study's folder."""
    if not Path(folder, stage.SCRATCH).is_dir():
        raise stage.StageError(
            f"{socket.gethostname()} does not see {folder}: the machines of a Ray cluster share the study's folder; "
            "without one, see `small-polyglots part`"
        )
    os.chdir(folder)
    stage.limit_threads(threads)
    return carry_out(job, device)


def _unreachable(error: Exception) -> stage.StageError:
    said = " ".join(str(error).split())[:300]
    return stage.StageError(f"the Ray cluster cannot be used, what is finished is kept: {said}")
