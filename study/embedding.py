"""A teacher's outputs on the distillation corpus, computed once and cached as arrays.

On disk, row-aligned with the prepared corpus: distil_images.npy, distil_x.npy, distil_e.npy [M, D];
distil_layers.npy [M, K, E] (token-pooled hidden states of x, only if some method needs them). All
float32; key.json says which teacher and which data.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from study.corpora.layout import PreparedCorpus
from study.pictures import Pictures
from study.towers.protocol import DualEncoder, TextOutput

BLOCK = 256


class EmbeddingError(ValueError):
    """Cached embeddings do not belong to this teacher or these data."""


def pooled_layers(output: TextOutput) -> Tensor:
    """Mean over tokens of every hidden state: [N, K, E], K = layers + 1, embedding output first."""
    mask = output.mask.unsqueeze(-1).float()
    tokens = mask.sum(dim=1)
    return torch.stack([(hidden * mask).sum(dim=1) / tokens for hidden in output.hidden], dim=1)


@torch.inference_mode()
def blockwise(
    function: Callable[[Tensor], Tensor], rows: Tensor, device: torch.device, block: int = BLOCK
) -> np.ndarray:
    """`function` over the first axis of `rows` in blocks, as one float32 array."""
    return np.concatenate([function(part.to(device)).float().cpu().numpy() for part in rows.split(block)])


def embed_images(model: DualEncoder, pictures: Pictures, device: torch.device) -> np.ndarray:
    """[M, D] of M images."""
    features = np.empty((len(pictures), model.embedding_width), dtype=np.float32)
    for start in range(0, len(pictures), BLOCK):
        rows = np.arange(start, min(start + BLOCK, len(pictures)))
        features[rows] = blockwise(model.image_features, torch.from_numpy(pictures.read(rows, model.fit)), device)
    return features


def embed_texts(model: DualEncoder, texts: Sequence[str], device: torch.device) -> np.ndarray:
    """[M, D]; equal texts are encoded once, short ones together."""
    place = {text: row for row, text in enumerate(dict.fromkeys(texts))}
    ids = model.tokenize(list(place))
    by_length = (ids != model.vocabulary.pad).sum(dim=1).argsort(stable=True)
    features = np.empty((len(place), model.embedding_width), dtype=np.float32)
    features[by_length.numpy()] = blockwise(model.text_features, ids[by_length], device)
    return features[[place[text] for text in texts]]


def key(teacher: DualEncoder, corpus: PreparedCorpus) -> dict[str, str]:
    """Which teacher and which data: a hash of its weights, and the corpus's own."""
    digest = hashlib.sha256()
    for name, tensor in sorted(teacher.state_dict().items()):
        digest.update(name.encode() + tensor.detach().cpu().contiguous().numpy().tobytes())
    return {"teacher": digest.hexdigest(), "corpus": corpus.card.content}


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
    teacher: DualEncoder, corpus: PreparedCorpus, out: Path, device: torch.device, layers: bool
) -> None:
    """Fill `out` with the arrays named above."""
    out.mkdir(parents=True, exist_ok=True)
    distil = corpus.captions("distil")
    np.save(out / "distil_images.npy", embed_images(teacher, corpus.pictures("distil"), device))
    np.save(out / "distil_x.npy", embed_texts(teacher, distil["text"].tolist(), device))
    np.save(out / "distil_e.npy", embed_texts(teacher, distil["english"].tolist(), device))
    if layers:
        ids = teacher.tokenize(distil["text"].tolist())
        hidden = blockwise(lambda part: pooled_layers(teacher.text_output(part)), ids, device)
        np.save(out / "distil_layers.npy", hidden)
    (out / "key.json").write_text(json.dumps(key(teacher, corpus), indent=1) + "\n")
