"""The towers of a teacher, counted without its library, are those that the library builds."""

from __future__ import annotations

import pytest

from study.models import CONFIGURATIONS, TRAINABLE, trainable
from study.models.dual_encoder import count
from study.models.shrink import measured
from study.models.tokenizers.vocabulary import Vocabulary
from study.models.trained_sizes import towers_of

MODELS = [(family, path.stem) for family in TRAINABLE for path in sorted(CONFIGURATIONS[family].glob("*.json"))]


@pytest.mark.parametrize("context", [8, 33])
@pytest.mark.parametrize(("family", "model"), MODELS)
def test_counts_are_those_of_the_model_that_is_built(family: str, model: str, context: int) -> None:
    vocabulary = Vocabulary.train((f"word {n} of many {n * n}" for n in range(500)), 350)
    built = trainable(family).build(model, vocabulary, context)
    counted = towers_of(family, model, len(vocabulary), context)
    assert counted is not None
    assert counted.text == measured(built)
    assert counted.image == count(built.image_module())
    assert (counted.patches, counted.embedding) == (built.image_tokens, built.embedding_width)


def test_a_configuration_of_the_library_is_not_counted() -> None:
    assert towers_of("clip", "ViT-B-32", 300, 8) is None
