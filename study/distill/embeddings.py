"""A teacher's outputs on the distillation corpus, made once.

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

import torch
from torch import Tensor

from study.config.embedding import EmbeddingSpec
from study.data.prepared import PreparedCorpus, file_hash
from study.distill.shards import ShardSource, digest, write_array
from study.models.dual_encoder import DualEncoder
from study.models.embed import embed_texts, image_blocks, layer_blocks

Report = Callable[[str, int, int], None]
"""Called with an array's name, its rows in all and those that are there."""


class EmbeddingError(ValueError):
    """Cached embeddings do not belong to this teacher or these data."""


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
