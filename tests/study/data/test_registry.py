"""Whatever corpus is registered: its record is whole and names are refused helpfully."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from study.data import CORPORA, CorpusError, corpus
from study.data.base import check_languages


@pytest.mark.parametrize("name", CORPORA)
def test_record_is_whole(name: str) -> None:
    record = corpus(name).record
    assert record.name == name
    assert all((record.description, record.source, record.revision, record.in_domain, record.out_of_domain))
    assert record.licences
    assert all(licence.covers and licence.name and licence.attribution for licence in record.licences)
    assert len(set(record.languages)) == len(record.languages)
    assert set(record.vqa_languages) <= set(record.languages)


@pytest.mark.parametrize("name", CORPORA)
def test_settings_have_defaults_survive_json_and_refuse_unknown_keys(name: str) -> None:
    settings = corpus(name).Settings()
    assert corpus(name).Settings.model_validate(settings.model_dump(mode="json")) == settings
    with pytest.raises(ValidationError, match="no_such_setting"):
        corpus(name).Settings.model_validate({"no_such_setting": 1})


def test_unknown_corpus_is_refused_with_the_nearest_name() -> None:
    with pytest.raises(CorpusError, match=r"unknown corpus 'emojy'; did you mean emoji\?"):
        corpus("emojy")


def test_unknown_language_is_refused_with_the_nearest_name() -> None:
    with pytest.raises(CorpusError, match=r"unknown language 'fill'; did you mean fil"):
        check_languages(["en", "fill"], CORPORA["emoji"].record.languages, "languages")
    with pytest.raises(CorpusError, match="given more than once: en"):
        check_languages(["en", "en"], ("en",), "languages")
