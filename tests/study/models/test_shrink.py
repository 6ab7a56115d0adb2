"""A student is exactly its teacher's chosen layers and token rows, and has the size it says."""

from __future__ import annotations

import pytest
import torch

from study.models.dual_encoder import DualEncoder
from study.models.shape import SizeError, matched_layers
from study.models.shrink import shape, shrink, summary

STREAM = ("init", "clip", "half", 0)


def test_layers_are_evenly_spaced_and_the_last_is_kept() -> None:
    assert matched_layers(4, 2) == [1, 3]
    assert matched_layers(4, 1) == [3]
    assert matched_layers(12, 6) == [1, 3, 5, 7, 9, 11]
    assert matched_layers(3, 3) == [0, 1, 2]
    for deep in range(1, 14):
        for shallow in range(1, deep + 1):
            chosen = matched_layers(deep, shallow)
            assert len(set(chosen)) == shallow
            assert chosen == sorted(chosen)
            assert chosen[-1] == deep - 1
    with pytest.raises(ValueError, match="cannot take 5 layers from 4"):
        matched_layers(4, 5)


def test_the_size_is_the_fraction_of_the_text_tower(teacher: DualEncoder, texts: list[str]) -> None:
    fraction = 0.9
    student = shrink(teacher, shape(teacher, fraction, "text"), texts, "teacher", STREAM)
    counts = summary(student, teacher)
    assert counts["text_fraction"] == pytest.approx(fraction, abs=0.005)
    assert counts["text_parameters"] == sum(p.numel() for p in student.text_module().parameters())
    assert counts["image_parameters"] == sum(p.numel() for p in teacher.image_module().parameters())
    assert counts["parameters"] < sum(p.numel() for p in teacher.parameters())


def test_a_size_without_room_for_a_vocabulary_is_refused(teacher: DualEncoder) -> None:
    with pytest.raises(SizeError, match="tokens"):
        shape(teacher, 0.05, "text")
    with pytest.raises(SizeError, match="must be a fraction"):
        shape(teacher, 1.5, "text")


def test_a_student_of_full_size_is_the_teacher(teacher: DualEncoder, texts: list[str]) -> None:
    student = shrink(teacher, shape(teacher, 1.0, "text"), texts, "teacher", STREAM).eval()
    with torch.inference_mode():
        torch.testing.assert_close(
            student.text_features(student.tokenize(texts[:9])), teacher.text_features(teacher.tokenize(texts[:9]))
        )


def test_kept_rows_and_layers_are_the_teachers(teacher: DualEncoder, texts: list[str]) -> None:
    target = shape(teacher, 0.62, "both")
    student = shrink(teacher, target, texts, "teacher", STREAM)
    _, old = teacher.vocabulary.trim(target.vocabulary, texts)
    assert torch.equal(student.token_table().weight, teacher.token_table().weight[torch.from_numpy(old)])
    own, theirs = student.state_dict(), teacher.state_dict()
    for tower, deep, shallow in (
        ("text", teacher.text_layers, target.text_layers),
        ("image", teacher.image_layers, target.image_layers),
    ):
        prefix = teacher.layer_prefixes()[tower]
        for new, source in enumerate(matched_layers(deep, shallow)):
            names = [n.removeprefix(f"{prefix}{new}.") for n in own if n.startswith(f"{prefix}{new}.")]
            assert names
            assert all(torch.equal(own[f"{prefix}{new}.{n}"], theirs[f"{prefix}{source}.{n}"]) for n in names)


def test_random_initialisation_follows_its_stream_alone(teacher: DualEncoder, texts: list[str]) -> None:
    target = shape(teacher, 0.9, "text")
    first = shrink(teacher, target, texts, "random", STREAM).state_dict()
    torch.rand(7)  # the global generator must not matter
    again = shrink(teacher, target, texts, "random", STREAM).state_dict()
    other = shrink(teacher, target, texts, "random", (*STREAM[:-1], 1)).state_dict()
    assert all(torch.equal(first[name], again[name]) for name in first)
    assert any(not torch.equal(first[name], other[name]) for name in first)
    theirs = teacher.image_module().state_dict()
    assert all(any(torch.equal(tensor, mine) for mine in first.values()) for tensor in theirs.values())
