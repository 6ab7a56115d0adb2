"""The towers of a teacher, counted without its library, are those that the library builds."""

from __future__ import annotations

import pytest

from study.config.schedule import Schedule
from study.config.teacher import TeacherSpec
from study.models import CONFIGURATIONS, TRAINABLE, trainable
from study.models.dual_encoder import count
from study.models.shrink import measured
from study.models.tokenizers.vocabulary import Vocabulary
from study.models.trained_sizes import towers_of

SCHEDULE = Schedule(steps=1, batch=2, learning_rate=0.1)
MODELS = [(family, path.stem) for family in TRAINABLE for path in sorted(CONFIGURATIONS[family].glob("*.json"))]


@pytest.mark.parametrize("context", [8, 33])
@pytest.mark.parametrize(("family", "model"), MODELS)
def test_counts_are_those_of_the_model_that_is_built(family: str, model: str, context: int) -> None:
    vocabulary = Vocabulary.train((f"word {n} of many {n * n}" for n in range(500)), 350)
    spec = TeacherSpec(family=family, model=model, vocabulary=len(vocabulary), context=context, training=SCHEDULE)
    built, counted = trainable(family).build(model, vocabulary, context), towers_of(spec)
    assert counted is not None
    assert counted.text == measured(built)
    assert counted.image == count(built.image_module())
    assert (counted.patches, counted.embedding) == (built.image_tokens, built.embedding_width)


def test_a_configuration_of_the_library_is_not_counted() -> None:
    assert towers_of(TeacherSpec(family="clip", model="ViT-B-32", vocabulary=300, context=8, training=SCHEDULE)) is None
