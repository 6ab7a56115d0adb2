"""The trade-off under other measures of consistency and stability than the primary ones, and where they disagree."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from analysis.contrasts.estimate import Result
from analysis.contrasts.verdict import COST, UNKNOWN
from analysis.settings import AnalysisSettings
from analysis.tradeoff import tradeoff
from analysis.tradeoff.joint import NAMES
from analysis.tradeoff.tradeoff import Tradeoff
from study.measures import FURTHER_PAIRS


@dataclass(frozen=True)
class ConstructPair:
    """The trade-off under one measure of consistency and one of stability."""

    consistency: str  # names of measures in the result tables
    stability: str
    primary: bool
    tradeoffs: list[Tradeoff]


@dataclass(frozen=True)
class Disagreement:
    """A method and place on which pairs of measures come to different verdicts.

    `verdicts`: for each pair (measure of consistency, measure of stability) its verdict; the primary pair first.
    """

    method: str
    arch: str
    size: str
    verdicts: Mapping[tuple[str, str], str]

    @property
    def about_cost(self) -> bool:
        """Whether some pair calls it a cost and another one does not."""
        return len({v == COST for v in self.verdicts.values() if v != UNKNOWN}) > 1


def analyse(primary: list[Tradeoff], results: Mapping[str, Result], settings: AnalysisSettings) -> list[ConstructPair]:
    """The trade-off under the primary pair of measures and the secondary ones of `FURTHER_PAIRS`."""
    by_measure = {kind: {r.outcome.measure: r for n, r in results.items() if n.split(":")[0] == kind} for kind in NAMES}
    if not {"consistency", "stability"} <= set(results):
        return []
    main = (results["consistency"].outcome.measure, results["stability"].outcome.measure)
    found = [ConstructPair(*main, True, primary)]
    for consistency, stability in FURTHER_PAIRS:
        first = by_measure["consistency"].get(consistency)
        second = next((by_measure["stability"][s] for s in stability if s in by_measure["stability"]), None)
        if first is None or second is None:
            continue
        names = (first.outcome.measure, second.outcome.measure)
        if names not in {(p.consistency, p.stability) for p in found}:
            found.append(ConstructPair(*names, False, tradeoff.analyse(first, second, settings)))
    return found


def secondary_measures(names: Sequence[str]) -> list[str]:
    """The outcomes among `names` that some pair of `FURTHER_PAIRS` may need."""
    wanted = {f"consistency:{c}" for c, _ in FURTHER_PAIRS}
    wanted |= {f"stability:{s}" for _, options in FURTHER_PAIRS for s in options}
    return [name for name in names if name in wanted]


def disagreements(pairs: Sequence[ConstructPair]) -> list[Disagreement]:
    """Where the pairs of measures come to different verdicts; unknown ones disagree with none."""
    verdicts: dict[tuple[str, str, str], dict[tuple[str, str], str]] = {}
    for pair in pairs:
        for t in pair.tradeoffs:
            verdicts.setdefault((t.method, t.arch, t.size), {})[pair.consistency, pair.stability] = t.verdict
    return [
        Disagreement(*key, found) for key, found in verdicts.items()
        if len({v for v in found.values() if v != UNKNOWN}) > 1
    ]  # fmt: skip
