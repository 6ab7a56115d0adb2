"""Students and teachers of published families, loaded by their library alone: ids, pixels and embeddings agree."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image

from pipeline import stage
from pipeline.export import export
from study.config.size import EncoderSpec
from study.config.student import StudentSpec
from study.data.pictures import PixelPictures
from study.distill.student import StudentConfig, initial_student
from study.export import ExportError
from study.models import pretrained_family
from study.models.dual_encoder import DualEncoder
from study.models.embed import embed_images, embed_texts
from study.models.shrink import shape, shrink
from study.seeds import stream
from tests.study.export.exported import alone, record, similarities
from tests.study.models.checkpoints import models
from tests.study.models.checkpoints.tokenizers import ALL, CAPTIONS
from tests.study.tiny import write_corpus

TEXTS = [*ALL, "A red Apple, on the MAT.", " ".join(CAPTIONS["de"]) * 2, "ΟΔΥΣΣΕΥΣ  — don't (stop)!", "x"]
LIBRARY = {"open_clip": "open_clip", "transformers": "sentence-transformers", "encoder": "open_clip"}


@pytest.fixture(scope="module")
def checkpoints(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    return partial(models.build, folder=tmp_path_factory.mktemp("checkpoints"))


def write_study(folder: Path, teacher: DualEncoder, student: DualEncoder, plan: dict[str, Any]) -> str:
    """A study's folder with one teacher and one student; returns the student's cell."""
    write_corpus(folder / "corpus")
    with torch.no_grad():
        for parameter in student.text_module().parameters():
            parameter.add_(0.02 * torch.randn_like(parameter))
        for parameter in student.temperature_parameters():
            parameter.add_(0.1)
    teacher.save(folder / "teachers" / "big")
    student.save(folder / "runs" / "big-half-ed-s3", images=False)
    spec = {"family": teacher.family, "checkpoint": "org/teacher", "revision": "0" * 40, "licence": "MIT"}
    taught = {**record("big-teacher", "big", teacher, teacher, spec), "checkpoint": asdict(teacher.evidence)}
    stage.write_json(folder / "teachers" / "big" / "run.json", taught)
    run = record("big-half-ed-s3", "big", student, teacher, {"objectives": {"ed": {"weight": 1.0}}, **plan})
    stage.write_json(folder / "runs" / "big-half-ed-s3" / "run.json", run)
    return "big-half-ed-s3"


def here(family: str, folder: Path, pixels: np.ndarray, texts: list[str]) -> dict[str, torch.Tensor]:
    """What `alone` gives, in this process: sooner."""
    pictures: Any = [Image.fromarray(array) for array in pixels]
    if LIBRARY[family] == "open_clip":
        import open_clip

        where = f"local-dir:{folder}"
        model, preprocess = open_clip.create_model_from_pretrained(where, **models.local_text(folder))
        ids, seen = open_clip.get_tokenizer(where)(texts), torch.stack([preprocess(picture) for picture in pictures])
        model.eval()
        embedded = model.encode_text(ids, normalize=True), model.encode_image(seen, normalize=True)
    else:
        from transformers import AutoModel, AutoProcessor

        model, processor = AutoModel.from_pretrained(folder).eval(), AutoProcessor.from_pretrained(folder)
        inputs = processor(text=texts, images=pictures, return_tensors="pt")
        out, ids = model(**inputs), inputs["input_ids"]
        embedded = out.text_embeds, out.image_embeds
    return {"default_ids": ids, "default_texts": embedded[0], "images": embedded[1], "scale": model.logit_scale.exp()}


def agree(model: DualEncoder, out: Path, tmp_path: Path, isolated: bool = False) -> None:
    """The folder `out`, loaded by its library, gives the ids and embeddings of `model`."""
    size = model.fit.size
    pixels = stream("test", "pixels").integers(0, 256, (5, size, size, 3), dtype=np.uint8)
    with torch.inference_mode():
        if isolated:
            theirs: Any = alone(LIBRARY[model.family], out, pixels, TEXTS, tmp_path)[0]
            np.testing.assert_allclose(theirs["card_0"], similarities(model, pixels[:1]), atol=1e-5)
            assert LIBRARY[model.family] != "open_clip" or "no file named model.safetensors" in str(theirs["refused"])
        else:
            theirs = here(model.family, out, pixels, TEXTS)
    np.testing.assert_array_equal(theirs["default_ids"], model.tokenize(TEXTS).numpy())
    cpu = torch.device("cpu")
    np.testing.assert_allclose(theirs["default_texts"], embed_texts(model, TEXTS, cpu), atol=1e-5)
    np.testing.assert_allclose(theirs["images"], embed_images(model, PixelPictures(pixels), cpu), atol=1e-5)
    scale = next(value for name, value in model.temperature.items() if name.endswith("logit_scale"))
    assert theirs["scale"].item() == pytest.approx(scale, rel=1e-6)


@pytest.mark.parametrize("name", models.TEACHERS)
def test_the_library_alone_gives_the_students_ids_and_embeddings(
    name: str, checkpoints: Callable[[str], Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    teacher = pretrained_family(models.family(name)).fetch(str(checkpoints(name)), None)
    student = shrink(teacher, shape(teacher, 0.55, "text"), ALL, "teacher", ("init", 0)).eval()
    cell = write_study(tmp_path, teacher, student, {})
    monkeypatch.chdir(tmp_path)
    export(cell, LIBRARY[teacher.family], tmp_path / cell)  # as the card's code has it
    agree(student, tmp_path / cell, tmp_path, isolated=name in ("open_clip_xlm_roberta", "transformers_siglip2"))
    card = (tmp_path / cell / "README.md").read_text()
    for told in (
        "org/teacher at revision 000",
        "published",
        "licence: MIT",
        'base_model: ["org/teacher"]',
        teacher.evidence.compared,
    ):
        assert told in card
    for clause in teacher.evidence.assumed:
        assert clause in card[card.index("Assumed of the teacher, since its files do not say: ") :]
    assert "trained from scratch" not in card
    assert "start from no published weights" not in card


def test_a_published_teacher_leaves_too(
    checkpoints: Callable[[str], Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    teacher = pretrained_family("open_clip").fetch(str(checkpoints("open_clip_nllb")), None)
    write_study(tmp_path, teacher, shrink(teacher, shape(teacher, 0.55, "text"), ALL, "teacher", ("init", 0)), {})
    monkeypatch.chdir(tmp_path)
    export("big-teacher", "open_clip", tmp_path / "model")
    agree(teacher, tmp_path / "model", tmp_path)


def encoder_student(teacher: DualEncoder, folder: Path, pooling: str) -> tuple[DualEncoder, dict[str, Any]]:
    spec = EncoderSpec(encoder=str(folder), pooling=pooling)  # type: ignore[arg-type]
    training = {"steps": 2, "batch": 8, "learning_rate": 0.01}
    config = StudentConfig("big", "mini", spec, 0, {"ed": {}}, StudentSpec.model_validate({"training": training}))
    return initial_student(teacher, config, ALL).eval(), {"encoder": {**spec.model_dump(), "encoder": "org/mini"}}


@pytest.mark.parametrize("pooling", ["mean", "cls"])
def test_a_text_encoder_beside_open_clips_images_is_a_model_of_open_clip(
    pooling: str, checkpoints: Callable[[str], Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    teacher = pretrained_family("open_clip").fetch(str(checkpoints("open_clip_siglip2")), None)
    student, plan = encoder_student(teacher, checkpoints("small_encoder"), pooling)
    cell = write_study(tmp_path, teacher, student, plan)
    monkeypatch.chdir(tmp_path)
    export(cell, "open_clip", tmp_path / "model")
    agree(student, tmp_path / "model", tmp_path)
    card = (tmp_path / "model" / "README.md").read_text()
    assert "| text encoder | org/mini |" in card
    assert "licence: not declared" in card


def test_what_no_library_has_is_refused(
    checkpoints: Callable[[str], Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    teacher = pretrained_family("transformers").fetch(str(checkpoints("transformers_siglip2")), None)
    student, plan = encoder_student(teacher, checkpoints("small_encoder"), "mean")
    cell = write_study(tmp_path, teacher, student, plan)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ExportError, match="of the family transformers is a model of no library"):
        export(cell, "open_clip", tmp_path / "model")
    for to in ("transformers", "sentence-transformers"):
        with pytest.raises(ExportError, match=rf"family encoder cannot be exported to {to}; .* to open_clip$"):
            export(cell, to, tmp_path / "model")
    assert not (tmp_path / "model").exists()
    timm = pretrained_family("open_clip").fetch(str(checkpoints("open_clip_siglip2")), None)
    cut = shrink(timm, shape(timm, 0.55, "both"), ALL, "teacher", ("init", 0))
    from study.export import target

    with pytest.raises(ExportError, match="no image tower 'test_vit' of 3 layers"):
        target("open_clip", "open_clip").write(cut, tmp_path)
    assert target("open_clip", "open_clip").remarks(cut, pd.DataFrame({"language": [], "text": []})) == []


def test_data_of_the_hub_are_named_in_the_card_as_they_are_there() -> None:
    from study.export.front_matter import hub_names

    parts = [
        {"source": "multilingual_coco", "path": "data/coco", "hub": None},
        {"source": "multi30k", "path": None, "hub": "someone/multi30k"},
        {"source": "webdataset", "path": "data/mine", "hub": None},
    ]
    assert hub_names({"distil": parts, "teacher": [], "test": parts}) == [
        "romrawinjp/multilingual-coco",
        "someone/multi30k",
    ]
