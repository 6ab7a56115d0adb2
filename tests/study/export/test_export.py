"""An exported model, loaded by its library alone, is the same model: ids, pixels, embeddings, scores."""

from __future__ import annotations

import json
import unicodedata
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from ruamel.yaml import YAML

from pipeline import stage
from pipeline.export import export
from study.data.pictures import PixelPictures
from study.data.prepared import PreparedCorpus
from study.eval.retrieval import retrieval_rows
from study.export import ExportError
from study.models.embed import embed_images, embed_texts
from study.models.tokenizers.vocabulary import EOS, PAD, Vocabulary, clean
from study.names import UnknownNameError
from study.seeds import stream
from tests.study.export.exported import (
    ALONE,
    CLEANED_BY_OPEN_CLIP,
    CONTEXT,
    LIBRARY,
    TEXTS,
    Study,
    alone,
    run_alone,
    similarities,
)
from tests.study.tiny import LANGUAGES

SCORED = ("retrieval", "vqa")
BENCHMARKED = ALONE.with_name("benchmarked.py")


TOLD_OF_ANY_SIGLIP = [
    f"[transformers] Model config: {name}_token_id must be `None` or an integer within the vocabulary (between 0 and "
    f"31999), got {index}. This may result in unexpected behavior."
    for name, index in (("bos", 49406), ("eos", 49407))
]
"""transformers 5.23 says this of the defaults of its own class, whatever it loads; the card tells."""


@pytest.mark.parametrize("to", ["open_clip", "sentence-transformers"])
def test_the_library_alone_gives_the_same_ids_pixels_embeddings_and_scores(
    to: str, inside: Study, tmp_path: Path
) -> None:
    student, others = inside.student, []
    if to == "open_clip" and student.family == "siglip2":
        pytest.skip("no model of open_clip")
    out = tmp_path / inside.cell
    export(inside.cell, to, out)
    if to == "sentence-transformers":  # one process for both: the folders are alike, see below
        others = [tmp_path / "transformers" / inside.cell]
        export(inside.cell, "transformers", others[0])

    corpus = PreparedCorpus(inside.folder / "corpus")
    captions = corpus.captions("test")
    gallery = np.array(corpus.images("test"))
    noise = stream("test", "pixels").integers(0, 256, (5, *gallery.shape[1:]), dtype=np.uint8)
    texts = [*TEXTS, *captions["text"]]
    theirs, told = alone(to, out, np.concatenate([noise, gallery]), texts, tmp_path, *others)

    ids = student.tokenize(texts).numpy()
    np.testing.assert_array_equal(theirs["ids"], ids)
    # What open_clip's own cleaning changes before the tokenizer is called: these ids are of the changed text.
    cleaned = theirs["cleaned"].tolist()
    np.testing.assert_array_equal(theirs["default_ids"], student.tokenize(cleaned).numpy())
    changed = {text for text, other in zip(texts, cleaned, strict=True) if clean(text) != clean(other)}
    assert changed == (CLEANED_BY_OPEN_CLIP if to == "open_clip" else set())
    assert (ids[:, -1] == EOS).any()
    assert (ids[:, -1] == PAD).any()

    if student.family == "clip":
        scale = 255 * np.asarray([0.26862954, 0.26130258, 0.27577711])
        pixels = (noise - 255 * np.asarray([0.48145466, 0.4578275, 0.40821073])) / scale
    else:
        pixels = noise / 127.5 - 1.0
    np.testing.assert_allclose(theirs["pixels"][:5], pixels.transpose(0, 3, 1, 2), atol=1e-5)

    cpu = torch.device("cpu")
    ours_images = embed_images(student, PixelPictures(np.concatenate([noise, gallery])), cpu)
    ours_texts = embed_texts(student, texts, cpu)
    np.testing.assert_allclose(theirs["images"], ours_images, atol=1e-5)
    np.testing.assert_allclose(theirs["texts"], ours_texts, atol=1e-5)
    if to == "sentence-transformers":
        assert theirs["width"] == student.embedding_width
        np.testing.assert_allclose(theirs["default_texts"], ours_texts, atol=1e-5)  # one text at a time
    assert told == (TOLD_OF_ANY_SIGLIP if student.family == "siglip2" else [])
    if to == "open_clip":
        assert "Unrecognized model" in str(theirs["refused"])
    similarity = similarities(student, noise[:1])
    np.testing.assert_allclose(theirs["card_0"], similarity, atol=1e-5)
    if others:
        bias = student.temperature.get("model.logit_bias", 0.0)
        logits = student.temperature["model.logit_scale"] * similarity + bias
        np.testing.assert_allclose(theirs["card_1"], logits, atol=1e-4)
    assert theirs["scale"].item() == pytest.approx(student.temperature["model.logit_scale"], rel=1e-6)

    def rows(images: np.ndarray, embedded: np.ndarray) -> pd.DataFrame:
        groups = {language: (captions["language"] == language).to_numpy() for language in LANGUAGES}
        index = {language: captions["image"].to_numpy()[group] for language, group in groups.items()}
        by_language = {language: embedded[group] for language, group in groups.items()}
        return retrieval_rows(images, by_language, index, protocol="all-captions")

    of_library = rows(theirs["images"][5:], theirs["texts"][len(TEXTS) :])
    of_study = pd.read_parquet(inside.folder / "scores" / inside.cell / "retrieval.parquet")
    key = ["language", "direction", "metric"]
    both = of_library.merge(of_study, on=key, suffixes=("", "_study"), validate="one_to_one")
    assert len(both) == len(of_study)
    np.testing.assert_allclose(both["score"], both["score_study"], atol=1e-4)


def test_transformers_and_sentence_transformers_read_the_same_folder(inside: Study, tmp_path: Path) -> None:
    folders = [tmp_path / to for to in ("transformers", "sentence-transformers")]
    for folder in folders:
        export(inside.cell, folder.name, folder)
    names = [sorted(path.relative_to(folder) for path in folder.rglob("*") if path.is_file()) for folder in folders]
    assert names[0] == names[1]
    told = {Path("README.md"), Path("export.json")}
    assert [name for name in names[0] if len({(folder / name).read_bytes() for folder in folders}) > 1] == sorted(told)


def test_clip_benchmark_gives_the_same_recall_of_a_model_of_transformers(inside: Study, tmp_path: Path) -> None:
    if inside.student.family == "clip":
        pytest.skip("its command on a model of open_clip is tested as README.md has it")
    export(inside.cell, "transformers", tmp_path / "model")
    corpus = PreparedCorpus(inside.folder / "corpus")
    np.savez(tmp_path / "images.npz", images=corpus.images("test"))
    texts = {
        str(language): rows.groupby("image")["text"].agg(list).tolist()
        for language, rows in corpus.captions("test").groupby("language", observed=True)
    }
    (tmp_path / "captions.json").write_text(json.dumps(texts))
    printed = run_alone(BENCHMARKED, tmp_path / "model", tmp_path / "images.npz", tmp_path / "captions.json")
    theirs = json.loads(printed.out.splitlines()[-1])

    scores = pd.read_parquet(inside.folder / "scores" / inside.cell / "retrieval.parquet")
    ours = scores.set_index(["language", "direction", "metric"])["score"]
    assert set(theirs) == set(LANGUAGES)
    names = {"text_to_image": "image_retrieval_recall", "image_to_text": "text_retrieval_recall"}
    for language in LANGUAGES:
        for direction, name in names.items():
            for k in (1, 5):
                expected = ours[language, direction, f"recall@{k}"]
                assert theirs[language][f"{name}@{k}"] == pytest.approx(expected, abs=1e-4)
    assert 0 < ours.loc[:, :, "recall@5"].mean() < 1


def test_the_tokenizers_lower_case_is_pythons_for_every_letter(study: Study, tmp_path: Path) -> None:
    from study.export.tokenizer import write_tokenizer

    assert isinstance(study.student.vocabulary, Vocabulary)
    write_tokenizer(study.student.vocabulary, CONTEXT, bos=False, folder=tmp_path)
    from tokenizers import Tokenizer

    normalise = Tokenizer.from_file(str(tmp_path / "tokenizer.json")).normalizer.normalize_str
    letters = [chr(c) for c in range(0x110000) if unicodedata.category(chr(c)) not in ("Cn", "Cs")]
    assert [letter for letter in letters if normalise(letter) != clean(letter)] == []
    rng = stream("test", "sigma")
    for length in rng.integers(1, 9, 3000):
        text = "".join(rng.choice(list("ΣΣΣαΑ bİ'.\u0301\u0345\u00adʰ😀2ー가"), length))
        assert normalise(text) == clean(text), repr(text)


def test_the_card_tells_scores_recipe_and_licences(inside: Study, tmp_path: Path) -> None:
    out = tmp_path / "model"
    export(inside.cell, LIBRARY[inside.student.family], out)
    card = (out / "README.md").read_text(encoding="utf-8")
    front = YAML(typ="safe").load(card.split("---\n")[1])
    assert front["license"] == "apache-2.0"
    assert front["language"] == list(LANGUAGES)
    assert front["library_name"] == LIBRARY[inside.student.family]
    retrieval = pd.read_parquet(inside.folder / "scores" / inside.cell / "retrieval.parquet")
    swahili = retrieval[(retrieval["language"] == "sw") & (retrieval["metric"] == "map@10")].set_index("direction")
    points = 100 * swahili["score"].astype(float)
    expected = [f"{points[way]:.1f}" for way in ("text_to_image", "image_to_text")]
    line = next(line for line in card.splitlines() if line.startswith("| sw |"))
    assert line.split(" | ")[1:3] == expected
    for told in ("ed (weight 1.0)", f"{inside.student.family}-teacher", "0.003", "| seed | 3 |", "the tests"):
        assert told in card
    row = json.loads((inside.folder / "runs" / inside.cell / "run.json").read_text())["row"]
    assert f"{row['parameters']:,}" in card


def test_the_hub_reads_the_cards_scores_base_and_data(inside: Study, tmp_path: Path) -> None:
    from huggingface_hub import ModelCard

    out = tmp_path / "model"
    export(inside.cell, "sentence-transformers", out)
    card = ModelCard.load(out / "README.md").data
    assert card.library_name == "sentence-transformers"
    assert card.pipeline_tag == "sentence-similarity"
    assert card.base_model == [f"{inside.student.family}-teacher"]
    assert card.datasets == ["small-polyglots-colours"]
    assert card.model_name == inside.cell
    scores = {name: pd.read_parquet(inside.folder / "scores" / inside.cell / f"{name}.parquet") for name in SCORED}
    retrieval = scores["retrieval"].set_index(["language", "direction", "metric"])["score"]
    accuracy = scores["vqa"].groupby("language")["correct"].mean()
    expected = {
        (task, language): value
        for language in LANGUAGES
        for task, value in {
            "text-to-image-retrieval": retrieval[language, "text_to_image", "map@10"],
            "image-to-text-retrieval": retrieval[language, "image_to_text", "map@10"],
            "visual-question-answering": accuracy[language],
        }.items()
    }
    assert card.eval_results is not None
    told = {(result.task_type, result.dataset_config): result.metric_value for result in card.eval_results}
    assert told == pytest.approx(expected, abs=1e-6)
    export(f"{inside.student.family}-teacher", "sentence-transformers", tmp_path / "teacher")
    assert ModelCard.load(tmp_path / "teacher" / "README.md").data.base_model is None


def test_towers_that_clipmodel_has_not_are_refused_by_name(inside: Study, tmp_path: Path) -> None:
    if inside.student.family == "siglip2":
        pytest.skip("its towers are transformers' own")
    from study.export import target
    from study.models.open_clip.clip import Clip

    for block, name, value in (("vision_cfg", "pool_type", "avg"), ("text_cfg", "no_causal_mask", True)):
        config = inside.student.config
        config[block][name] = value
        assert isinstance(inside.student.vocabulary, Vocabulary)
        model = Clip(config, inside.student.vocabulary)
        with pytest.raises(ExportError, match=rf"CLIPModel has nothing for {block}\.{name} .* export to open_clip$"):
            target("sentence-transformers", "clip").write(model, tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_without_scores_or_with_scores_of_another_training_the_card_says_so(
    inside: Study, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pipeline.paths.SCORES", Path("nowhere"))
    to = LIBRARY[inside.student.family]
    export(inside.cell, to, tmp_path / "model")
    assert "had not been scored" in (tmp_path / "model" / "README.md").read_text()
    monkeypatch.undo()
    monkeypatch.chdir(inside.folder)
    monkeypatch.setattr("pipeline.paths.PLAN", tmp_path / "plan")
    stage.write_json(tmp_path / "plan" / "evaluation.json", {"protocol": "all-captions"})
    record = Path("scores") / inside.cell / "fingerprint"
    record.write_text("another\n")
    export(inside.cell, to, tmp_path / "model")
    assert "of another training or protocol" in (tmp_path / "model" / "README.md").read_text()
    record.unlink()


def test_a_teacher_leaves_too(inside: Study, tmp_path: Path) -> None:
    export(f"{inside.student.family}-teacher", LIBRARY[inside.student.family], tmp_path / "model")
    assert (tmp_path / "model" / "tokenizer.json").is_file()


def test_what_cannot_be_exported_is_refused_by_name(inside: Study, tmp_path: Path) -> None:
    arch, out = inside.student.family, tmp_path / "model"
    with pytest.raises(stage.StageError, match=f"did you mean .*{inside.cell}"):
        export(f"{arch}-half-de-s3", LIBRARY[arch], out)
    if arch == "siglip2":
        with pytest.raises(ExportError, match=r"family siglip2 .* to transformers or sentence-transformers$"):
            export(inside.cell, "open_clip", out)
    for wrong, right in (("openclip", "open_clip"), ("sentence_transformers", "sentence-transformers")):
        with pytest.raises(UnknownNameError, match=f"did you mean '{right}'"):
            export(inside.cell, wrong, out)
    assert not out.exists()


def test_a_cell_without_a_run_and_a_folder_without_a_study(
    inside: Study, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pipeline.paths.PLAN", tmp_path / "plan")
    stage.write_json(tmp_path / "plan" / "grid.json", {"cells": ["clip-half-fd-s9"], "teachers": []})
    with pytest.raises(stage.StageError, match="clip-half-fd-s9 is not trained"):
        export("clip-half-fd-s9", "open_clip", tmp_path / "model")
    monkeypatch.undo()
    monkeypatch.chdir(tmp_path / "plan")
    with pytest.raises(stage.StageError, match="no study's models"):
        export(inside.cell, "open_clip", tmp_path / "model")


def test_only_what_an_export_wrote_is_replaced(inside: Study, tmp_path: Path) -> None:
    out, to = tmp_path / "model", LIBRARY[inside.student.family]
    out.mkdir()
    export(inside.cell, to, out)
    before = sorted(path.name for path in out.iterdir())
    export(inside.cell, to, out)
    assert sorted(path.name for path in out.iterdir()) == before
    (out / "thesis.txt").write_text("mine")
    with pytest.raises(stage.StageError, match=r"thesis\.txt, which no export wrote"):
        export(inside.cell, to, out)
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "README.md").write_text("mine")
    with pytest.raises(stage.StageError, match="which no export wrote"):
        export(inside.cell, to, tmp_path / "other")
    with pytest.raises(stage.StageError, match="is a file"):
        export(inside.cell, to, out / "thesis.txt")


def test_a_failed_export_leaves_the_old_one(inside: Study, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    out, to = tmp_path / "model", LIBRARY[inside.student.family]
    export(inside.cell, to, out)
    before = stage.tree_hash([out])

    def fail(*_: object) -> str:
        raise OSError("no more")

    monkeypatch.setattr("study.export.card.model_card", fail)
    with pytest.raises(OSError, match="no more"):
        export(inside.cell, to, out)
    assert stage.tree_hash([out]) == before
    assert [path.name for path in tmp_path.iterdir()] == ["model"]
