"""What one contrast shows, and what two of them show together: the one place where that is decided."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

RAISED, LOWERED, EQUIVALENT, OPEN, UNKNOWN = "raised", "lowered", "equivalent", "open", "unknown"

COST = "cost"
BOTH_RAISED = "both raised"
BOTH_LOWERED = "both lowered"
OPPOSITE = "consistency lowered, stability raised"
FREE = "gain, stability equivalent"
GAIN = "gain, stability open"
NONE = "none"


def verdict(row: Mapping[Any, Any], alpha: float) -> str:
    """RAISED or LOWERED where the adjusted p is under the level; else EQUIVALENT where p_equivalent is; else OPEN.

    UNKNOWN where no adjusted p could be given. Raised and lowered are of the score: whether more of it is better is
    the outcome's `higher_is_better`.
    """
    if not np.isfinite(row["p_adjusted"]):
        return UNKNOWN
    if row["p_adjusted"] < alpha:
        return RAISED if row["estimate"] > 0 else LOWERED
    return EQUIVALENT if row["p_equivalent"] < alpha else OPEN


def joint_verdict(consistency: str, stability: str) -> str:
    """What the verdicts on consistency and on stability say together.

    COST: consistency raised and stability lowered; BOTH_RAISED, BOTH_LOWERED, OPPOSITE by the same rule; FREE:
    consistency raised and stability equivalent; GAIN: consistency raised, stability open; UNKNOWN where one of the
    two is; else NONE: no gain in consistency to set a price on.
    """
    pair = (consistency, stability)
    if UNKNOWN in pair:
        return UNKNOWN
    known = {
        (RAISED, LOWERED): COST,
        (RAISED, RAISED): BOTH_RAISED,
        (LOWERED, LOWERED): BOTH_LOWERED,
        (LOWERED, RAISED): OPPOSITE,
        (RAISED, EQUIVALENT): FREE,
        (RAISED, OPEN): GAIN,
    }
    return known.get(pair, NONE)
