"""Where names and artwork come from: the npm packages, or anything of the same shape (tests)."""

from __future__ import annotations

import io
import json
import unicodedata
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import resvg_py
from PIL import Image

from study.data.base import CorpusError

CLDR_NAMES = {"quz": "qu"}
"""Crossmodal-3600's code to CLDR's, where they differ."""

SVG_PIXELS = 144
FALLBACKS = {"no": ("nb",), "he": ("iw",), "fil": ("tl",)}
VARIATION_SELECTOR = "\ufe0f"


@dataclass(frozen=True)
class Concept:
    """Something that can be in a scene. `id` is the code point in hexadecimal, as in the file names."""

    id: str
    group: str
    subgroup: str


class EmojiSource(Protocol):
    """Concepts that may be chosen, their names in every language, their artwork."""

    @property
    def candidates(self) -> list[Concept]: ...

    def names(self, language: str) -> dict[str, str]:
        """Concept id -> name (NFC); concepts without a name are left out."""
        ...

    def art(self, concept: str, vendor: str) -> np.ndarray:
        """uint8 [h, w, 4], straight alpha."""
        ...


class PackageSource:
    """Reads the folder `node_modules` of `packages.install`."""

    def __init__(self, modules: Path) -> None:
        self.modules = modules

    @cached_property
    def _emoji(self) -> dict[str, dict[str, Any]]:
        entries = json.loads((self.modules / "emoji-datasource-google" / "emoji.json").read_text(encoding="utf-8"))
        return {_id(entry): entry for entry in entries}

    @cached_property
    def _openmoji(self) -> dict[str, Path]:
        """Concept id -> SVG: OpenMoji's file names have the variation selector in some cases only."""
        folder = self.modules / "openmoji" / "color" / "svg"
        return {path.stem.lower().replace("-fe0f", ""): path for path in sorted(folder.glob("*.svg"))}

    @cached_property
    def _fluent(self) -> dict[str, str]:
        """Concept id -> SVG: Iconify's file has the icons' bodies by name, and beside it the names by code point."""
        folder = self.modules / "@iconify-json" / "fluent-emoji-flat"
        icons = json.loads((folder / "icons.json").read_text(encoding="utf-8"))
        names = json.loads((folder / "chars.json").read_text(encoding="utf-8"))
        start = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {icons["width"]} {icons["height"]}">'
        return {
            characters.replace("-fe0f", ""): f"{start}{icons['icons'][name]['body']}</svg>"
            for characters, name in sorted(names.items())
            if name in icons["icons"]
        }

    @property
    def candidates(self) -> list[Concept]:
        """Everything that all four vendors have drawn, in Unicode's order."""
        found = [
            (entry["sort_order"], Concept(id_, entry["category"], entry["subcategory"]))
            for id_, entry in self._emoji.items()
            if entry["has_img_google"] and entry["has_img_twitter"] and id_ in self._openmoji and id_ in self._fluent
        ]
        return [concept for _, concept in sorted(found, key=lambda pair: pair[0])]

    def names(self, language: str) -> dict[str, str]:
        own = CLDR_NAMES.get(language, language)
        names: dict[str, str] = {}
        for tag in reversed((own, *FALLBACKS.get(language, ()))):
            for package, key in (
                ("cldr-annotations-derived-full", "annotationsDerived"),
                ("cldr-annotations-full", "annotations"),
            ):
                path = self.modules / package / key / tag / "annotations.json"
                if path.is_file():
                    names |= _short_names(json.loads(path.read_text(encoding="utf-8"))[key]["annotations"])
        if not names:
            raise CorpusError(f"CLDR has no names in {language!r}")
        return names

    def art(self, concept: str, vendor: str) -> np.ndarray:
        if vendor == "openmoji":
            png = _rasterised(self._openmoji[concept].read_text(encoding="utf-8"))
        elif vendor == "fluent":
            png = _rasterised(self._fluent[concept])
        else:
            image = self._emoji[concept]["image"]
            png = (self.modules / f"emoji-datasource-{vendor}" / "img" / vendor / "64" / image).read_bytes()
        with Image.open(io.BytesIO(png)) as picture:
            return np.asarray(picture.convert("RGBA"))


def _rasterised(svg: str) -> bytes:
    """PNG of a square drawing."""
    return bytes(resvg_py.svg_to_bytes(svg_string=svg, width=SVG_PIXELS, height=SVG_PIXELS, skip_system_fonts=True))


def _id(entry: dict[str, Any]) -> str:
    return str(entry["unified"]).lower().replace("-fe0f", "")


def _short_names(annotations: dict[str, dict[str, list[str]]]) -> dict[str, str]:
    """The names for text-to-speech, by concept id; single marks of inheritance are no names."""
    names = {}
    for characters, entry in annotations.items():
        name = unicodedata.normalize("NFC", entry["tts"][0]).strip() if entry.get("tts") else ""
        if name and "↑" not in name:
            id_ = "-".join(f"{ord(c):04x}" for c in characters if c != VARIATION_SELECTOR)
            names[id_] = name
    return names
