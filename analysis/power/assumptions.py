"""What power is worked out from: variances by component, of a study's own fits or of a file before there are any."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from analysis.contrasts import effects, estimate, paired
from analysis.contrasts.estimate import Result
from analysis.data import load as frames
from analysis.settings import HEADLINES, AnalysisError, AnalysisSettings, nearest, read_json
from analysis.tradeoff import tradeoff

TERMS = ("block", "language", "language:method", "language:place", "language:place:method", "residual")
"""Variance components beside those of runs (`run`, or `run METHOD` for one method) and `difference METHOD`."""


@dataclass(frozen=True)
class Assumed:
    """The spread of one outcome: `variances` by component, squared points.

    Components are TERMS and `run METHOD`; a component that is absent is no part of the model (without `language` the
    languages are fixed). An outcome with one score a run has `difference METHOD` alone: the variance of a method's
    paired differences from the control.
    """

    variances: Mapping[str, float]

    @property
    def crossed(self) -> bool:
        return "residual" in self.variances

    def of(self, name: str) -> float:
        return float(self.variances.get(name, 0.0))


@dataclass(frozen=True)
class Assumptions:
    """What a power table rests on: methods (control first), places, outcomes, and the trade-off's correlation.

    `correlations`: by method, of the estimates of consistency and stability.
    """

    methods: tuple[str, ...]
    places: int
    outcomes: Mapping[str, Assumed]
    correlations: Mapping[str, float]


def load(folder: Path, settings: AnalysisSettings) -> Assumptions:
    """Assumptions of a results folder: its headline outcomes, fitted as the report fits them.

    Raises:
        AnalysisError: the results cannot be used, or nothing in them repeats.
    """
    study = frames.load(folder, settings)
    found = of_study({n: estimate.analyse(o, study, settings) for n, o in study.headlines.items()}, settings)
    if not found.outcomes:
        raise AnalysisError(f"{folder}: no outcome has runs that repeat, so there is no spread to start from; give one "
                            "with --variances")  # fmt: skip
    return found


def of_study(analysed: Mapping[str, Result], settings: AnalysisSettings) -> Assumptions:
    """Assumptions from the headline results of a study, with the trade-off's correlation where there is one."""
    together = {"consistency", "stability"} <= set(analysed)
    pair = tradeoff.analyse(analysed["consistency"], analysed["stability"], settings) if together else []
    return from_results(analysed, settings, tradeoff.averages(pair))


def from_results(
    results: Mapping[str, Result], settings: AnalysisSettings, tradeoffs: Sequence[tradeoff.Tradeoff] = ()
) -> Assumptions:
    """The fitted variances of a study.

    Args:
        results: analyses by outcome.
        settings: for the control.
        tradeoffs: averaged trade-offs, for the correlation of the two estimates; 0 for methods without.
    """
    outcomes, methods, places = {}, [settings.control], 1
    for name, result in results.items():
        layout = result.design
        if layout is None:
            continue
        methods += [m for m in layout.methods if m not in methods and layout.shared(m)]
        places = max(places, len({place for m in layout.methods for place in layout.shared(m)}))
        if result.fit is not None:
            names = [_plain(term) for term in (*result.fit.names, "residual")]
            outcomes[name] = Assumed(dict(zip(names, map(float, result.fit.variances), strict=True)))
        else:
            differences = paired.paired_differences(paired.run_means(result.outcome.frame), layout)
            sd = effects.spread_of_differences(differences).dropna()
            known = {f"difference {m}": float(value) ** 2 for m, value in sd.items() if value > 0}
            if known:
                outcomes[name] = Assumed(known)
    kept = {name: _complete(assumed, methods) for name, assumed in outcomes.items()}
    correlations = {t.method: t.correlation for t in tradeoffs if np.isfinite(t.correlation)}
    return Assumptions(tuple(methods), places, kept, correlations)


def _plain(term: str) -> str:
    """The model's name of a term as TERMS have it: architecture, size or both are the place."""
    parts = term.split(":")
    if parts[0] != "language" or not {"arch", "size"} & set(parts):
        return term
    return "language:place:method" if parts[-1] == "method" else "language:place"


def _complete(assumed: Assumed, methods: Sequence[str]) -> Assumed:
    """The same with a variance for every method: one that an outcome lacks gets the mean of the others."""
    prefix = "run " if assumed.crossed else "difference "
    known = [v for name, v in assumed.variances.items() if name.startswith(prefix)]
    wanted = methods if assumed.crossed else methods[1:]
    mean = float(np.mean(known)) if known else 0.0
    return Assumed({**{f"{prefix}{m}": mean for m in wanted}, **assumed.variances})


def read(path: Path, settings: AnalysisSettings) -> Assumptions:
    """Assumptions of a JSON file, for a study without results.

    {"methods": ["none", "fd"], "places": 4, "correlation": 0.0, "outcomes": {"consistency": {"run": 0.7, "run fd":
    1.1, "block": 0.8, "language": 10, "language:method": 1, "language:place": 4, "language:place:method": 0.8,
    "residual": 1}, "stability": {"difference": 1.2}}}: standard deviations in points, the control first.

    Raises:
        AnalysisError: a key, an outcome or a component that is not known, or a number that cannot be.
    """
    values, source = read_json(path), str(path)
    for key in values:
        if key not in (known := ("methods", "places", "correlation", "outcomes")):
            raise AnalysisError(f"{source}: unknown key {key!r}{nearest(key, known)}")
    methods, outcomes, places = values.get("methods"), values.get("outcomes"), values.get("places", 1)
    if not isinstance(methods, list) or len(methods) < 2 or not all(isinstance(m, str) for m in methods):
        raise AnalysisError(f"{source}: 'methods' must list the control and at least one method, not {methods!r}")
    if methods[0] != settings.control:
        raise AnalysisError(f"{source}: the first method must be the control {settings.control!r}, not {methods[0]!r}")
    if not isinstance(places, int) or isinstance(places, bool) or places < 1:
        raise AnalysisError(f"{source}: 'places' must be a number of architectures x sizes, not {places!r}")
    r = values.get("correlation", 0.0)
    if not isinstance(r, (int, float)) or isinstance(r, bool) or not -1 < r < 1:
        raise AnalysisError(f"{source}: 'correlation' must lie between -1 and 1, not {r!r}")
    if not isinstance(outcomes, dict) or not outcomes:
        raise AnalysisError(f"{source}: 'outcomes' must map outcomes to standard deviations, not {outcomes!r}")
    found = {name: _read_outcome(name, spread, methods, source) for name, spread in outcomes.items()}
    return Assumptions(tuple(methods), places, found, dict.fromkeys(methods[1:], float(r)))


def _read_outcome(name: str, spread: Any, methods: Sequence[str], source: str) -> Assumed:
    if name not in HEADLINES:
        raise AnalysisError(f"{source}: outcome {name!r}{nearest(name, HEADLINES)}")
    if not isinstance(spread, dict):
        raise AnalysisError(f"{source}: {name!r} must map components to standard deviations, not {spread!r}")
    by_run = bool(spread) and all(str(component).split()[0:1] == ["difference"] for component in spread)
    kinds = ["difference"] if by_run else ["run"]
    valid = [*kinds, *(f"{k} {m}" for k in kinds for m in methods), *(() if by_run else TERMS)]
    for component, sd in spread.items():
        if component not in valid:
            raise AnalysisError(f"{source}: component {component!r} of {name!r}{nearest(component, valid)}")
        number = isinstance(sd, (int, float)) and not isinstance(sd, bool) and np.isfinite(sd)
        if not number or sd < 0 or (sd == 0 and component in ("residual", "difference")):
            raise AnalysisError(f"{source}: {component!r} of {name!r} must be a standard deviation, not {sd!r}")
    if not by_run and "residual" not in spread:
        raise AnalysisError(f"{source}: {name!r} lacks 'residual' (or has 'difference' alone, for one score a run)")
    kind = kinds[0]
    if kind not in spread and not all(f"{kind} {m}" in spread for m in (methods[1:] if by_run else methods)):
        raise AnalysisError(f"{source}: {name!r} lacks {kind!r}, or one of {[f'{kind} {m}' for m in methods]}")
    squared = {component: float(sd) ** 2 for component, sd in spread.items() if component != kind}
    if kind in spread:
        common = {f"{kind} {m}": float(spread[kind]) ** 2 for m in (methods[1:] if by_run else methods)}
        squared = {**common, **squared}
    return Assumed(squared)


def written(given: Assumptions) -> dict[str, Any]:
    """`given` as `read` reads it: standard deviations in points; one correlation, the mean over methods."""
    r = float(np.mean(list(given.correlations.values()))) if given.correlations else 0.0
    outcomes = {
        name: {component: round(float(np.sqrt(value)), 6) for component, value in assumed.variances.items()}
        for name, assumed in given.outcomes.items()
    }
    return {"methods": list(given.methods), "places": given.places, "correlation": round(r, 6), "outcomes": outcomes}
