"""What the study declared about its own analysis: control, level, primary outcomes, smallest effect of interest."""

from __future__ import annotations

import json
import math
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, fields
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from study import measures

HEADLINES = tuple(measures.HEADLINES)
"""The headline outcomes, in the order of the report."""

OUTCOMES = measures.OUTCOMES
"""Every name that an outcome may have."""


class AnalysisError(ValueError):
    """The results or the settings cannot be analysed; the message names file, problem and nearest valid name."""


def nearest(name: str, valid: Collection[str]) -> str:
    """' (did you mean X?)' or the list of valid names, for the end of an error message."""
    close = get_close_matches(name, list(valid), n=1, cutoff=0.5)
    return f"; did you mean {close[0]!r}?" if close else f"; valid are {sorted(valid)}"


@dataclass(frozen=True)
class AnalysisSettings:
    """Declared choices. `smallest_effect` maps an outcome to percentage points.

    `protocol` chooses among retrieval protocols where the tables hold several. `is_declared` and `declaration` are not
    settings: they say whether these choices count as declared, and what is known of when.
    """

    hypotheses: tuple[str, ...] = ()
    control: str = "none"
    contrasts: tuple[str, ...] | str = "all"
    primary: tuple[str, ...] = HEADLINES
    family: str = "outcome"
    alpha: float = 0.05
    languages: str = "random"
    smallest_effect: Mapping[str, float] = field(default_factory=dict)
    planned: tuple[str, ...] = ()
    study: str = "Small Polyglots"
    description: str = ""
    language_resources: Mapping[str, float] = field(default_factory=dict)
    covariates: tuple[str, ...] = ()
    protocol: str = ""
    is_declared: bool = True
    declaration: str = ""

    def declared(self, outcome: str, method: str) -> bool:
        """Whether this averaged contrast was declared beforehand; any other is exploratory."""
        return self.is_declared and outcome in self.primary and (self.contrasts == "all" or method in self.contrasts)

    def smallest(self, outcome: str) -> float:
        """Smallest effect of interest of an outcome, in percentage points."""
        return float(self.smallest_effect.get(outcome, self.smallest_effect.get("default", 2.0)))


def parse(values: Mapping[str, Any], source: str = "settings") -> AnalysisSettings:
    """Check `values` and return the settings.

    Raises:
        AnalysisError: an unknown key, or a value that does not fit its key.
    """
    known = [f.name for f in fields(AnalysisSettings) if f.name not in ("is_declared", "declaration")]
    for key in values:
        if key not in known:
            raise AnalysisError(f"{source}: unknown key {key!r}{nearest(key, known)}")
    given = dict(values)
    effect = given.get("smallest_effect", {})
    if isinstance(effect, (int, float)) and not isinstance(effect, bool):
        given["smallest_effect"] = {"default": effect}
    elif not isinstance(effect, Mapping):
        raise AnalysisError(f"{source}: 'smallest_effect' must be a number or outcome -> points, not {effect!r}")
    else:
        for outcome in effect:
            if outcome not in (valid := ["default", *OUTCOMES]):
                raise AnalysisError(f"{source}: smallest_effect of {outcome!r}{nearest(str(outcome), valid)}")
    for key in ("control", "study", "description", "family", "languages", "protocol"):
        if not isinstance(given.get(key, ""), str):
            raise AnalysisError(f"{source}: {key!r} must be text, not {given[key]!r}")
    resources = given.get("language_resources", {})
    if not isinstance(resources, Mapping) or not all(_is_number(v) and v >= 0 for v in resources.values()):
        raise AnalysisError(f"{source}: 'language_resources' must be language -> share, 0 or more, not {resources!r}")
    for key in ("primary", "planned", "hypotheses", "contrasts", "covariates"):
        value = given.get(key, ())
        if key == "contrasts" and value == "all":
            continue
        if not isinstance(value, (list, tuple)) or not all(isinstance(item, str) for item in value):
            raise AnalysisError(f"{source}: {key!r} must be a list of names, not {value!r}")
        if twice := sorted({item for item in value if value.count(item) > 1}):
            raise AnalysisError(f"{source}: {twice[0]!r} is twice in {key!r}")
        if key in given:
            given[key] = tuple(value)
    for outcome in given.get("primary", ()):
        if outcome not in OUTCOMES:
            raise AnalysisError(f"{source}: primary outcome {outcome!r}{nearest(outcome, OUTCOMES)}")
    settings = AnalysisSettings(**given)
    if settings.languages not in ("random", "fixed"):
        raise AnalysisError(f"{source}: 'languages' must be 'random' or 'fixed', not {settings.languages!r}")
    if settings.family not in ("outcome", "study"):
        raise AnalysisError(f"{source}: 'family' must be 'outcome' or 'study', not {settings.family!r}")
    if not isinstance(settings.alpha, float) or not 0 < settings.alpha < 0.5:
        raise AnalysisError(f"{source}: 'alpha' must be a number between 0 and 0.5, not {settings.alpha!r}")
    for outcome, points in settings.smallest_effect.items():
        if not _is_number(points) or points <= 0:
            raise AnalysisError(f"{source}: smallest effect of {outcome!r} must be above 0, not {points!r}")
    return settings


def canonical(settings: AnalysisSettings) -> dict[str, Any]:
    """Every choice by name, defaults spelled out, in one form however it was written; for JSON.

    What a choice does not depend on is left out: names, descriptions, and the languages' resources. The planned runs
    are there if they were listed.
    """
    points = {name: settings.smallest(name) for name in ("default", *OUTCOMES)}
    found: dict[str, Any] = {
        "hypotheses": list(settings.hypotheses),
        "control": settings.control,
        "contrasts": "all" if settings.contrasts == "all" else sorted(settings.contrasts),
        "primary": sorted(settings.primary),
        "family": settings.family,
        "alpha": settings.alpha,
        "languages": settings.languages,
        "smallest_effect": {n: p for n, p in points.items() if n == "default" or p != points["default"]},
        "covariates": sorted(settings.covariates),
        "protocol": settings.protocol,
    }
    return found | ({"planned": sorted(settings.planned)} if settings.planned else {})


def _is_number(value: Any) -> bool:
    try:
        return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)
    except OverflowError:  # an integer beyond the range of floats
        return False


def read(path: Path | None) -> AnalysisSettings:
    """Settings of a JSON file; all defaults, of which none counts as declared, when there is none.

    Raises:
        AnalysisError: see `read_json` and `parse`.
    """
    return parse(read_json(path), str(path)) if path is not None else AnalysisSettings(is_declared=False)


def read_json(path: Path | None) -> dict[str, Any]:
    """The values of a settings file; none without a file.

    Raises:
        AnalysisError: the file is absent or is not a JSON object.
    """
    if path is None:
        return {}
    try:
        values = json.loads(path.read_text(encoding="utf-8"), object_pairs_hook=_once)
    except FileNotFoundError:
        raise AnalysisError(f"{path}: no such file") from None
    except IsADirectoryError:
        raise AnalysisError(f"{path}: a folder, not a JSON file") from None
    except (ValueError, RecursionError) as error:
        raise AnalysisError(f"{path}: not JSON: {error}") from None
    if not isinstance(values, dict):
        raise AnalysisError(f"{path}: a JSON object is expected, not {type(values).__name__}")
    return values


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """A JSON object; of two values for one key the second would win without a word."""
    found: dict[str, Any] = {}
    for key, value in pairs:
        if key in found:
            raise ValueError(f"key {key!r} is duplicated")
        found[key] = value
    return found
