"""The report's pictures. Every function returns a matplotlib figure; nothing is written here but by `save`."""

from analysis.figures.differences import forest, language_differences, pairs, per_language
from analysis.figures.power import power
from analysis.figures.residuals import residuals
from analysis.figures.runs import profiles, retrieval_languages, scores
from analysis.figures.style import save
from analysis.figures.tradeoff import tradeoff

__all__ = [
    "forest",
    "language_differences",
    "pairs",
    "per_language",
    "power",
    "profiles",
    "residuals",
    "retrieval_languages",
    "save",
    "scores",
    "tradeoff",
]
