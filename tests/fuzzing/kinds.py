"""All kinds of input files, and which of them is case `number` of a run."""

from __future__ import annotations

from collections.abc import Sequence

from tests.fuzzing.corpus_inputs import CORPORA
from tests.fuzzing.inputs import Kind
from tests.fuzzing.model_inputs import MODELS
from tests.fuzzing.stage_inputs import STAGES

KINDS: Sequence[Kind] = (*CORPORA, *MODELS, *STAGES)


def shares(files: int, kinds: Sequence[Kind] = KINDS) -> dict[str, int]:
    """How many of so many files are of each kind; one at least."""
    total = sum(kind.share for kind in kinds)
    return {kind.name: max(1, round(files * kind.share / total)) for kind in kinds}
