"""A student beside a published text encoder: pooled as declared, seeded, trained, read again; and its declaration."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from safetensors.torch import load_file, save_file

from study.config.size import EncoderSpec, scale_of
from study.config.student import StudentSpec
from study.data.prepared import PreparedCorpus
from study.distill.embeddings import write_embeddings
from study.distill.student import StudentConfig, distil, initial_student
from study.models import checkpoint, pretrained_family, trainable
from study.models.checkpoint import CheckpointError
from study.models.dual_encoder import DualEncoder, Pretrained
from study.models.errors import PretrainedError
from study.models.shrink import summary
from study.models.tokenizers.vocabulary import Vocabulary
from tests.study.models.checkpoints.tokenizers import ALL, CAPTIONS

Checkpoints = Callable[[str], Path]
CPU = torch.device("cpu")
CORPUS = [*CAPTIONS["en"], *CAPTIONS["hi"]]


@pytest.fixture(scope="module")
def published_teacher(checkpoints: Checkpoints) -> Pretrained:
    model = pretrained_family("open_clip").fetch(str(checkpoints("open_clip_xlm_roberta")), None)
    return model.requires_grad_(False)


def corner(scale: Any, method: str = "ed", towers: str = "text", init: str = "teacher", seed: int = 0) -> StudentConfig:
    training = {"steps": 6, "batch": 8, "learning_rate": 0.01}
    spec = StudentSpec.model_validate({"towers": towers, "init": init, "training": training})
    return StudentConfig("xlmr", "minilm", scale, seed, {method: {}}, spec)


@pytest.fixture
def spec(checkpoints: Checkpoints) -> EncoderSpec:
    return EncoderSpec(encoder=str(checkpoints("small_encoder")))


@pytest.mark.parametrize("pooling", ["mean", "cls"])
def test_texts_are_pooled_and_projected_as_the_library_would(
    pooling: str, spec: EncoderSpec, published_teacher: Pretrained
) -> None:
    from transformers import AutoModel, AutoTokenizer

    choice = spec.model_copy(update={"pooling": pooling})
    student: Any = initial_student(published_teacher, corner(choice), ALL).eval()
    read: Any = AutoTokenizer.from_pretrained(spec.encoder)
    batch = read(ALL, padding=True, truncation=True, max_length=student.context, return_tensors="pt")
    with torch.inference_mode():
        states = AutoModel.from_pretrained(spec.encoder)(batch.input_ids, batch.attention_mask).last_hidden_state
        mask = batch.attention_mask.unsqueeze(-1)
        pooled = (states * mask).sum(dim=1) / mask.sum(dim=1) if pooling == "mean" else states[:, 0]
        theirs = F.normalize(pooled @ student.text.projection.weight.T, dim=-1)
        ids = student.tokenize(ALL)
        torch.testing.assert_close(student.text_features(ids), theirs, atol=1e-5, rtol=0)
        output = student.text_output(ids)
    torch.testing.assert_close(output.features, theirs, atol=1e-5, rtol=0)
    assert len(output.hidden) == student.text_layers + 1 == 3
    assert student.context == published_teacher.context == 77


def test_what_is_fresh_follows_the_seed_and_not_the_method(spec: EncoderSpec, published_teacher: Pretrained) -> None:
    first = initial_student(published_teacher, corner(spec), ALL).state_dict()
    torch.rand(3)
    again = initial_student(published_teacher, corner(spec, "fd"), ALL).state_dict()
    assert all(torch.equal(first[name], again[name]) for name in first)
    other = initial_student(published_teacher, corner(spec, seed=1), ALL).state_dict()
    assert [name for name in first if not torch.equal(first[name], other[name])] == ["text.projection.weight"]
    fresh = initial_student(published_teacher, corner(spec, init="random"), ALL).state_dict()
    assert not torch.equal(
        fresh["text.encoder.embeddings.word_embeddings.weight"], first["text.encoder.embeddings.word_embeddings.weight"]
    )


def test_a_trimmed_encoder_reads_the_corpus_as_before(spec: EncoderSpec, published_teacher: Pretrained) -> None:
    whole = initial_student(published_teacher, corner(spec), CORPUS).eval()
    smaller = spec.model_copy(update={"vocabulary": len(whole.vocabulary) - 100})
    student = initial_student(published_teacher, corner(smaller), CORPUS).eval()
    assert student.token_table().num_embeddings == len(student.vocabulary) == len(whole.vocabulary) - 100
    with torch.inference_mode():
        ours = student.text_features(student.tokenize(CORPUS))
        torch.testing.assert_close(ours, whole.text_features(whole.tokenize(CORPUS)), atol=1e-6, rtol=0)


@pytest.fixture(params=["published", "trained"])
def whose(request: pytest.FixtureRequest, published_teacher: Pretrained, vocabulary: Vocabulary) -> DualEncoder:
    if request.param == "published":
        return published_teacher
    return trainable("siglip2").build("polyglot-s-p8-32", vocabulary, 20).eval().requires_grad_(False)


@pytest.mark.parametrize("towers", ["text", "both"])
def test_it_is_trained_and_read_again_beside_its_teacher(
    towers: str,
    whose: DualEncoder,
    spec: EncoderSpec,
    corpus: PreparedCorpus,
    tmp_path: Path,
) -> None:
    before = {name: tensor.clone() for name, tensor in whose.state_dict().items()}
    write_embeddings(whose, corpus, tmp_path / "embeddings", CPU, layers=False)
    start = initial_student(whose, corner(spec), [])
    student, history, cost = distil(corner(spec, towers=towers), whose, corpus, tmp_path / "embeddings", CPU)
    assert history.rows
    assert cost.items == 48
    changed = {n for n, p in student.named_parameters() if not torch.equal(p, start.get_parameter(n))}
    assert any(name.startswith("text.encoder.") for name in changed)
    assert "text.projection.weight" in changed
    image = {
        n for n, _ in student.named_parameters() if student.get_parameter(n) in set(student.image_module().parameters())
    }
    assert bool(changed & image) == (towers == "both")
    assert all(torch.equal(tensor, before[name]) for name, tensor in whose.state_dict().items())
    told = summary(student, whose)
    assert told["text_parameters"] == sum(p.numel() for p in student.text_module().parameters())
    assert told["image_parameters"] == sum(p.numel() for p in whose.image_module().parameters())
    student.save(tmp_path / "run", images=towers == "both")
    again = checkpoint.load(tmp_path / "run", whose)
    pixels = torch.full((1, student.fit.size, student.fit.size, 3), 9, dtype=torch.uint8)
    with torch.inference_mode():
        ids = student.tokenize(ALL)
        assert torch.equal(again.text_features(again.tokenize(ALL)), student.text_features(ids))
        assert torch.equal(again.image_features(pixels), student.image_features(pixels))
    assert again.temperature == student.temperature
    assert checkpoint.needs_teacher(tmp_path / "run")
    if towers == "text":
        whose.save(tmp_path / "teacher")
        assert not checkpoint.needs_teacher(tmp_path / "teacher")
        reader = checkpoint.load_text(tmp_path / "run", tmp_path / "teacher")
        with torch.inference_mode():
            assert torch.equal(reader.text_features(reader.tokenize(ALL)), student.text_features(ids))
    with pytest.raises(CheckpointError, match="beside its teacher"):
        checkpoint.load(tmp_path / "run")


def test_encoders_that_cannot_be_used_say_why(checkpoints: Checkpoints, tmp_path: Path) -> None:
    def refused(match: str, revision: str | None = None, encoder: str | None = None) -> None:
        with pytest.raises(PretrainedError, match=match):
            EncoderSpec(encoder=encoder or str(folder), revision=revision).check()

    folder = Path(shutil.copytree(checkpoints("small_encoder"), tmp_path / "encoder"))
    EncoderSpec(encoder=str(folder)).check()
    refused("give its `revision`", encoder="intfloat/multilingual-e5-small")
    refused("a folder: a `revision` pins names", "0" * 40)
    config = json.loads((folder / "config.json").read_text())
    for change, match in (
        ({"model_type": "m2m_100", "is_encoder_decoder": True}, "must be an encoder"),
        ({"model_type": "of-my-own"}, "transformers cannot read"),
        ({"model_type": "siglip"}, "no text encoder|transformers cannot read"),
    ):
        (folder / "config.json").write_text(json.dumps({**config, **change}))
        refused(match)
    (folder / "config.json").write_text(json.dumps(config))
    weights = folder / "model.safetensors"
    state = load_file(weights)
    gone = next(name for name in state if name.endswith("query.weight"))
    save_file({name: tensor for name, tensor in state.items() if name != gone}, weights, metadata={"format": "pt"})
    from study.models.text_encoder import files

    with pytest.raises(PretrainedError, match=f"missing: .*{gone}"):
        files.download(str(folder), None)
    weights.rename(folder / "pytorch_model.bin")
    refused(r"pytorch_model\.bin would have to be unpickled")


def test_a_plan_says_fraction_or_encoder(spec: EncoderSpec) -> None:
    from pipeline.validate import scale

    assert scale(0.5) == {"fraction": 0.5}
    assert scale_of(scale(0.5)) == 0.5
    plan = scale(spec)
    assert set(plan) == {"encoder", "encoder_contents"}
    assert scale_of(plan) == spec
    content = plan["encoder_contents"]
    assert content is not None
    assert scale(EncoderSpec(encoder="org/name", revision="0" * 40))["encoder_contents"] is None


def test_params_yaml_takes_fractions_and_encoders(
    tmp_path: Path, checkpoints: Checkpoints, monkeypatch: pytest.MonkeyPatch
) -> None:
    from ruamel.yaml import YAML

    from pipeline.sources import ROOT
    from study.config.check import load
    from study.config.params import ParamsError

    yaml = YAML(typ="safe", pure=True)
    declared = yaml.load(ROOT / "params.yaml")
    folder = str(checkpoints("small_encoder"))

    def problems(sizes: dict[str, Any]) -> str:
        names = [name for name in sizes if "." not in name]
        changed = {**declared, "sizes": sizes, "grid": {**declared["grid"], "sizes": names}}
        with (tmp_path / "params.yaml").open("w") as file:
            yaml.dump(changed, file)
        try:
            loaded = load(tmp_path / "params.yaml")
        except ParamsError as error:
            return str(error)
        assert loaded.sizes["half"] == 0.5
        return ""

    assert problems({"half": 0.5, "minilm": {"encoder": folder, "pooling": "cls", "vocabulary": 300}}) == ""
    assert "unknown key 'sizes.minilm.poolin'; did you mean 'pooling'?" in problems(
        {"minilm": {"encoder": folder, "poolin": "cls"}}
    )
    assert "missing key 'sizes.minilm.encoder'" in problems({"minilm": {"pooling": "cls"}})
    assert "sizes.half is 1.5" in problems({"half": 1.5})
    assert "sizes.half is 'half'" in problems({"half": "half"})
    told = problems({"minilm": {"encoder": "no/such-encoder"}})
    assert "sizes.minilm: checkpoint 'no/such-encoder' is a name on the hub: give its `revision`" in told
