"""Where the grid is made: processes of this machine, a Slurm array, a Ray cluster.

`execution.engine` of params.yaml chooses. What an engine is, is in `base`; docs/engines.md says when to take which.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pipeline import stage

if TYPE_CHECKING:
    from pipeline.engines.base import Engine
    from study.config.params import ExecutionSpec


def engine(execution: ExecutionSpec, jobs: int) -> Engine:
    """The declared engine, for so many jobs.

    Raises:
        StageError: it needs a package that is not installed, or a cluster that is not there.
    """
    try:
        if execution.engine == "slurm":
            from pipeline.engines.slurm import SlurmEngine

            return SlurmEngine(execution, jobs)
        if execution.engine == "ray":
            from pipeline.engines.ray import RayEngine

            return RayEngine(execution, jobs)
    except ModuleNotFoundError as error:
        if error.name not in ("submitit", "ray"):
            raise
        raise stage.StageError(
            f"execution.engine is {execution.engine}, which needs {error.name}: "
            f"`requirements/install {execution.engine}`, or execution.engine: local"
        ) from None
    from pipeline.engines.local import local

    return local(execution, jobs)
