"""A model card shows what others wrote as text."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from typing import Any

import markdown as renderer
import pandas as pd
import pytest
from ruamel.yaml import YAML

from study.data.prepared import DatasetCard, LicenceCard
from study.export import markdown
from study.export.card import model_card
from study.export.description import Description

HOSTILE = (
    "<script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    "![x](https://example.invalid/seen.png)",
    "[click](javascript:alert(1))",
    "one\n\n# A heading\n\n<b onclick='x'>two</b>",
    "[x]: https://example.invalid\n[x]",
    "a | b `c` &lt;i&gt; <https://example.invalid>",
    '"\n---\nlicense: mit\n---\n',
)


class Elements(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.found: set[str] = set()

    def handle_starttag(self, tag: str, attrs: Any) -> None:
        self.found |= {tag, *(name for name, _ in attrs)}


def card(hostile: str) -> str:
    corpus = DatasetCard(
        layout=1, corpus="manifest", description=hostile, source=hostile, revision=hostile,
        licences=[LicenceCard(covers=hostile, name=hostile, attribution=hostile)], in_domain=hostile,
        out_of_domain=hostile, notes=[hostile], languages=["en"], vqa_languages=["en"], settings={"distil": [hostile]},
        images={}, captions={}, questions={}, facts={}, files={}, content="",
    )  # fmt: skip
    row: dict[str, float] = dict.fromkeys(
        ("parameters", "text_parameters", "text_vocabulary_parameters", "image_parameters"), 1
    )
    row |= {"vocabulary": 1, "seed": 0, "steps": 1, "items": 1, "learning_rate": 0.1, "text_fraction": 0.5}
    words = {"role": "student", "method": hostile, "towers": "text", "size": "half", "fingerprint": "0f"}
    taught = {"family": "clip", "checkpoint": hostile, "revision": hostile, "licence": hostile}
    about = Description(
        run={"cell": "clip-half-ed-s0", "row": row | words, "settings": {"objectives": {hostile: {"weight": hostile}}},
             "versions": {"torch": hostile}},
        teacher={"cell": "clip-teacher", "settings": taught, "checkpoint": {"compared": hostile, "assumed": [hostile]}},
        corpus=corpus, scores=pd.DataFrame([[1.0] * 3], ["en"], ["text to image", "image to text", "vqa"]),
        no_scores="", library="open_clip", load="model = load()", remarks=["as it is"], family="clip", context=8,
        image_size=8,
    )  # fmt: skip
    return model_card(about)


@pytest.mark.parametrize("hostile", HOSTILE)
def test_a_hostile_string_adds_no_element(hostile: str) -> None:
    def parts(text: str) -> tuple[set[str], int, Any]:
        _, front, body = text.split("---\n", 2)
        elements = Elements()
        elements.feed(renderer.markdown(body, extensions=["tables", "fenced_code"]))
        return elements.found, len(re.findall(r"^#", body, re.MULTILINE)), YAML(typ="safe").load(front).keys()

    plain, found = parts(card("plain")), parts(card(hostile))
    assert found[0] - {"code"} == plain[0] - {"code"}
    assert found[1:] == plain[1:]


def test_text_keeps_what_is_no_markup() -> None:
    kept = "© A & B, *emphasis*, `code`, https://example.org, [sic], 2 > 1"
    assert markdown.text(kept) == kept
    assert markdown.text(" a\n  <b>") == "a &lt;b>"
