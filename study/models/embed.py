"""What a model makes of images and texts, some at a time. Shape legend: N texts, M items, D embedding width,
K hidden states, E width of the text tower."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import numpy as np
import torch
from torch import Tensor

from study.data.pictures import Pictures
from study.models.dual_encoder import DualEncoder, TextOutput

BLOCK = 256
"""Items that a model reads at a time, at most."""


TOKENS = 16_384
"""Tokens (of an image: patches) that it reads at a time: what bounds its activations, whatever its size."""


TOGETHER = 65_536
"""Different texts that are tokenised and sorted by length together."""


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
