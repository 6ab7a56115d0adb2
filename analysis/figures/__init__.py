"""The report's figures. Every function returns a matplotlib figure; nothing is written here but by `save`."""

from analysis.figures.differences import forest, pairs, per_language
from analysis.figures.overview import column_style, overview
from analysis.figures.power import power
from analysis.figures.residuals import residuals
from analysis.figures.runs import profiles, retrieval_languages, scores
from analysis.figures.style import save, theme
from analysis.figures.tradeoff import tradeoff

__all__ = [
    "column_style",
    "forest",
    "overview",
    "pairs",
    "per_language",
    "power",
    "profiles",
    "residuals",
    "retrieval_languages",
    "save",
    "scores",
    "theme",
    "tradeoff",
]
