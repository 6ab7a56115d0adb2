"""Distillation objectives: one file each, holding equation, source, confidence and the loss function.

A new objective is one file with an `Objective` subclass and one line in `OBJECTIVES`; a *method* is a
weighted sum of objectives declared in params.yaml. Options that stand in a file of `options/`, with a line in
`OPTIONS`, are checked without torch; those in the objective's own file are found there.
"""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from typing import TYPE_CHECKING

from study.names import UnknownNameError
from study.objectives.options.base import ObjectiveOptions
from study.objectives.options.dr import DrOptions
from study.objectives.options.ed import EdOptions
from study.objectives.options.fd import FdOptions
from study.objectives.options.mcl import MclOptions
from study.objectives.options.sd import SdOptions

if TYPE_CHECKING:
    from study.objectives.base import Objective

OBJECTIVES: Mapping[str, str] = {
    "task": "study.objectives.task:Task",
    "fd": "study.objectives.fd:Fd",
    "ed": "study.objectives.ed:Ed",
    "sd": "study.objectives.sd:Sd",
    "mcl": "study.objectives.mcl:Mcl",
    "dr": "study.objectives.dr:Dr",
}
"""Objective to `module:class`; imported on use, since torch takes seconds to import."""

OPTIONS: Mapping[str, type[ObjectiveOptions]] = {
    "task": ObjectiveOptions,
    "fd": FdOptions,
    "ed": EdOptions,
    "sd": SdOptions,
    "mcl": MclOptions,
    "dr": DrOptions,
}


def objective(name: str, where: str = "") -> type[Objective]:
    """The objective called `name`.

    Raises:
        UnknownNameError: there is none; `where` says where the name stands.
    """
    module, attribute = _registered(name, where)
    found: type[Objective] = getattr(importlib.import_module(module), attribute)
    return found


def options_of(name: str, where: str = "") -> type[ObjectiveOptions]:
    """What can be set of the objective called `name`; raises as `objective`."""
    _registered(name, where)
    return OPTIONS[name] if name in OPTIONS else objective(name).Options


def module_of(name: str) -> str:
    """The module that the objective called `name` is in; raises as `objective`."""
    return _registered(name)[0]


def _registered(name: str, where: str = "") -> tuple[str, str]:
    if name not in OBJECTIVES:
        raise UnknownNameError("objective", name, OBJECTIVES, where)
    module, _, attribute = OBJECTIVES[name].partition(":")
    return module, attribute
