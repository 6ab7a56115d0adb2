"""What a model makes of images and texts; and a teacher's outputs on the distillation corpus, made once.

On disk, row-aligned with the prepared corpus and each in shards (`study.distill.shards`): distil_images [I, D];
distil_x, distil_e [M, D]; distil_layers [M, K, E] (token-pooled hidden states of x, only if some method needs
them). key.json, written last, says which teacher and which data.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import torch
from torch import Tensor

from study.config.embedding import EmbeddingSpec
from study.data.pictures import Pictures
from study.data.prepared import PreparedCorpus, file_hash
from study.distill.shards import ShardSource, digest, write_array
from study.models.dual_encoder import DualEncoder, TextOutput

BLOCK = 256
"""Items that a model reads at a time, at most."""

TOKENS = 16_384
"""Tokens (of an image: patches) that it reads at a time: what bounds its activations, whatever its size."""

TOGETHER = 65_536
"""Different texts that are tokenised and sorted by length together."""

Report = Callable[[str, int, int], None]
"""Called with an array's name, its rows in all and those that are there."""


class EmbeddingError(ValueError):
    """Cached embeddings do not belong to this teacher or these data."""


def pooled_layers(output: TextOutput) -> Tensor:
    """Mean over tokens of every hidden state: [N, K, E], K = layers + 1, embedding output first."""
    mask = output.mask.unsqueeze(-1).float()
    tokens = mask.sum(dim=1)
    return torch.stack([(hidden * mask).sum(dim=1) / tokens for hidden in output.hidden], dim=1)


def block_size(tokens: int) -> int:
    """Items of that many tokens each that a model reads at a time."""
    return max(1, min(BLOCK, TOKENS // tokens))


@torch.inference_mode()
def _apply(function: Callable[[Tensor], Tensor], rows: Tensor, device: torch.device) -> Tensor:
    """`function` of some rows, as float32 on the host."""
    return function(rows.to(device)).float().cpu()


def image_blocks(
    model: DualEncoder, pictures: Pictures, device: torch.device, start: int = 0, stop: int | None = None
) -> Iterator[Tensor]:
    """[n, D] of the images from `start` to `stop`, block by block."""
    stop = len(pictures) if stop is None else stop
    size = block_size(model.image_tokens)
    for first in range(start, stop, size):
        rows = np.arange(first, min(first + size, stop))
        yield _apply(model.image_features, torch.from_numpy(pictures.read(rows, model.fit)), device)


def embed_images(model: DualEncoder, pictures: Pictures, device: torch.device) -> np.ndarray:
    """[M, D] of M images."""
    features = np.empty((len(pictures), model.embedding_width), dtype=np.float32)
    done = 0
    for block in image_blocks(model, pictures, device):
        features[done : done + len(block)] = block.numpy()
        done += len(block)
    return features


def embed_texts(model: DualEncoder, texts: Sequence[str], device: torch.device) -> np.ndarray:
    """[M, D]; equal texts are encoded once, short ones together. Beside the result little is held."""
    place: dict[str, int] = {}
    code = np.fromiter((place.setdefault(text, len(place)) for text in texts), dtype=np.int64, count=len(texts))
    different = list(place)
    order, count = np.argsort(code, kind="stable"), np.bincount(code, minlength=len(different))
    rows_of = np.split(order, np.cumsum(count)[:-1])
    features = np.empty((len(texts), model.embedding_width), dtype=np.float32)
    for start in range(0, len(different), TOGETHER):
        ids = model.tokenize(different[start : start + TOGETHER])
        by_length = (ids != model.vocabulary.pad).sum(dim=1).argsort(stable=True)
        for chosen in by_length.split(block_size(ids.shape[1])):
            block = _apply(model.text_features, ids[chosen], device).numpy()
            codes = chosen.numpy() + start
            features[np.concatenate([rows_of[i] for i in codes])] = np.repeat(block, count[codes], axis=0)
    return features


def layer_blocks(model: DualEncoder, texts: Sequence[str], device: torch.device) -> Iterator[Tensor]:
    """[n, K, E] of the texts, block by block, by `pooled_layers`."""
    every = model.tokenize(texts)
    for ids in every.split(block_size(every.shape[1])):
        yield _apply(lambda part: pooled_layers(model.text_output(part)), ids, device)


def identity(teacher: DualEncoder) -> str:
    """A hash of what makes a teacher's outputs: weights, configuration, tokenizer, image transform."""
    made = hashlib.sha256()
    for name, tensor in sorted(teacher.state_dict().items()):
        made.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}\0".encode())
        made.update(tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().data)
    with TemporaryDirectory() as folder:
        teacher.vocabulary.save(Path(folder))
        files = sorted(path for path in Path(folder).rglob("*") if path.is_file())
        tokenizer = {path.relative_to(folder).as_posix(): file_hash(path) for path in files}
    handling = {"config": teacher.config, "context": teacher.context, "fit": asdict(teacher.fit)}
    return digest(made.hexdigest(), json.dumps(handling, sort_keys=True, default=str), json.dumps(tokenizer))


def key(teacher: DualEncoder, corpus: PreparedCorpus) -> dict[str, str]:
    """Which teacher and which data."""
    return {"teacher": identity(teacher), "corpus": corpus.card.content}


def check_key(folder: Path, teacher: DualEncoder, corpus: PreparedCorpus) -> None:
    """Refuse embeddings of another teacher or other data.

    Raises:
        EmbeddingError: key.json says so, or is not there.
    """
    try:
        written = json.loads((folder / "key.json").read_text())
    except FileNotFoundError:
        raise EmbeddingError(f"{folder} has no key.json: embed again") from None
    for what, value in key(teacher, corpus).items():
        if written.get(what) != value:
            raise EmbeddingError(f"{folder} was made from another {what}: embed again")


def write_embeddings(
    teacher: DualEncoder,
    corpus: PreparedCorpus,
    out: Path,
    device: torch.device,
    layers: bool,
    spec: EmbeddingSpec | None = None,
    report: Report | None = None,
) -> None:
    """Fill `out` with the arrays named above, or go on where an earlier call was stopped.

    Raises:
        study.distill.shards.ShardError: the teacher's output is not finite, or more than the declared type holds.
    """
    spec = spec or EmbeddingSpec()
    whose = key(teacher, corpus)
    images, captions = len(corpus.pictures("distil")), sum(corpus.card.captions["distil"].values())

    def features(texts: Sequence[str]) -> Iterable[Tensor]:
        return [torch.from_numpy(embed_texts(teacher, texts, device))]

    def hidden(texts: Sequence[str]) -> Iterable[Tensor]:
        return layer_blocks(teacher, texts, device)

    made_from = (whose["teacher"], spec.dtype)
    arrays: dict[str, tuple[int, Iterable[ShardSource]]] = {
        "distil_images": (images, _image_parts(teacher, corpus, device, spec.shard, made_from)),
        "distil_x": (captions, _text_parts(features, corpus, "text", spec.shard, made_from)),
        "distil_e": (captions, _text_parts(features, corpus, "english", spec.shard, made_from)),
    }
    if layers:
        arrays["distil_layers"] = (captions, _text_parts(hidden, corpus, "text", spec.shard, made_from))
    for name, (rows, parts) in arrays.items():
        said = None if report is None else partial(report, name, rows)
        write_array(out / name, spec.dtype, rows, parts, said)
    (out / "key.json").write_text(json.dumps(whose, indent=1) + "\n")


def _image_parts(
    teacher: DualEncoder, corpus: PreparedCorpus, device: torch.device, shard: int, made_from: tuple[str, ...]
) -> Iterator[ShardSource]:
    pictures = corpus.pictures("distil")
    files = sorted(value for name, value in corpus.card.files.items() if name.startswith("images/distil."))
    for start in range(0, len(pictures), shard):
        stop = min(start + shard, len(pictures))
        blocks = partial(image_blocks, teacher, pictures, device, start, stop)
        yield ShardSource(digest(*made_from, *files, start, stop), stop - start, blocks)


def _text_parts(
    encode: Callable[[Sequence[str]], Iterable[Tensor]],
    corpus: PreparedCorpus,
    column: str,
    shard: int,
    made_from: tuple[str, ...],
) -> Iterator[ShardSource]:
    for texts in corpus.text_blocks("distil", column, shard):
        yield ShardSource(digest(*made_from, *texts), len(texts), partial(encode, texts))
