"""Distillation objectives: one file each, holding equation, source, confidence and the loss function.

A new objective is one file with an `Objective` subclass and one line in `OBJECTIVES`; a *method* is a
weighted sum of objectives declared in params.yaml.
"""

from __future__ import annotations

from collections.abc import Mapping

from study.names import UnknownNameError
from study.objectives.dr import Dr
from study.objectives.ed import Ed
from study.objectives.fd import Fd
from study.objectives.mcl import Mcl
from study.objectives.sd import Sd
from study.objectives.task import Task
from study.objectives.views import Objective

OBJECTIVES: Mapping[str, type[Objective]] = {"task": Task, "fd": Fd, "ed": Ed, "sd": Sd, "mcl": Mcl, "dr": Dr}


def objective(name: str, where: str = "") -> type[Objective]:
    """The objective called `name`.

    Raises:
        UnknownNameError: there is none; `where` says where the name stands.
    """
    if name not in OBJECTIVES:
        raise UnknownNameError("objective", name, OBJECTIVES, where)
    return OBJECTIVES[name]
