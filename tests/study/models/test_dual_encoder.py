"""Both families: our forward pass is the library's, text handling is the family's, checkpoints are whole."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
import torch.nn.functional as F

from study import models
from study.models import checkpoint
from study.models.checkpoint import CheckpointError
from study.models.dual_encoder import DualEncoder
from study.models.open_clip.clip import Clip
from study.models.shrink import shape, shrink
from study.models.siglip.siglip2 import Siglip2
from study.models.tokenizers.vocabulary import BOS, EOS, PAD, Vocabulary
from study.names import UnknownNameError


def pixels(n: int = 3) -> torch.Tensor:
    return torch.randint(0, 256, (n, 32, 32, 3), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))


def test_clip_text_features_are_open_clips_own(vocabulary: Vocabulary, texts: list[str]) -> None:
    model = Clip.build("polyglot-s-p8-32", vocabulary, 20).eval()
    ids = model.tokenize(texts[:6])
    with torch.inference_mode():
        torch.testing.assert_close(model.text_features(ids), model.model.encode_text(ids, normalize=True))
    assert set(ids[:, 0].tolist()) == {BOS}


def test_siglip2_features_are_transformers_own(vocabulary: Vocabulary, texts: list[str]) -> None:
    model = Siglip2.build("polyglot-s-p8-32", vocabulary, 20).eval()
    ids = model.tokenize(texts[:6])
    images = pixels().permute(0, 3, 1, 2).float() / 127.5 - 1.0
    with torch.inference_mode():
        theirs = model.model(input_ids=ids, pixel_values=images)
        torch.testing.assert_close(model.text_features(ids), theirs.text_embeds)
        torch.testing.assert_close(model.image_features(pixels()), theirs.image_embeds)
    assert BOS not in ids
    assert ids.shape[1] == 20


def test_siglip2_loss_is_transformers_own(vocabulary: Vocabulary, texts: list[str]) -> None:
    model = Siglip2.build("polyglot-s-p8-32", vocabulary, 20).eval()
    ids, images = model.tokenize(texts[:3]), pixels().permute(0, 3, 1, 2).float() / 127.5 - 1.0
    theirs = model.model(input_ids=ids, pixel_values=images, return_loss=True).loss
    ours = model.image_text_loss(model.image_features(pixels()), model.text_features(ids)).mean()
    torch.testing.assert_close(ours, theirs)


def test_temperatures_are_exponentiated(teacher: DualEncoder) -> None:
    a, b = (F.normalize(torch.randn(4, teacher.embedding_width), dim=-1) for _ in range(2))
    before = teacher.image_text_loss(a, b)
    with torch.no_grad():
        teacher.temperature_parameters()[0].add_(1.0)
    assert not torch.allclose(before, teacher.image_text_loss(a, b))
    expected = {"clip": 1 / 0.07, "siglip2": 10.0}[teacher.family] * 2.718281828
    scale = next(value for name, value in teacher.temperature.items() if name.endswith("logit_scale"))
    assert scale == pytest.approx(expected, rel=1e-5)


def test_text_is_lower_cased_padded_and_ends_with_eos(teacher: DualEncoder) -> None:
    upper, lower = teacher.tokenize(["RED, Green", "red, green"])
    assert torch.equal(upper, lower)
    length = int((upper != PAD).sum())
    assert upper[length - 1] == EOS
    assert (upper[length:] == PAD).all()


def test_the_hidden_states_are_there_for_every_layer(teacher: DualEncoder, texts: list[str]) -> None:
    ids = teacher.tokenize(texts[:4])
    output = teacher.text_output(ids)
    assert len(output.hidden) == teacher.text_layers + 1
    torch.testing.assert_close(output.features, teacher.text_features(ids))
    assert output.mask.shape == output.hidden[0].shape[:2]


def test_the_towers_hold_all_parameters_but_the_temperature(teacher: DualEncoder) -> None:
    parts = [
        *teacher.text_module().parameters(),
        *teacher.image_module().parameters(),
        *teacher.temperature_parameters(),
    ]
    assert {id(p) for p in parts} == {id(p) for p in teacher.parameters()}


@pytest.mark.parametrize("images", [True, False])
def test_a_checkpoint_gives_the_same_model_again(
    images: bool, teacher: DualEncoder, texts: list[str], tmp_path: Path
) -> None:
    student = shrink(teacher, shape(teacher, 0.9, "text"), texts, "teacher", ("init", 0)).eval()
    student.save(tmp_path, images=images)
    again = checkpoint.load(tmp_path, teacher)
    with torch.inference_mode():
        ids = student.tokenize(texts[:5])
        assert torch.equal(again.text_features(again.tokenize(texts[:5])), student.text_features(ids))
        assert torch.equal(again.image_features(pixels()), student.image_features(pixels()))
    assert checkpoint.has_images(tmp_path) == images
    if not images:
        with pytest.raises(CheckpointError, match="teacher to take it from"):
            checkpoint.load(tmp_path)


def test_what_reads_texts_alone_reads_the_same_and_sees_nothing(
    teacher: DualEncoder, texts: list[str], tmp_path: Path
) -> None:
    student = shrink(teacher, shape(teacher, 0.9, "text"), texts, "teacher", ("init", 0)).eval()
    teacher.save(tmp_path / "teacher")
    student.save(tmp_path / "student", images=False)
    outline = checkpoint.build_on_meta(tmp_path / "teacher")
    assert all(parameter.is_meta for parameter in outline.parameters())
    again = checkpoint.load_text(tmp_path / "student", tmp_path / "teacher")
    with torch.inference_mode():
        ids = student.tokenize(texts[:5])
        assert torch.equal(again.text_features(again.tokenize(texts[:5])), student.text_features(ids))
    assert not any(parameter.is_meta for parameter in again.text_module().parameters())
    assert all(parameter.is_meta for parameter in again.image_module().parameters())
    with pytest.raises(RuntimeError, match="meta"):
        again.image_features(pixels()).numpy()
    with pytest.raises(CheckpointError, match="load it whole"):
        checkpoint.load_text(tmp_path / "teacher", tmp_path / "teacher")
    (tmp_path / "student" / "model.safetensors").unlink()
    with pytest.raises(CheckpointError, match="not whole"):
        checkpoint.load_text(tmp_path / "student", tmp_path / "teacher")
    card = (tmp_path / "teacher" / "config.json").read_text()
    other = {"clip": "siglip2", "siglip2": "clip"}[teacher.family]
    (tmp_path / "teacher" / "config.json").write_text(card.replace(f'"{teacher.family}"', f'"{other}"'))
    with pytest.raises(CheckpointError, match=f"of family {teacher.family}, .*teacher is {other}"):
        checkpoint.load_text(tmp_path / "student", tmp_path / "teacher")


def test_broken_checkpoints_are_refused(teacher: DualEncoder, tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=r"config\.json"):
        checkpoint.load(tmp_path)
    teacher.save(tmp_path)
    weights = tmp_path / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:1000])
    with pytest.raises(CheckpointError, match="not whole"):
        checkpoint.load(tmp_path)


def test_unknown_families_and_configurations_name_the_nearest(vocabulary: Vocabulary) -> None:
    with pytest.raises(UnknownNameError, match="did you mean 'siglip2'"):
        models.family("siglip")
    for kind in (Clip, Siglip2):
        with pytest.raises(UnknownNameError, match="polyglot-s-p8-32"):
            kind.build("polyglot-s-p8-23", vocabulary, 20)
