"""Every measure as a table beside the report."""

from __future__ import annotations

import pandas as pd

from study.measures import KINDS


def table() -> pd.DataFrame:
    """tables/measures.csv: definition, range, direction and source; its own scale, before points are made of it."""
    return pd.DataFrame([
        {"kind": kind, "measure": m.name, "meaning": m.meaning, "detail": m.detail or "-", "low": m.low,
         "high": m.high, "higher_is_better": m.higher_is_better, "source": m.source or "-"}
        for kind, found in KINDS.items() for m in found
    ])  # fmt: skip
