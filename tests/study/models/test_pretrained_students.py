"""Students of published teachers: the size they say, the teacher's layers and rows, and its texts unchanged."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from study.config.student import StudentSpec
from study.data.prepared import PreparedCorpus
from study.distill.embeddings import write_embeddings
from study.distill.student import StudentConfig, distil, initial_student
from study.models import checkpoint, pretrained_family
from study.models.dual_encoder import Pretrained
from study.models.shape import Shape, SizeError, matched_layers
from study.models.shrink import shape, shrink, summary
from tests.study.models.checkpoints import models
from tests.study.models.checkpoints.tokenizers import ALL, CAPTIONS, write_xlm_roberta

STREAM = ("init", "published", "half", 0)
CORPUS = [*CAPTIONS["en"], *CAPTIONS["de"], *CAPTIONS["ru"]]
Checkpoints = Callable[[str], Path]


@pytest.fixture(scope="module", params=models.TEACHERS)
def teacher(request: pytest.FixtureRequest, checkpoints: Checkpoints) -> Pretrained:
    model = pretrained_family(models.family(request.param)).fetch(str(checkpoints(request.param)), None)
    return model.requires_grad_(False)


def row(teacher: Pretrained) -> float:
    """One row of the token table, as a fraction of the text tower."""
    return teacher.token_table().embedding_dim / teacher.text_counts().total


@pytest.mark.parametrize("fraction", [0.55, 0.7, 0.9])
def test_a_fraction_is_true_to_a_row_of_the_token_table(teacher: Pretrained, fraction: float) -> None:
    target = shape(teacher, fraction, "text")
    student = shrink(teacher, target, ALL, "teacher", STREAM)
    told = summary(student, teacher)
    counted = sum(p.numel() for p in student.text_module().parameters()) / teacher.text_counts().total
    assert told["text_fraction"] == pytest.approx(counted)
    assert fraction - row(teacher) <= counted <= fraction
    assert told["vocabulary"] == target.vocabulary == student.token_table().num_embeddings
    assert target.image_layers == teacher.image_layers


def test_where_no_depth_fits_the_possible_fractions_are_said(teacher: Pretrained) -> None:
    with pytest.raises(SizeError, match=r"possible are (0\.\d+ to [0-9.]+(, )?)+$") as raised:
        shape(teacher, 0.02, "text")
    for part in str(raised.value).rpartition("possible are ")[2].split(", "):
        low, high = map(float, part.split(" to "))
        for fraction in (low, (low + high) / 2, high):
            student = shrink(teacher, shape(teacher, fraction, "text"), ALL, "random", STREAM)
            spare = teacher.token_table().num_embeddings - len(teacher.vocabulary)
            told = summary(student, teacher)["text_fraction"]
            assert fraction - (1 + spare) * row(teacher) <= told <= fraction


def test_a_trimmed_student_of_full_depth_reads_the_corpus_as_its_teacher(teacher: Pretrained) -> None:
    vocabulary = len(teacher.vocabulary) - 60
    target = Shape(teacher.text_layers, teacher.image_layers, vocabulary)
    student = shrink(teacher, target, CORPUS, "teacher", STREAM).eval()
    _, old_ids = teacher.vocabulary.trim(vocabulary, CORPUS)
    with torch.inference_mode():
        ids = student.tokenize(CORPUS)
        assert torch.equal(torch.from_numpy(old_ids)[ids], teacher.tokenize(CORPUS))
        theirs = teacher.text_output(teacher.tokenize(CORPUS))
        ours = student.text_output(ids)
        pixels = torch.full((1, teacher.fit.size, teacher.fit.size, 3), 99, dtype=torch.uint8)
        torch.testing.assert_close(student.image_features(pixels), teacher.image_features(pixels))
    torch.testing.assert_close(ours.features, theirs.features, atol=1e-6, rtol=0)
    assert torch.equal(ours.mask, theirs.mask)
    assert student.token_table().num_embeddings == len(student.vocabulary) == vocabulary
    assert len(ours.hidden) == teacher.text_layers + 1


def test_special_ids_move_with_the_vocabulary(teacher: Pretrained) -> None:
    student: Any = shrink(teacher, shape(teacher, 0.6, "text"), CORPUS, "teacher", STREAM)
    config, tokens = student.config, student.vocabulary
    if "text" in config:  # an encoder of transformers within open_clip
        assert config["text"]["vocab_size"] == len(tokens)
        assert config["text"]["pad_token_id"] == tokens.pad
        assert config["text"]["eos_token_id"] == tokens.eos
    elif student.family == "open_clip":
        text = config["model"]["text_cfg"]
        assert (text["vocab_size"], text["pad_id"]) == (len(tokens), tokens.pad)
        assert text.get("eos_id", tokens.eos) == tokens.eos
    else:
        text = config["model"]["text_config"]
        assert (text["vocab_size"], text["pad_token_id"]) == (len(tokens), tokens.pad)
        assert text["eos_token_id"] == tokens.eos


def test_layers_of_both_towers_are_the_teachers(teacher: Pretrained, tmp_path: Path) -> None:
    target = shape(teacher, 0.6, "both")
    student = shrink(teacher, target, CORPUS, "teacher", STREAM).eval()
    assert (student.text_layers, student.image_layers) == (target.text_layers, target.image_layers)
    assert target.image_layers < teacher.image_layers
    own, theirs = student.state_dict(), teacher.state_dict()
    for tower, deep, shallow in (
        ("text", teacher.text_layers, target.text_layers),
        ("image", teacher.image_layers, target.image_layers),
    ):
        prefix = teacher.layer_prefixes()[tower]
        for new, source in enumerate(matched_layers(deep, shallow)):
            names = [name.removeprefix(f"{prefix}{new}.") for name in own if name.startswith(f"{prefix}{new}.")]
            assert names
            assert all(torch.equal(own[f"{prefix}{new}.{n}"], theirs[f"{prefix}{source}.{n}"]) for n in names)
    student.save(tmp_path)
    again = checkpoint.load(tmp_path)
    pixels = torch.full((1, teacher.fit.size, teacher.fit.size, 3), 99, dtype=torch.uint8)
    with torch.inference_mode():
        ids = student.tokenize(CORPUS)
        assert torch.equal(again.text_features(again.tokenize(CORPUS)), student.text_features(ids))
        assert torch.equal(again.image_features(pixels), student.image_features(pixels))


def test_a_student_without_images_is_read_beside_its_teacher(teacher: Pretrained, tmp_path: Path) -> None:
    student = shrink(teacher, shape(teacher, 0.6, "text"), CORPUS, "teacher", STREAM).eval()
    student.save(tmp_path, images=False)
    again = checkpoint.load(tmp_path, teacher)
    assert all(torch.equal(a, b) for a, b in zip(again.parameters(), student.parameters(), strict=True))


def test_random_initialisation_follows_its_stream(teacher: Pretrained) -> None:
    target = shape(teacher, 0.6, "text")
    first, again = (shrink(teacher, target, CORPUS, "random", STREAM).state_dict() for _ in range(2))
    assert all(torch.equal(first[name], again[name]) for name in first)
    other = shrink(teacher, target, CORPUS, "random", (*STREAM, 1)).state_dict()
    assert any(not torch.equal(first[name], other[name]) for name in first)


def test_spare_rows_of_the_table_go_and_it_is_said(tmp_path: Path) -> None:
    folder = models.open_clip_xlm_roberta(tmp_path / "spare", write_xlm_roberta(tmp_path / "own"), spare_rows=40)
    teacher = pretrained_family("open_clip").fetch(str(folder), None)
    student = shrink(teacher, shape(teacher, 1.0, "text"), ALL, "teacher", STREAM).eval()
    told = summary(student, teacher)
    assert told["vocabulary"] == len(teacher.vocabulary) == teacher.token_table().num_embeddings - 40
    assert told["text_fraction"] == pytest.approx(1 - 40 * row(teacher))
    with torch.inference_mode():
        ours = student.text_features(student.tokenize(ALL))
        torch.testing.assert_close(ours, teacher.text_features(teacher.tokenize(ALL)))


@pytest.mark.parametrize("name", ["open_clip_xlm_roberta", "transformers_siglip2"])
def test_students_are_distilled_and_two_trainings_agree(
    name: str, checkpoints: Checkpoints, corpus: PreparedCorpus, tmp_path: Path
) -> None:
    teacher = pretrained_family(models.family(name)).fetch(str(checkpoints(name)), None).requires_grad_(False)
    write_embeddings(teacher, corpus, tmp_path, torch.device("cpu"), layers=True)
    training = {"steps": 4, "batch": 8, "learning_rate": 0.01}
    spec = StudentSpec.model_validate({"towers": "both", "training": training})
    corner = StudentConfig("published", "half", 0.55, 0, {"fd": {"layers": True}, "task": {}}, spec)
    first, again = (distil(corner, teacher, corpus, tmp_path, torch.device("cpu"))[0] for _ in range(2))
    start = initial_student(teacher, corner, corpus_texts(corpus)).state_dict()
    state = first.state_dict()
    assert all(torch.equal(tensor, state[key]) for key, tensor in again.state_dict().items())
    for prefix in first.layer_prefixes().values():
        assert any(not torch.equal(state[key], start[key]) for key in state if key.startswith(prefix))


def corpus_texts(corpus: PreparedCorpus) -> list[str]:
    captions = corpus.captions("distil")
    return [*captions["text"], *captions["english"]]


class Ids:
    """Stands for tokens of a size that is published."""

    pad, bos, eos, smallest = 1, 0, 2, 300

    def __init__(self, size: int) -> None:
        self.size = size

    def __len__(self) -> int:
        return self.size


@pytest.mark.parametrize(
    ("name", "tokens"),
    [
        ("xlm-roberta-base-ViT-B-32/laion5b_s13b_b90k", 250_002),
        ("nllb-clip-base-siglip/v1", 256_204),
        ("ViT-B-16-SigLIP2-256/webli", 256_000),
    ],
)
def test_halves_and_quarters_of_the_real_checkpoints_are_true(name: str, tokens: int) -> None:
    from study.models.open_clip.files import parts
    from study.models.open_clip.origin import Repository, origin
    from study.models.open_clip.pretrained import OpenClip

    place = origin(name, "0" * 40)
    assert isinstance(place, Repository)
    config = dict(parts(Path(place.name), place.card).config)
    ids: Any = Ids(tokens)
    with torch.device("meta"):
        teacher = OpenClip(config, ids)
        for fraction in (0.5, 0.25):
            target = shape(teacher, fraction, "text")
            smaller: Any = Ids(target.vocabulary)
            student = OpenClip(teacher._reads.resized(target.text_layers, smaller), smaller)
            told = student.text_counts().total / teacher.text_counts().total
            width = teacher.token_table().embedding_dim
            assert fraction - width / teacher.text_counts().total <= told <= fraction
            assert target.text_layers == round(fraction * teacher.text_layers)
