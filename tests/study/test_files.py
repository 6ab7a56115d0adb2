"""Files are whole or as they were, and a new one leaves nothing beside it."""

from __future__ import annotations

from pathlib import Path

import pytest

from study.files import replacing, write_text


def test_a_file_is_replaced_whole(tmp_path: Path) -> None:
    path = tmp_path / "inner" / "a.txt"
    write_text(path, "alt\n")
    write_text(path, "né\n")
    assert path.read_bytes() == "né\n".encode()
    assert [p.name for p in path.parent.iterdir()] == ["a.txt"]


def test_after_an_error_the_file_is_as_it_was(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    write_text(path, "whole\n")
    with pytest.raises(FileNotFoundError), replacing(path) as temporary:
        temporary.write_text((tmp_path / "nowhere").read_text())
    assert path.read_text() == "whole\n"
    assert [p.name for p in tmp_path.iterdir()] == ["a.txt"]
