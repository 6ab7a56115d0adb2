"""Checkpoints are held against their library when they are loaded; what their files leave open is told."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from study.config.pretrained import PretrainedSpec
from study.config.size import EncoderSpec
from study.config.student import StudentSpec
from study.distill.student import StudentConfig, initial_student
from study.models import pretrained_family, probe, torchvision_ops
from study.models.dual_encoder import DualEncoder
from study.models.errors import PretrainedError
from study.models.text_encoder.student import EncoderStudent
from study.models.tokenizers.pretrained import PretrainedTokenizer
from tests.study.models.checkpoints import models
from tests.study.models.checkpoints.tokenizers import ALL, change, write_gemma, write_xlm_roberta

torchvision_ops.ensure()

Copied = Callable[[str], Path]


@pytest.fixture
def copied(tmp_path: Path, checkpoints: Callable[[str], Path]) -> Copied:
    def copy(name: str) -> Path:
        return Path(shutil.copytree(checkpoints(name), tmp_path / name, dirs_exist_ok=True))

    return copy


def fetch(name: str, folder: Path) -> Any:
    return pretrained_family(models.family(name)).fetch(str(folder), None)


def declare(file: Path, *keys: str, gone: bool = False, value: object = None) -> None:
    """Exchange one value of a JSON file, or leave it out."""
    content = json.loads(file.read_text(encoding="utf-8"))
    inner = content
    for key in keys[:-1]:
        inner = inner[key]
    inner.pop(keys[-1], None)
    if not gone:
        inner[keys[-1]] = value
    file.write_text(json.dumps(content), encoding="utf-8")


@pytest.mark.parametrize("name", models.TEACHERS)
def test_a_teacher_is_compared_with_its_library(name: str, checkpoints: Callable[[str], Path]) -> None:
    library = "open_clip" if name in models.OPEN_CLIP else "transformers"
    package = "open_clip_torch" if library == "open_clip" else library
    told = fetch(name, checkpoints(name)).evidence.compared
    assert told.startswith(f"{library} {version(package)}: ids of {len(probe.TEXTS)} texts, pixels of")
    assert "1e-05" in told


def other_texts(model: Any) -> None:
    handling = replace(model.vocabulary.handling, truncation_side="left")
    model.vocabulary = PretrainedTokenizer(model.vocabulary._tokenizer, handling, "here")


def other_context(model: Any) -> None:
    model._config["model"]["text_cfg"]["context_length"] = 30


def other_pixels(model: Any) -> None:
    model._preprocess = replace(model._preprocess, fit=replace(model._preprocess.fit, resample="bilinear"))


def other_text_weights(model: Any) -> None:
    with torch.no_grad():
        model.token_table().weight[0, 0] += 0.5  # of <s>


def other_image_weights(model: Any) -> None:
    with torch.no_grad():
        model.image_module().proj[0] += 0.01


def other_numbers(model: Any) -> None:
    with torch.no_grad():
        model.image_module().proj[0, 0] = torch.nan


@pytest.mark.parametrize(
    ("changed", "part"),
    [
        (other_texts, "not read as by .*: token ids: of 'Ein grüner Zug"),
        (other_context, "not read as by .*: context length: 30 tokens here, 77 there"),
        (other_pixels, "not read as by .*: pixels of an image: number 4 of the probe differs by"),
        (other_text_weights, "not read as by .*: features of a text"),
        (other_image_weights, "not read as by .*: features of an image"),
        (other_numbers, "features of an image 0 of the probe is not finite"),
    ],
)
def test_the_part_that_differs_is_named(
    changed: Callable[[Any], None], part: str, checkpoints: Callable[[str], Path]
) -> None:
    from study.models.open_clip import library as open_clip_library
    from study.models.open_clip.origin import origin

    folder = checkpoints("open_clip_xlm_roberta")
    model = fetch("open_clip_xlm_roberta", folder)
    changed(model)
    if changed is other_context:
        model._reads.text_cfg = model._config["model"]["text_cfg"]
    parts = origin(str(folder), None).parts()
    with pytest.raises(PretrainedError, match=part):
        probe.compare(
            folder,
            open_clip_library.LIBRARY,
            lambda: probe.ours(model, model.mean, model.std),
            lambda: open_clip_library.outputs(parts),
        )


@pytest.mark.parametrize("name", models.TEACHERS)
def test_padding_on_the_left_is_as_the_library_pads(name: str, copied: Copied) -> None:
    folder = copied(name)
    declare(folder / "tokenizer_config.json", "padding_side", value="left")
    model = fetch(name, folder)  # which compares ids and features
    ids = model.tokenize(["a red house", " ".join(ALL)])
    assert ids[0, 0] == model.vocabulary.pad
    assert not any("padded" in clause for clause in model.evidence.assumed)
    with torch.inference_mode():
        torch.testing.assert_close(model.text_features(ids)[:1], model.text_features(ids[:1]), atol=1e-6, rtol=0)
    assert model.vocabulary.mask(ids).sum(dim=1).tolist()[1] == ids.shape[1]


def test_padding_in_tokenizer_json_counts_as_said(copied: Copied) -> None:
    folder = copied("open_clip_native")
    padding = {"strategy": "BatchLongest", "direction": "Left", "pad_to_multiple_of": None, "pad_id": 1,
               "pad_type_id": 0, "pad_token": "<pad>"}  # fmt: skip
    declare(folder / "tokenizer.json", "padding", value=padding)
    model = fetch("open_clip_native", folder)
    assert model.vocabulary.handling.padding_side == "left"
    assert not any("padded" in clause for clause in model.evidence.assumed)


def test_an_end_that_pads_is_told_from_padding_on_either_side(copied: Copied) -> None:
    folder = copied("transformers_multilingual")
    for side in ("right", "left"):
        declare(folder / "tokenizer_config.json", "padding_side", value=side)
        tokens = PretrainedTokenizer.from_transformers(folder)
        ids = torch.from_numpy(tokens.encode(["", "red", "red " * 99], 12))
        lengths = [min(len(split) + 1, 12) for split in tokens.split(["", "red", "red " * 99])]
        for row, length in zip(tokens.mask(ids).tolist(), lengths, strict=True):
            assert (row if side == "right" else row[::-1]) == [True] * length + [False] * (12 - length)


def gemma_encoder(folder: Path) -> Path:
    """A text encoder with Gemma's tokenizer, whose class pads on the left where the files say nothing."""
    from transformers import Gemma3TextConfig, Gemma3TextModel

    rows = models.copy_tokenizer(write_gemma(folder.with_name("gemma")), folder)
    layers: Any = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 4}
    config = Gemma3TextConfig(**layers, vocab_size=rows, num_key_value_heads=1, head_dim=8, pad_token_id=0,
                              max_position_embeddings=80, use_bidirectional_attention=True)  # fmt: skip
    Gemma3TextModel(config).save_pretrained(folder)
    declare(folder / "tokenizer_config.json", "padding_side", gone=True)
    return folder


def bert_encoder(folder: Path) -> Path:
    """A text encoder that counts positions from the first column."""
    from transformers import BertConfig, BertModel

    rows = models.copy_tokenizer(write_xlm_roberta(folder.with_name("xlmr")), folder)
    layers: Any = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 4}
    BertModel(BertConfig(**layers, vocab_size=rows, pad_token_id=1), add_pooling_layer=False).save_pretrained(folder)
    return folder


def student(teacher: DualEncoder, folder: Path, pooling: str = "mean") -> Any:
    spec = EncoderSpec.model_validate({"encoder": str(folder), "pooling": pooling})
    training = {"steps": 1, "batch": 8, "learning_rate": 0.01}
    corner = StudentConfig("big", "small", spec, 0, {"ed": {}}, StudentSpec.model_validate({"training": training}))
    return initial_student(teacher, corner, ALL).eval()


@pytest.mark.parametrize("pooling", ["mean", "cls"])
def test_an_encoder_may_pad_on_the_left(pooling: str, checkpoints: Callable[[str], Path], tmp_path: Path) -> None:
    teacher = fetch("open_clip_xlm_roberta", checkpoints("open_clip_xlm_roberta"))
    made: EncoderStudent = student(teacher, gemma_encoder(tmp_path / "encoder"), pooling)
    assert made.vocabulary.handling.padding_side == "left"
    assert made.evidence.assumed == ("texts are padded on the left, the default of GemmaTokenizer",)
    assert made.evidence.compared.startswith(f"transformers {version('transformers')}: ids of")
    with torch.inference_mode():
        alone = made.text_features(made.tokenize(["a red house", "ein roter Hund"]))
        beside = made.text_features(made.tokenize(["a red house", "ein roter Hund", "word " * 200]))[:2]
    assert alone.isfinite().all()
    torch.testing.assert_close(alone, beside, atol=1e-6, rtol=0)


def test_an_encoder_whose_positions_padding_moves_must_pad_on_the_right(
    checkpoints: Callable[[str], Path], tmp_path: Path
) -> None:
    teacher = fetch("open_clip_xlm_roberta", checkpoints("open_clip_xlm_roberta"))
    folder = bert_encoder(tmp_path / "encoder")
    student(teacher, folder)
    change(folder / "tokenizer_config.json", padding_side="left")
    with pytest.raises(PretrainedError, match=r"on the left, which moves the positions of a bert: .* Set padding_side"):
        student(teacher, folder)


GENERIC = ["GemmaTokenizer", "GemmaTokenizerFast", "PreTrainedTokenizerFast", "TokenizersBackend"]


@pytest.mark.parametrize("named", GENERIC)
def test_siglip2_is_lower_cased_whatever_class_its_files_name(named: str, copied: Copied) -> None:
    folder = copied("transformers_siglip2")
    change(folder / "tokenizer_config.json", tokenizer_class=named)
    model = fetch("transformers_siglip2", folder)
    assert torch.equal(model.tokenize(["A Red House"]), model.tokenize(["a red house"]))
    assert f"texts are put into lower case as by Siglip2Tokenizer (its files name {named})" in model.evidence.assumed


def test_how_siglip_cleans_texts_is_said_or_the_checkpoint_refused(copied: Copied) -> None:
    folder = copied("transformers_siglip2")
    change(folder / "tokenizer_config.json", tokenizer_class="Siglip2Tokenizer")
    assert fetch("transformers_siglip2", folder).evidence.assumed == ()
    folder = copied("transformers_multilingual")
    for entries, told in (
        ({"tokenizer_class": "PreTrainedTokenizerFast"}, "keeps capitals, .* name Siglip2Tokenizer"),
        ({"tokenizer_class": None}, "names no tokenizer_class"),
        ({"tokenizer_class": "SiglipTokenizer", "do_lower_case": False}, "do_lower_case is false"),
        ({"do_lower_case": True, "model_max_length": 16}, "model_max_length is 16, and the text tower reads 64 tokens"),
    ):
        change(folder / "tokenizer_config.json", **entries)
        with pytest.raises(PretrainedError, match=told):
            fetch("transformers_multilingual", folder)


def test_what_files_leave_open_is_told(copied: Copied) -> None:
    folder = copied("open_clip_siglip2")
    assert fetch("open_clip_siglip2", folder).evidence.assumed == ()
    card = folder / "open_clip_config.json"
    declare(card, "preprocess_cfg", "resize_mode", gone=True)
    declare(card, "model_cfg", "text_cfg", "tokenizer_kwargs", gone=True)
    declare(folder / "tokenizer_config.json", "pad_token", gone=True)
    declare(folder / "tokenizer_config.json", "padding_side", gone=True)
    told = PretrainedSpec(family="open_clip", checkpoint=str(folder)).build_on_meta().evidence.assumed
    assert told == (
        "texts keep their capitals (clean is whitespace), open_clip's default",
        "images are read with resize_mode shortest, open_clip's default",
        "texts are padded on the left, the default of GemmaTokenizer",
        "the pad token is <pad>, the default of GemmaTokenizer",
    )
    folder = copied("transformers_siglip2")
    declare(folder / "preprocessor_config.json", "resample", gone=True)
    declare(folder / "config.json", "text_config", "max_position_embeddings", gone=True)
    told = fetch("transformers_siglip2", folder).evidence.assumed
    assert "texts are padded to 64 tokens, the default of SiglipConfig" in told
    assert "images are read with resample 3, the default of SiglipImageProcessor" in told


def test_of_two_files_on_images_the_one_that_the_library_prefers_counts(copied: Copied) -> None:
    folder = copied("transformers_siglip2")
    found = json.loads((folder / "preprocessor_config.json").read_text())
    nested = {"image_processor": {**found, "resample": 3}, "processor_class": "SiglipProcessor"}
    (folder / "processor_config.json").write_text(json.dumps(nested))
    assert fetch("transformers_siglip2", folder).fit.resample == "bicubic"
    (folder / "processor_config.json").write_text(json.dumps({"processor_class": "SiglipProcessor"}))
    assert fetch("transformers_siglip2", folder).fit.resample == "bilinear"


@pytest.mark.parametrize("name", ["open_clip_siglip2", "transformers_siglip2", "small_encoder"])
def test_a_tokenizer_of_a_newer_version_is_named(name: str, copied: Copied) -> None:
    folder = copied(name)
    declare(folder / "tokenizer.json", "model", "type", value="ModelOfNextYear")
    told = rf"tokenizer\.json: tokenizers {version('tokenizers')} cannot read it .* a newer version wrote it"
    spec: Any = PretrainedSpec(family=models.family(name), checkpoint=str(folder))
    if name == "small_encoder":
        spec = EncoderSpec(encoder=str(folder))
    with pytest.raises(PretrainedError, match=told):
        spec.check()


def test_weights_that_are_no_numbers_are_refused(copied: Copied) -> None:
    folder = copied("transformers_siglip2")
    state = load_file(folder / "model.safetensors")
    state["logit_scale"] = torch.full_like(state["logit_scale"], torch.nan)
    save_file(state, folder / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(PretrainedError, match="not all finite: logit_scale"):
        fetch("transformers_siglip2", folder)


def test_more_tokens_than_positions_are_refused(copied: Copied) -> None:
    folder = copied("open_clip_xlm_roberta")
    declare(folder / "open_clip_config.json", "model_cfg", "text_cfg", "context_length", value=200)
    with pytest.raises(PretrainedError, match="context_length is 200, the text tower has 80 positions"):
        PretrainedSpec(family="open_clip", checkpoint=str(folder)).check()
