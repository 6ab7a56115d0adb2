"""The real emoji corpus made small: installs the npm packages where they are not in the cache yet."""

from __future__ import annotations

import os
import unicodedata
from pathlib import Path

import pytest

from study.data import PreparedCorpus, corpus
from study.data.emoji.concepts import Chosen, choose
from study.data.emoji.packages import install
from study.data.emoji.source import PackageSource

ROOT = Path(__file__).parents[4]
CACHE = Path(os.environ.get("POLYGLOTS_CACHE", ROOT / ".cache"))
EMOJI = corpus("emoji")
SMALL = {
    "concepts": 40,
    "scenes": {"teacher": 60, "distil": 60, "validation": 30, "test": 30},
    "questions": {"validation": 16, "test": 32},
}


@pytest.fixture(scope="module")
def source() -> PackageSource:
    return PackageSource(install(CACHE))


@pytest.fixture(scope="module")
def chosen(source: PackageSource) -> Chosen:
    return choose(source, 160, 0, EMOJI.record.languages)


def test_builds_in_all_languages(tmp_path: Path, source: PackageSource) -> None:
    settings = EMOJI.Settings.model_validate(SMALL)
    record = EMOJI.record
    steps: list[str] = []
    EMOJI.build(
        settings, record.languages, record.vqa_languages, tmp_path, CACHE, lambda step, done: steps.append(step)
    )
    prepared = PreparedCorpus(tmp_path)
    prepared.verify()
    assert steps[0] == "npm packages"
    assert set(prepared.captions("test")["language"]) == set(record.languages)
    assert len(prepared.texts()) == len(record.vqa_languages) * 48
    assert prepared.images("vqa_test").std() > 10


def test_names_are_distinct_and_composed_in_every_language(chosen: Chosen) -> None:
    assert len(chosen.names) == 36
    for language, names in chosen.names.items():
        assert len({name.casefold() for name in names.values()}) == 160, language
        assert all(unicodedata.is_normalized("NFC", name) for name in names.values())


def test_groups_are_spread(chosen: Chosen) -> None:
    groups = [concept.group for concept in chosen.concepts]
    assert len(set(groups[:40])) >= 6
    assert max(groups.count(group) for group in set(groups)) <= 60


@pytest.mark.parametrize("vendor", ["fluent", "google", "openmoji", "twitter"])
def test_every_concept_is_drawn_by_every_vendor(chosen: Chosen, source: PackageSource, vendor: str) -> None:
    for concept in chosen.ids:
        art = source.art(concept, vendor)
        assert art.shape[2] == 4
        assert (art[..., 3] > 127).mean() > 0.02, (concept, vendor)
