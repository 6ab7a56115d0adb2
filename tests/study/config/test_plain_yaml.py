"""A params.yaml of any bytes is read as plain values, or refused in a few short lines."""

from __future__ import annotations

import contextlib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from study.config.plain_yaml import PlainYamlError, read

BOMB = "\n".join(["a0: &a0 [x, x, x, x, x, x, x, x, x]"] + [
    f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 12)
])  # fmt: skip

WRONG = {
    "control character": ('x: "\x07"', "special characters"),
    "an escaped one": (r'x: "\a"', "U+0007"),
    "half of a pair": (r'x: "\ud800"', "U+D800"),
    "not UTF-8": (b"a: 1\nb: caf\xe9\n", "not UTF-8 (line 2, byte 0xe9)"),
    "UTF-16": ("a: 1".encode("utf-16"), "byte order mark"),
    "a mark of order": ("a: 1".encode("utf-8-sig"), "byte order mark"),
    "a date that is none": ("a: 2026-13-45", "month must be in 1..12"),
    "a date": ("a: 2026-01-05", "a is a date"),
    "many digits": ("a: " + "9" * 5000, "cannot be read"),
    "many hexadecimal digits": ("a: 0x" + "f" * 5000, "64 bits"),
    "beyond 64 bits": ("a: 9223372036854775808", "64 bits"),
    "not a number": ("a: {b: [1.0, .nan]}", "a.b.1 is nan: must be a finite number"),
    "nested lists": ("a: " + "[" * 3000 + "]" * 3000, "20 deep"),
    "nested a little": ("a: " + "[" * 30 + "]" * 30, "20 deep"),
    "nested dashes": ("- " * 5000 + "a", "20 deep"),
    "nested blocks": ("\n".join(" " * n + "a:" for n in range(500)), "20 deep"),
    "a bomb of aliases": (BOMB, "those that aliases repeat"),
    "a list of itself": ("a: &a [*a]", "20 deep"),
    "another version": ("%YAML 1.1\n---\na: no", "two ways"),
    "a set": ("a: !!set {b}", "a is a set"),
    "a key that is no text": ("a: {1: 2}", "keys are plain texts"),
    "a key of several": ("? [a, b]\n: 1", "keys are plain texts"),
    "an object of Python's": ("a: !!python/object:os.system {}", "could not determine a constructor"),
    "a tag that does not fit": ("a: !!bool maybe", "cannot be read"),
    "two documents": ("a: 1\n---\nb: 2", "another document"),
    "too long": ("a: " + "b" * 300_000, "larger than"),
    "a long text": ("a: " + "b" * 20_000, "20,000 letters"),
}


@pytest.mark.timeout(20)
@pytest.mark.parametrize(("content", "said"), WRONG.values(), ids=WRONG.keys())
def test_what_is_no_plain_yaml_is_refused_in_short_lines(content: str | bytes, said: str, tmp_path: Path) -> None:
    path = tmp_path / "params.yaml"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(PlainYamlError) as raised:
        read(path)
    assert said in str(raised.value)
    assert all(len(line) < 300 for line in str(raised.value).splitlines())


def test_a_folder_is_no_file(tmp_path: Path) -> None:
    with pytest.raises(PlainYamlError, match="cannot be read"):
        read(tmp_path)


def test_plain_values_are_what_they_were(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text("a: &x [1, 2.5, 'no', true, null]\nb: *x\nc: {no: yes, d: 'é\\n'}\n", "utf-8")
    values = [1, 2.5, "no", True, None]
    assert read(tmp_path / "a.yaml") == {"a": values, "b": values, "c": {"no": "yes", "d": "é\\n"}}


@given(st.binary(max_size=200))
def test_any_bytes_are_read_or_refused(tmp_path_factory: pytest.TempPathFactory, content: bytes) -> None:
    path = tmp_path_factory.getbasetemp() / "any.yaml"
    path.write_bytes(content)
    with contextlib.suppress(PlainYamlError):
        read(path)
