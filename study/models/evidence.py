"""How far a published checkpoint is known to be read as its library reads it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Evidence:
    """What is written into run.json, model cards and the report.

    assumed: what the files leave open and the library's default decides, a clause each. compared: with which library
    the model was compared when it was loaded, and on what; empty where nothing was compared.
    """

    assumed: tuple[str, ...] = ()
    compared: str = ""

    def __bool__(self) -> bool:
        return bool(self.assumed or self.compared)
