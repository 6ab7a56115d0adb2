"""A teacher's outputs on everything that students meet, computed once and cached as arrays.

On disk, row-aligned with the prepared corpus: images_<set>.npy [M, D]; distil_x.npy, distil_e.npy
[M, D]; distil_layers.npy [M, K, E] (token-pooled hidden states of x, only if some method needs them).
All float32; key.json says which teacher and which data.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from study.corpora.layout import PreparedCorpus
from study.towers.protocol import DualEncoder, TextOutput

BLOCK = 256
IMAGE_SETS = ("distil", "validation", "test", "vqa_validation", "vqa_test")


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


def embed_images(model: DualEncoder, pixels: np.ndarray, device: torch.device) -> np.ndarray:
    """[M, D] of uint8 [M, H, W, 3]."""
    return blockwise(model.image_features, torch.from_numpy(np.array(pixels)), device)


def embed_texts(model: DualEncoder, texts: Sequence[str], device: torch.device) -> np.ndarray:
    """[M, D]; equal texts are encoded once, short ones together."""
    unique = sorted(set(texts), key=lambda text: (len(text), text))
    place = {text: row for row, text in enumerate(unique)}
    features = blockwise(model.text_features, model.tokenize(unique), device)
    return features[[place[text] for text in texts]]


def write_embeddings(
    model: DualEncoder, corpus: PreparedCorpus, out: Path, device: torch.device, layers: bool, batch: int = BLOCK
) -> None:
    """Fill `out` with the arrays named above."""
    out.mkdir(parents=True, exist_ok=True)
    for name in IMAGE_SETS:
        if name in corpus.card.images:
            np.save(out / f"images_{name}.npy", embed_images(model, corpus.images(name), device))  # type: ignore[arg-type]
    distil = corpus.captions("distil")
    np.save(out / "distil_x.npy", embed_texts(model, distil["text"].tolist(), device))
    np.save(out / "distil_e.npy", embed_texts(model, distil["english"].tolist(), device))
    if layers:
        ids = model.tokenize(distil["text"].tolist())
        hidden = blockwise(lambda part: pooled_layers(model.text_output(part)), ids, device, batch)
        np.save(out / "distil_layers.npy", hidden)
