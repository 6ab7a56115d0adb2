"""The cache of a teacher's outputs: the right rows, the right owner, and nothing made twice."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from study.config.embedding import Dtype, EmbeddingSpec
from study.data.prepared import PreparedCorpus
from study.distill.dataset import DistillDataset, token_ids
from study.distill.embeddings import EmbeddingError, check_key, write_embeddings
from study.distill.shards import ShardedArray
from study.models.dual_encoder import DualEncoder
from study.models.embed import BLOCK, TOKENS, block_size, embed_images, embed_texts

CPU = torch.device("cpu")
ROUNDED: dict[Dtype, float] = {"float32": 1e-6, "float16": 2**-11, "bfloat16": 2**-8}


@pytest.mark.parametrize("dtype", list(ROUNDED))
def test_embeddings_are_the_teachers_row_by_row(
    teacher: DualEncoder, corpus: PreparedCorpus, dtype: Dtype, tmp_path: Path
) -> None:
    write_embeddings(teacher, corpus, tmp_path, CPU, True, EmbeddingSpec(dtype=dtype, shard=7))
    distil = corpus.captions("distil")
    expected = {
        "distil_x": embed_texts(teacher, distil["text"].tolist(), CPU),
        "distil_e": embed_texts(teacher, distil["english"].tolist(), CPU),
        "distil_images": embed_images(teacher, corpus.pictures("distil"), CPU),
    }
    for name, values in expected.items():
        assert len(list((tmp_path / name).glob("*.npy"))) == 6
        np.testing.assert_allclose(ShardedArray(tmp_path / name).whole(), values, atol=1e-6, rtol=ROUNDED[dtype])
    layers = ShardedArray(tmp_path / "distil_layers")
    assert layers.row == (teacher.text_layers + 1, teacher.token_table().embedding_dim)
    with torch.inference_mode():
        output = teacher.text_output(teacher.tokenize(distil["text"].tolist()[30:31]))
    mean = torch.stack(output.hidden)[:, 0, output.mask[0]].mean(dim=1)
    np.testing.assert_allclose(layers.take([30])[0], mean, atol=1e-5, rtol=ROUNDED[dtype])


def test_a_block_is_bounded_in_items_and_in_tokens() -> None:
    assert [block_size(tokens) for tokens in (1, 64, 65, 256, TOKENS, 2 * TOKENS)] == [BLOCK, BLOCK, 252, 64, 1, 1]


def test_the_size_of_a_block_changes_no_row(
    teacher: DualEncoder, corpus: PreparedCorpus, monkeypatch: pytest.MonkeyPatch
) -> None:
    texts, pictures = corpus.captions("distil")["text"].tolist(), corpus.pictures("distil")
    whole = embed_texts(teacher, texts, CPU), embed_images(teacher, pictures, CPU)
    monkeypatch.setattr("study.models.embed.TOKENS", 3 * teacher.context)
    assert block_size(teacher.context) == 3
    assert len(pictures) % block_size(teacher.image_tokens)  # the last block is not full
    np.testing.assert_allclose(embed_texts(teacher, texts, CPU), whole[0], atol=1e-6)
    np.testing.assert_allclose(embed_images(teacher, pictures, CPU), whole[1], atol=1e-6)


def test_students_read_the_rows_of_their_batch(
    teacher: DualEncoder, corpus: PreparedCorpus, embeddings: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = np.array([3, 39, 3, 0])
    images = corpus.captions("distil")["image"].to_numpy()[rows]
    for limit in (1 << 29, 0):
        monkeypatch.setattr("study.distill.dataset.RESIDENT_BYTES", limit)
        taught = DistillDataset(corpus, embeddings, CPU, layers=True)(rows)
        for found, name, wanted in (
            (taught.x, "distil_x", rows),
            (taught.e, "distil_e", rows),
            (taught.image, "distil_images", images),
            (taught.layers, "distil_layers", rows),
        ):
            assert found is not None
            assert torch.equal(found, ShardedArray(embeddings / name).whole()[torch.from_numpy(wanted)])


def test_another_teacher_or_tokenizer_is_refused_and_embeds_anew(
    teacher: DualEncoder, corpus: PreparedCorpus, embeddings: Path
) -> None:
    check_key(embeddings, teacher, corpus)
    before = {path: path.stat().st_mtime_ns for path in embeddings.rglob("*.npy")}
    write_embeddings(teacher, corpus, embeddings, CPU, True)
    assert {path: path.stat().st_mtime_ns for path in embeddings.rglob("*.npy")} == before
    kept = teacher.vocabulary
    teacher.vocabulary, _ = kept.trim(len(kept) - 1, [])
    with pytest.raises(EmbeddingError, match="made from another teacher"):
        check_key(embeddings, teacher, corpus)
    teacher.vocabulary = kept
    check_key(embeddings, teacher, corpus)
    with torch.no_grad():
        teacher.token_table().weight[-1, 0] += 1e-3
    with pytest.raises(EmbeddingError, match="made from another teacher"):
        check_key(embeddings, teacher, corpus)
    write_embeddings(teacher, corpus, embeddings, CPU, True)
    check_key(embeddings, teacher, corpus)
    assert all(path.stat().st_mtime_ns > made for path, made in before.items())
    (embeddings / "key.json").unlink()
    with pytest.raises(EmbeddingError, match=r"has no key\.json"):
        check_key(embeddings, teacher, corpus)


def test_a_run_that_was_stopped_encodes_what_is_missing(
    teacher: DualEncoder, corpus: PreparedCorpus, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stop(name: str, total: int, done: int) -> None:
        if (name, done) == ("distil_x", 20):
            raise KeyboardInterrupt

    spec = EmbeddingSpec(shard=10)
    with pytest.raises(KeyboardInterrupt):
        write_embeddings(teacher, corpus, tmp_path / "a", CPU, False, spec, stop)
    assert not (tmp_path / "a" / "key.json").exists()
    encoded: list[int] = []
    tokenize = teacher.tokenize

    def counted(texts: list[str]) -> torch.Tensor:
        encoded.append(len(texts))
        return tokenize(texts)

    monkeypatch.setattr(teacher, "tokenize", counted)
    write_embeddings(teacher, corpus, tmp_path / "a", CPU, False, spec)
    assert len(encoded) == 2 + 4  # of four shards of x, and all of e
    monkeypatch.setattr(teacher, "image_features", None)  # images are there and not read again
    write_embeddings(teacher, corpus, tmp_path / "a", CPU, False, spec)
    monkeypatch.undo()
    write_embeddings(teacher, corpus, tmp_path / "b", CPU, False, spec)
    for path in (tmp_path / "b").rglob("*.*"):
        assert path.read_bytes() == (tmp_path / "a" / path.relative_to(tmp_path / "b")).read_bytes()


def test_blocks_of_texts_are_the_texts(corpus: PreparedCorpus) -> None:
    texts = corpus.captions("distil")["text"].tolist()
    for rows in (1, 7, 40, 100):
        blocks = list(corpus.text_blocks("distil", "text", rows))
        assert [text for block in blocks for text in block] == texts
        assert {len(block) for block in blocks[:-1]} <= {rows}


def test_texts_are_encoded_alike_in_one_piece_and_in_several(
    teacher: DualEncoder, texts: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    whole, ids = embed_texts(teacher, texts, CPU), teacher.tokenize(texts)
    monkeypatch.setattr("study.models.embed.TOGETHER", 7)
    monkeypatch.setattr("study.distill.dataset.TOGETHER", 7)
    np.testing.assert_allclose(embed_texts(teacher, texts, CPU), whole, atol=1e-6)
    assert torch.equal(token_ids(teacher, texts).long(), ids)
    assert embed_texts(teacher, [], CPU).shape == (0, teacher.embedding_width)
