"""Tables as files: CSV with stable columns, and LaTeX (booktabs) for a paper."""

from __future__ import annotations

from pathlib import Path

import pandas as pd


def write(folder: Path, name: str, table: pd.DataFrame) -> None:
    """name.csv: every value at full precision."""
    folder.mkdir(parents=True, exist_ok=True)
    table.to_csv(folder / f"{name}.csv", index=False)


def write_latex(folder: Path, name: str, table: pd.DataFrame, caption: str) -> None:
    """name.tex: a floating table of `table`'s text with booktabs rules; needs \\usepackage{booktabs}."""
    folder.mkdir(parents=True, exist_ok=True)
    # Escaped first, so that the true minus sign can become math afterwards.
    styled = table.style.hide(axis="index").format(escape="latex").format_index(escape="latex", axis="columns")
    text = styled.to_latex(
        hrules=True,
        position="t",
        position_float="centering",
        column_format="l" + "r" * (table.shape[1] - 1),
        caption=caption.replace("%", r"\%"),
        label=f"tab:{name}",
    )
    (folder / f"{name}.tex").write_text(text.replace("\N{MINUS SIGN}", "$-$"), encoding="utf-8")
