"""What a checkpoint may be: names are pinned, folders are whole and what they say; everything else is refused."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from study.config.pretrained import PretrainedSpec
from study.config.size import EncoderSpec
from study.models import pretrained_family
from study.models.errors import PretrainedError
from tests.study.models.checkpoints import models
from tests.study.models.checkpoints.tokenizers import ALL, write_gemma, write_xlm_roberta

Checkpoints = Callable[[str], Path]
COMMIT = "0123456789abcdef0123456789abcdef01234567"


def refused(family: str, checkpoint: str | Path, match: str, revision: str | None = None) -> None:
    with pytest.raises(PretrainedError, match=match):
        pretrained_family(family).check(str(checkpoint), revision)


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str, Path], None]:
    """Puts a folder into a cache of the hub, at COMMIT; there is no network."""
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)

    def put(name: str, folder: Path) -> None:
        place = tmp_path / "hub" / f"models--{name.replace('/', '--')}" / "snapshots" / COMMIT
        shutil.copytree(folder, place)

    return put


@pytest.mark.parametrize(
    ("family", "name", "repository", "built"),
    [
        ("open_clip", "hf-hub:org/xlmr", "org/xlmr", "open_clip_xlm_roberta"),
        ("transformers", "google/tiny", "google/tiny", "transformers_siglip2"),
    ],
)
def test_a_pinned_name_is_the_folder_at_that_commit(
    family: str, name: str, repository: str, built: str, cache: Any, checkpoints: Checkpoints
) -> None:
    kind, folder = pretrained_family(family), checkpoints(built)
    kind.check(name, COMMIT)
    with pytest.raises(PretrainedError, match=f"{repository} at {COMMIT} cannot be downloaded"):
        kind.fetch(name, COMMIT)
    cache(repository, folder)
    model, same = kind.fetch(name, COMMIT), kind.fetch(str(folder), None)
    assert all(torch.equal(a, b) for a, b in zip(model.parameters(), same.parameters(), strict=True))
    with pytest.raises(PretrainedError, match="cannot be downloaded"):
        kind.fetch(name, COMMIT[::-1])


def test_a_tag_takes_configuration_and_images_from_the_library(
    cache: Any, checkpoints: Checkpoints, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    from open_clip import factory, pretrained

    folder = tmp_path / "tagged"
    shutil.copytree(checkpoints("open_clip_siglip2"), folder)
    declared = json.loads((folder / "open_clip_config.json").read_text())
    (folder / "open_clip_config.json").write_text("{}")
    monkeypatch.setitem(factory._MODEL_CONFIGS, "ViT-tiny-SigLIP2", declared["model_cfg"])
    tags = {"webli": pretrained._slpcfg(hf_hub="timm/ViT-tiny-SigLIP2/", interpolation="bilinear")}
    monkeypatch.setitem(pretrained._PRETRAINED, "ViT-tiny-SigLIP2", tags)
    cache("timm/ViT-tiny-SigLIP2", folder)
    model: Any = pretrained_family("open_clip").fetch("ViT-tiny-SigLIP2/webli", COMMIT)
    assert (model.fit.resample, model.fit.mode, model.fit.size) == ("bilinear", "squash", 160)
    assert model.mean.flatten().tolist() == [127.5] * 3


def test_names_are_pinned_to_a_commit() -> None:
    for name in ("hf-hub:org/name", "xlm-roberta-base-ViT-B-32/laion5b_s13b_b90k", "nllb-clip-base-siglip/v1"):
        refused("open_clip", name, "give its `revision`, the 40 hex digits")
        refused("open_clip", name, "'main' .* can move", revision="main")
        pretrained_family("open_clip").check(name, COMMIT)
    refused("transformers", "google/siglip2-base-patch16-256", "give its `revision`")
    refused("transformers", "google/siglip2-base-patch16-256", "can move", revision=COMMIT[:7])
    pretrained_family("transformers").check("google/siglip2-base-patch16-256", COMMIT)


@pytest.mark.parametrize("model", ["ViT-B-16-SigLIP2-256", "ViT-B-16-SigLIP-i18n-256", "xlm-roberta-large-ViT-H-14"])
def test_multilingual_models_of_open_clip_are_known(model: str) -> None:
    from open_clip.pretrained import list_pretrained_tags_by_model

    for tag in list_pretrained_tags_by_model(model):
        pretrained_family("open_clip").check(f"{model}/{tag}", COMMIT)


def test_unknown_names_offer_the_nearest(tmp_path: Path, checkpoints: Checkpoints) -> None:
    refused("open_clip", "xlm-roberta-base-ViT-B-32/laion5b", "tags of xlm-roberta-base-ViT-B-32 are laion5b_s13b_b90k")
    refused("open_clip", "xlm-roberta-bas-ViT-B-32/laion5b_s13b_b90k", "nearest name is 'xlm-roberta-base-ViT-B-32/l")
    refused("open_clip", "models/my-xlmr", "neither a folder that is there nor a model and tag")
    refused("open_clip", "local-dir:models/my-xlmr", "there is no folder models/my-xlmr")
    refused("open_clip", "hf-hub:a/b/c", "neither a folder that is there nor a name on the hub", revision=COMMIT)
    refused("transformers", "models/my/siglip", "neither a folder that is there nor a name on the hub")
    refused("open_clip", "ViT-B-32/openai", "another activation, take ViT-B-32-quickgelu/openai")
    refused("open_clip", "ViT-B-16/datacomp_xl_s13b_b90k", "English tokenizer", revision=COMMIT)
    refused("open_clip", "coca_ViT-B-32/laion2b_s13b_b90k", "CoCa", revision=COMMIT)
    refused("open_clip", checkpoints("open_clip_native"), "a folder: a `revision` pins names", revision=COMMIT)


def test_another_architecture_is_called_by_its_name(tmp_path: Path, checkpoints: Checkpoints) -> None:
    refused("transformers", checkpoints("transformers_naflex"), "NaFlex variant .* not supported")
    refused("transformers", checkpoints("small_encoder"), "model_type is 'xlm-roberta', must be 'siglip'")
    refused("transformers", checkpoints("open_clip_native"), "a checkpoint of open_clip, which family `open_clip`")
    refused("open_clip", checkpoints("transformers_siglip2"), "'siglip' checkpoint of .* family `transformers` loads")
    refused("open_clip", checkpoints("small_encoder"), "'xlm-roberta' checkpoint of .*; a text encoder can be a size's")
    refused("open_clip", tmp_path, "no checkpoint of open_clip")
    refused("transformers", tmp_path, r"there is no .*config\.json")


@pytest.fixture
def copied(tmp_path: Path, checkpoints: Checkpoints) -> Callable[[str], Path]:
    def copy(name: str) -> Path:
        return Path(shutil.copytree(checkpoints(name), tmp_path / name, dirs_exist_ok=True))

    return copy


def declare(folder: Path, *keys: str, value: Any, file: str = "open_clip_config.json") -> None:
    """Exchange one value of a JSON file."""
    content = json.loads((folder / file).read_text())
    inner = content
    for key in keys[:-1]:
        inner = inner[key]
    inner[keys[-1]] = value
    (folder / file).write_text(json.dumps(content))


def test_configurations_that_are_not_supported_name_file_and_key(copied: Callable[[str], Path]) -> None:
    folder = copied("open_clip_native")
    for keys, value, match in (
        (("model_cfg", "vision_cfg", "image_size"), [32, 64], r"image_size is \[32, 64\]: images .* are square"),
        (("model_cfg", "vision_cfg", "layers"), [3, 4, 6, 3], "is a ResNet"),
        (("model_cfg", "vision_cfg", "timm_model_name"), "vit_bas_patch16_siglip_256", "nearest is 'vit_base_patch16"),
        (("preprocess_cfg", "resize_mode"), "shortes", "did you mean 'shortest'"),
        (("preprocess_cfg", "mean"), [0.5, 0.5], "must be three numbers"),
        (("model_cfg", "text_cfg", "embed_cls"), True, "embed_cls"),
        (("model_cfg", "text_cfg", "hf_model_name"), "google/mt5-xl", r"put its config\.json into"),
    ):
        folder = copied("open_clip_native")
        declare(folder, *keys, value=value)
        refused("open_clip", folder, match)
    folder = copied("open_clip_xlm_roberta")
    declare(folder, "model_type", value="t5", file="config.json")
    refused("open_clip", folder, "type 't5' is not supported")
    (folder / "open_clip_config.json").write_text("{")
    refused("open_clip", folder, r"open_clip_config\.json is no JSON")
    folder = copied("transformers_siglip2")
    declare(folder, "size", value={"height": 64, "width": 64}, file="preprocessor_config.json")
    refused("transformers", folder, "size is .*64.* reads 32 x 32")
    (folder / "preprocessor_config.json").unlink()
    refused("transformers", folder, r"no preprocessor_config\.json")


def test_what_cannot_be_built_is_refused_before_anything_runs(copied: Callable[[str], Path]) -> None:
    for name, keys, value, file in (
        ("transformers_siglip2", ("text_config", "num_attention_heads"), 7, "config.json"),
        ("transformers_siglip2", ("vision_config", "hidden_act"), "gelu_nwe", "config.json"),
        ("open_clip_native", ("model_cfg", "vision_cfg", "width"), "wide", "open_clip_config.json"),
    ):
        folder = copied(name)
        declare(folder, *keys, value=value, file=file)
        with pytest.raises(PretrainedError, match=f"{folder}.*cannot build what it declares"):
            PretrainedSpec(family=models.family(name), checkpoint=str(folder)).check()
        shutil.rmtree(folder)


def test_open_clips_name_of_a_folder_is_the_folder(checkpoints: Checkpoints) -> None:
    folder = checkpoints("open_clip_native")
    spec = PretrainedSpec(family="open_clip", checkpoint=f"local-dir:{folder}")
    assert spec.checkpoint == str(folder)
    spec.check()


@pytest.mark.parametrize("name", ["open_clip_native", "transformers_siglip2"])
def test_files_that_are_missing_or_pickled_are_named(name: str, copied: Callable[[str], Path]) -> None:
    family, folder = models.family(name), copied(name)
    (folder / "tokenizer.json").unlink()
    refused(family, folder, r"no tokenizer\.json")
    folder = copied(name)
    weights = next(folder.glob("*.safetensors"))
    content = weights.read_bytes()
    weights.write_bytes(content[: len(content) // 2])
    with pytest.raises(PretrainedError, match=r"is not whole|weights do not fit"):
        pretrained_family(family).fetch(str(folder), None)
    weights.unlink()
    (folder / "open_clip_pytorch_model.bin").write_bytes(b"")
    refused(family, folder, r"no weights in safetensors: open_clip_pytorch_model\.bin would have to be unpickled")


@pytest.mark.parametrize("name", ["open_clip_xlm_roberta", "transformers_siglip2"])
def test_weights_that_do_not_fit_are_named(name: str, copied: Callable[[str], Path]) -> None:
    family, folder = models.family(name), copied(name)
    weights = next(folder.glob("*.safetensors"))
    state = load_file(weights)
    gone = next(key for key in state if key.endswith("proj.weight") or key.endswith("head.weight"))
    for changed, match in (
        ({key: tensor for key, tensor in state.items() if key != gone}, f"missing.*{gone}"),
        ({**state, "visual.extra": torch.zeros(2)}, r"un(known|expected).*visual\.extra"),
        ({**state, gone: state[gone][:-1]}, "weights do not fit"),
    ):
        save_file(changed, weights, metadata={"format": "pt"})
        with pytest.raises(PretrainedError, match=match):
            pretrained_family(family).fetch(str(folder), None)


def test_a_tokenizer_of_another_model_is_refused(copied: Callable[[str], Path], tmp_path: Path) -> None:
    folder = copied("open_clip_xlm_roberta")
    words = [f"{a}{b}{c}" for a in "bdfgklmnprst" for b in "aeiou" for c in "bdfgklmnprst"]
    write_xlm_roberta(folder, [*ALL, *words], size=900)
    with pytest.raises(PretrainedError, match=r"tokenizer gives ids up to \d+, the token table has \d+ rows"):
        pretrained_family("open_clip").fetch(str(folder), None)
    large = models.open_clip_xlm_roberta(tmp_path / "large", write_xlm_roberta(tmp_path / "own"), spare_rows=2000)
    with pytest.raises(PretrainedError, match="tokenizer and weights do not match"):
        pretrained_family("open_clip").fetch(str(large), None)
    folder = copied("open_clip_native")
    declare(folder, "model_cfg", "text_cfg", "eos_id", value=7)
    with pytest.raises(PretrainedError, match=r"tokenizer's eos is 2, text_cfg\.eos_id is 7"):
        pretrained_family("open_clip").fetch(str(folder), None)
    folder = copied("open_clip_nllb")
    write_gemma(folder)
    with pytest.raises(PretrainedError, match="pads with 0, the text tower with 1"):
        pretrained_family("open_clip").fetch(str(folder), None)


def in_shards(folder: Path, name: str) -> list[Path]:
    """Divide the weights of `folder` into three, with an index, as `save_pretrained` does with large ones."""
    weights = next(folder.glob("*.safetensors"))
    state = load_file(weights)
    weights.unlink()
    keys = sorted(state)
    names = [f"{name.removesuffix('.safetensors')}-{i:05d}-of-00003.safetensors" for i in (1, 2, 3)]
    for i, shard in enumerate(names):
        save_file({key: state[key] for key in keys[i::3]}, folder / shard, metadata={"format": "pt"})
    places = {key: names[i % 3] for i, key in enumerate(keys)}
    (folder / f"{name}.index.json").write_text(json.dumps({"metadata": {}, "weight_map": places}))
    return [folder / shard for shard in names]


@pytest.mark.parametrize(
    ("name", "weights"),
    [
        ("transformers_siglip2", "model.safetensors"),
        ("open_clip_native", "open_clip_model.safetensors"),
        ("open_clip_xlm_roberta", "model.safetensors"),
        ("open_clip_siglip2", "weights.safetensors"),
    ],
)
def test_weights_may_lie_in_shards(
    name: str, weights: str, copied: Callable[[str], Path], checkpoints: Checkpoints, cache: Any
) -> None:
    family, folder = models.family(name), copied(name)
    shards = in_shards(folder, weights)
    pretrained_family(family).check(str(folder), None)
    model, whole = (
        pretrained_family(family).fetch(str(folder), None),
        pretrained_family(family).fetch(str(checkpoints(name)), None),
    )
    assert all(torch.equal(a, b) for a, b in zip(model.parameters(), whole.parameters(), strict=True))
    cache("org/shards", folder)
    pinned = "org/shards" if family == "transformers" else "hf-hub:org/shards"
    pretrained_family(family).fetch(pinned, COMMIT)
    content = shards[1].read_bytes()
    shards[1].write_bytes(content[: len(content) // 2])
    refused(family, folder, rf"{shards[1].name} is not whole")
    shards[1].unlink()
    refused(family, folder, rf"{weights}\.index\.json names {shards[1].name}, one of 3 shards, which is not there")


def test_an_index_of_shards_stays_in_its_folder(copied: Callable[[str], Path]) -> None:
    folder = copied("open_clip_native")
    in_shards(folder, "model.safetensors")
    index = folder / "model.safetensors.index.json"
    for places, told in (
        ({"a": "../other.safetensors"}, r"names '\.\./other\.safetensors', must name \.safetensors files beside it"),
        ({"a": "pytorch_model.bin"}, "names 'pytorch_model.bin', must name"),
        ({}, "weight_map must say for each weight"),
    ):
        index.write_text(json.dumps({"weight_map": places}))
        refused("open_clip", folder, told)
    index.unlink()
    refused("open_clip", folder, r"3 files of weights .* no open_clip_model\.safetensors\.index\.json")


@pytest.mark.parametrize(
    ("checkpoint", "family", "revision", "told"),
    [
        ("local-dir:a", "transformers", None, None),
        ("local-dir:o", "open_clip", None, None),
        ("hf-hub:timm/ViT-B-16-SigLIP2-256", "open_clip", None, "revision"),
        ("hf-hub:timm/ViT-B-16-SigLIP2-256", "transformers", COMMIT, "family `open_clip`"),
        ("xlm-roberta-base-ViT-B-32/laion5b", "open_clip", COMMIT, "laion5b_s13b_b90k"),
        ("google/siglip2-base-patch16-256", "open_clip", COMMIT, "family `transformers`"),
        ("google/siglip2-base-patch16-256", "transformers", "main", "can move"),
        ("a", "open_clip", None, "family `transformers`"),
        ("o", "transformers", None, "family `open_clip`"),
        ("b", "open_clip", None, "open_clip_pytorch_model.bin"),
        ("s", "transformers", None, "a folder of sentence-transformers"),
    ],
)
def test_ways_to_name_a_checkpoint(
    checkpoint: str, family: str, revision: str | None, told: str | None,
    copied: Callable[[str], Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.chdir(tmp_path)
    if checkpoint.endswith("a"):
        copied("transformers_siglip2").rename("a")
    elif checkpoint in ("o", "local-dir:o", "b"):
        copied("open_clip_xlm_roberta").rename(checkpoint[-1])
    if checkpoint == "b":
        next(Path("b").glob("*.safetensors")).rename("b/open_clip_pytorch_model.bin")
    if checkpoint == "s":
        Path("s").mkdir()
        Path("s/modules.json").write_text('[{"idx": 0, "path": "0_Transformer"}]')
    spec = PretrainedSpec(family=family, checkpoint=checkpoint, revision=revision)
    if told is None:
        spec.check()
    else:
        with pytest.raises(PretrainedError, match=told):
            spec.check()


def test_a_dual_encoder_is_no_text_encoder(checkpoints: Checkpoints) -> None:
    for name, told in (
        ("transformers_siglip2", "a dual encoder of transformers: it can be a teacher of family `transformers`"),
        ("open_clip_xlm_roberta", "a dual encoder of open_clip: it can be a teacher of family `open_clip`"),
    ):
        with pytest.raises(PretrainedError, match=told):
            EncoderSpec(encoder=str(checkpoints(name))).check()
