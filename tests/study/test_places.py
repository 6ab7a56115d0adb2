"""Names that no file can have, and lists of names too long to be read."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import TypeAdapter, ValidationError

from study import places
from study.data.base import CorpusError
from study.data.manifest.settings import ManifestSettings
from study.data.published.settings import PublishedSettings
from study.models.errors import PretrainedError, reading
from study.names import hint


@pytest.mark.parametrize("path", ["", "x" * 300, f"a/{'ä' * 130}/b", "a\0b", "a/" * 600])
def test_a_path_that_cannot_be_is_refused_where_it_is_declared(path: str) -> None:
    with pytest.raises(ValidationError):
        TypeAdapter(places.Declared).validate_python(path)
    with pytest.raises(ValidationError):
        PublishedSettings.model_validate({"test": {"source": "crossmodal3600", "path": path}})


@pytest.mark.parametrize("name", ["x" * 300 + ".png", f"{'x' * 300}/a.png", "a\0.png", "a\0/b.png"])
def test_an_image_that_cannot_be_is_no_image_of_that_row(name: str, tmp_path: Path) -> None:
    table = tmp_path / "captions.csv"
    table.write_text(f"image,language,text,split\n{name},en,a dog,test\n")
    with pytest.raises(CorpusError, match=r"row 2: there is no image"):
        ManifestSettings(captions=str(table)).known_languages()


def test_shards_are_counted_within_bounds() -> None:
    part = {"source": "webdataset", "path": "data/{0..999999999999}.tar"}
    with pytest.raises(CorpusError, match="counts more than 100,000 shards"):
        PublishedSettings.model_validate({"test": part}).known_languages()


def test_a_long_list_of_names_is_cut_to_the_closest() -> None:
    said = hint("model-117", [f"model-{number:03}" for number in range(200)])
    assert said.startswith("; did you mean 'model-117'? Allowed: model-117, ")
    assert said.endswith(" and 190 more")
    assert hint("x", ["b", "a"]) == " Allowed: a, b"


def test_a_librarys_error_names_the_checkpoint_and_ours_pass() -> None:
    with (
        pytest.raises(PretrainedError, match=r"^data/model: cannot be read: KeyError: 'text'$") as raised,
        reading("data/model"),
    ):
        raise KeyError("text")
    assert isinstance(raised.value.__cause__, KeyError)
    with pytest.raises(PretrainedError, match=r"^as it is$"), reading("data/model"):
        raise PretrainedError("as it is")
    with pytest.raises(MemoryError), reading("data/model"):
        raise MemoryError
