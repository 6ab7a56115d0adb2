"""A short run of benchmarks/fuzz.py: mutated files end in success or in plain lines, none in a hang or a crash."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.fuzzing import inputs, parameters
from tests.fuzzing.corpus_inputs import CORPORA
from tests.fuzzing.inputs import Kind
from tests.fuzzing.model_inputs import MODELS
from tests.fuzzing.outcome import Result, is_plain
from tests.fuzzing.stage_inputs import STAGES

PARAMETERS = 80
EACH = 2
"""Files of a kind; the long run tries hundreds."""
WITHOUT_TORCH = {"default": 2, "smoke": 2, "paper": 1}


def fine(result: Result | None) -> bool:
    return result is None or result.verdict in ("accepted", "refused")


def test_parameter_files_are_accepted_or_refused_in_lines(tmp_path: Path) -> None:
    parameters.lay_out(tmp_path, WITHOUT_TORCH)
    seen = set()
    for number in range(PARAMETERS):
        mutant = parameters.mutant(1, number, WITHOUT_TORCH)
        found = parameters.checked(tmp_path, mutant)
        assert fine(found), f"case {number} of seed 1: {found.said}\n{mutant.content!r}"
        seen.add(found.verdict)
    assert seen == {"accepted", "refused"}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("kinds")


@pytest.mark.parametrize("kind", [*CORPORA, *MODELS, *STAGES], ids=lambda kind: kind.name)
def test_input_files_are_read_or_refused_in_lines(kind: Kind, folder: Path) -> None:
    place = inputs.lay_out(kind, folder)
    valid = inputs.Mutated(kind, (place / kind.file).read_bytes())
    assert [result.verdict for result in inputs.tried(valid, place) if result is not None].count("accepted") >= 1
    for number in range(EACH):
        mutated = inputs.mutated(1, number, kind, place)
        first, later = inputs.tried(mutated, place)
        assert fine(first), f"case {number} of seed 1: {first.said}\n{mutated.content[:500]!r}"
        assert later is None or later.verdict == "accepted", f"case {number} of seed 1, later: {later.said}"
    assert (place / kind.file).read_bytes() == valid.content


def test_the_same_number_is_the_same_file(tmp_path: Path) -> None:
    kind = next(kind for kind in CORPORA if kind.name == "image PNG")
    place = inputs.lay_out(kind, tmp_path)
    assert inputs.mutated(3, 5, kind, place) == inputs.mutated(3, 5, kind, place)
    assert inputs.mutated(3, 5, kind, place) != inputs.mutated(3, 6, kind, place)
    assert parameters.mutant(3, 5) == parameters.mutant(3, 5)


def test_what_no_terminal_can_show_is_no_plain_line() -> None:
    assert is_plain("params.yaml: grid is 3\nparams.yaml: corpus is 4")
    assert not any(map(is_plain, ("", "a\x1b[31m", "a" * 5000, "a\n" * 500)))
