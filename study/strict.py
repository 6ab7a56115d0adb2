"""What every block of params.yaml is: unknown keys, other types and numbers that are none are refused."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict


class Strict(BaseModel):
    """A declaration that is read as it was written, and does not change afterwards."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)
