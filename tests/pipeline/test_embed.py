"""Embeddings whose shards are made side by side are those that one process makes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from pipeline import embed, stage
from study.config.embedding import EmbeddingSpec
from study.config.params import ExecutionSpec
from study.distill.embeddings import shards, write_embeddings
from study.models import trainable
from study.models.tokenizers.vocabulary import Vocabulary
from study.seeds import torch_stream
from tests.study.tiny import write_corpus

SPEC = EmbeddingSpec(dtype="float32", shard=16)


def test_shards_made_by_several_workers_are_taken_as_they_are(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    corpus = write_corpus(tmp_path / "corpus")
    frame = corpus.captions("distil")
    with torch_stream("test", "embed"):
        vocabulary = Vocabulary.train([*frame["text"], *frame["english"]] * 20, 400)
        teacher = trainable("clip").build("polyglot-s-p8-32", vocabulary, 20).eval()
    teacher.save(tmp_path / "teachers" / "clip")
    cpu = torch.device("cpu")
    write_embeddings(teacher, corpus, tmp_path / "alone", cpu, True, SPEC)

    declared: dict[str, Any] = {"engine": "local", "device": "cpu", "workers": 2, "threads": 1}
    monkeypatch.setattr(embed, "execution", lambda: ExecutionSpec(**declared))
    monkeypatch.setattr(embed, "open_corpus", lambda: corpus)
    into = stage.scratch("embed", "clip-key")
    embed.make_ahead("clip", into, True, SPEC)
    assert shards(corpus, True, SPEC) == len(list(into.glob("*/*.npy"))) == 12
    assert "12 of 12 done" in capsys.readouterr().out

    monkeypatch.setattr("study.models.embed.embed_texts", None)  # nothing is made again
    write_embeddings(teacher, corpus, into, cpu, True, SPEC)
    names = sorted(path.relative_to("alone") for path in Path("alone").rglob("*") if path.is_file())
    assert sorted(path.relative_to(into) for path in into.rglob("*") if path.is_file()) == names
    assert all((into / name).read_bytes() == (Path("alone") / name).read_bytes() for name in names)


def test_a_large_teacher_is_held_once_on_a_cpu(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    corpus = write_corpus(tmp_path / "corpus")
    (tmp_path / "teachers" / "clip").mkdir(parents=True)
    (tmp_path / "teachers" / "clip" / "model.safetensors").write_bytes(b"large")
    monkeypatch.setattr(embed, "LARGEST", 4)
    monkeypatch.setattr(embed, "execution", lambda: ExecutionSpec(device="cpu", workers=2))
    monkeypatch.setattr(embed, "open_corpus", lambda: corpus)
    embed.make_ahead("clip", stage.scratch("embed", "clip-key"), True, SPEC)
    assert not stage.SCRATCH.exists()
