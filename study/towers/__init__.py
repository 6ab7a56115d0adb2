"""Architecture families: one file each, one protocol over all of them.

A new family is one file with a `DualEncoder` subclass and one line in `FAMILIES`.
"""

from __future__ import annotations

import importlib

from study.names import UnknownNameError
from study.towers.protocol import DualEncoder

FAMILIES = {"clip": "study.towers.clip:Clip", "siglip2": "study.towers.siglip2:Siglip2"}
"""Family name to `module:class`; imported on use, since each library takes seconds to import."""


def family(name: str) -> type[DualEncoder]:
    """The family called `name`.

    Raises:
        UnknownNameError: there is none.
    """
    if name not in FAMILIES:
        raise UnknownNameError("architecture family", name, FAMILIES)
    module, _, attribute = FAMILIES[name].partition(":")
    found: type[DualEncoder] = getattr(importlib.import_module(module), attribute)
    return found
