"""A small fixed batch on which a published checkpoint is compared with its own library when it is loaded.

What a file means is the library's to say. So the batch goes through this project's path and through the library's,
from texts and images to embeddings, and the first part that differs is named. Shape legend: N texts, M images, L
tokens, H x W pixels, D embedding width.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import NamedTuple

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from study.data.pictures import Fit
from study.models.dual_encoder import DualEncoder, normalise, standardised
from study.models.errors import PretrainedError

TEXTS = (
    "A Red House, on the HILL!",
    "",
    "Ein grüner Zug fährt über die Brücke. " * 40,  # longer than every context
    "赤い家と青い電車",
    "अ छोटा नीला घर",
    " \t\n",
    "x",
    "Красный ДОМ",
    "بيت أحمر صغير",
    "บ้านสีแดง",
    "ΟΔΟΣ, naïve cafe\u0301 and ﬁne Straße",
    "two   spaces\tand\n\na line",
    "salt &amp; pepper, <b>100 %</b>",
    "👩‍🚀🏠 No. 12,345",
    "Ａ１ 𝒃 ½",
)
"""Several scripts, capitals, punctuation, spaces, marks of HTML, and the shortest and longest texts."""
READ = 5
"""Of the texts, the first ones, go through the text tower: for large ones it takes most of the time."""
SHAPES = ((75, 50), (33, 47), (100, 21), (640, 427), (31, 64))
"""Width and height of the images, in pixels."""
SEEN = 2
"""Of the images, the first ones, go through the image tower."""
TOLERANCE = 1e-5
"""Largest difference of a number: of a standardised pixel, or of an entry of an embedding of length 1."""

SAME = f"are the same (differ by {TOLERANCE:g} at most)"


@functools.cache
def images() -> tuple[Image.Image, ...]:
    """The images: noise over a gradient, so that each way to resize them gives other pixels."""
    rng = np.random.default_rng(0)
    out = []
    for width, height in SHAPES:
        across, down = np.meshgrid(np.linspace(0, 160, width), np.linspace(0, 160, height))
        smooth = np.stack([across, down, 160 - across], axis=-1)
        out.append(Image.fromarray((smooth + rng.integers(0, 96, smooth.shape)).astype(np.uint8)))
    return tuple(out)


class Outputs(NamedTuple):
    """What is made of the batch: ids [N, L], standardised pixels [M, 3, H, W], embeddings of the first `READ` texts
    and `SEEN` images, [READ, D] and [SEEN, D], of length 1."""

    ids: Tensor
    pixels: Tensor
    texts: Tensor
    images: Tensor


def ours(model: DualEncoder, mean: Tensor, std: Tensor) -> Outputs:
    """The batch on this project's path; `mean` and `std` [3, 1, 1] of pixels from 0 to 255."""
    ids = model.tokenize(TEXTS)
    fit: Fit = model.fit
    pixels = torch.from_numpy(np.stack([fit(image) for image in images()]))
    return Outputs(
        ids, standardised(pixels, mean, std), model.text_features(ids[:READ]), model.image_features(pixels[:SEEN])
    )


def compare(where: object, library: str, own: Callable[[], Outputs], theirs: Callable[[], Outputs]) -> str:
    """What was compared, in words, once the two are found to be the same; each is called once, without gradients.

    Args:
        where: the checkpoint, for errors.
        library: its name and version.
        own: the batch on this project's path.
        theirs: the batch on the library's.

    Raises:
        PretrainedError: a part differs, or is not finite, or one of the two fails.
    """
    with torch.inference_mode(), torch.autocast("cpu", enabled=False):
        with failing(where, library):
            theirs_made = theirs()
        with failing(where, "this project"):
            own_made = own()
    check_ids(where, library, own_made.ids, theirs_made.ids)
    for part, mine, other in (
        ("pixels of an image", own_made.pixels, theirs_made.pixels),
        ("features of a text", own_made.texts, normalise(theirs_made.texts)),
        ("features of an image", own_made.images, normalise(theirs_made.images)),
    ):
        check_close(where, library, part, mine, other)
    return (
        f"{library}: ids of {len(TEXTS)} texts, pixels of {len(SHAPES)} images, features of {READ} and {SEEN} of them "
        f"{SAME}"
    )


def check_ids(where: object, library: str, mine: Tensor, other: Tensor) -> None:
    """Refuse ids [N, L] that are not the library's; raises PretrainedError, which shows the first text that differs."""
    if mine.shape != other.shape:
        raise PretrainedError(
            f"{where}: not read as by {library}: context length: {mine.shape[1]} tokens here, {other.shape[1]} there"
        )
    if len(rows := (mine != other).any(dim=1).nonzero().flatten().tolist()):
        raise PretrainedError(
            f"{where}: not read as by {library}: token ids: of {TEXTS[rows[0]][:40]!r} they are "
            f"{_shown(mine[rows[0]])} here, {_shown(other[rows[0]])} there"
        )


def check_close(where: object, library: str, part: str, mine: Tensor, other: Tensor) -> None:
    """Refuse numbers [n, ...] that are not the library's; raises PretrainedError, which names `part`."""
    if mine.shape != other.shape:
        raise PretrainedError(
            f"{where}: not read as by {library}: {part}: of shape {list(mine.shape[1:])} here, "
            f"{list(other.shape[1:])} there"
        )
    apart = (mine - other).abs().flatten(1).amax(dim=1)
    if not bool(torch.isfinite(apart).all()):
        raise PretrainedError(
            f"{where}: {part} {int((~torch.isfinite(apart)).nonzero()[0])} of the probe is not finite"
        )
    if float(apart.max()) > TOLERANCE:
        raise PretrainedError(
            f"{where}: not read as by {library}: {part}: number {int(apart.argmax())} of the probe differs by "
            f"{float(apart.max()):.2g}, at most {TOLERANCE:g} is allowed"
        )


@contextmanager
def failing(where: object, who: str) -> Iterator[None]:
    """Within it, whatever is raised says that `who` cannot run the checkpoint `where`: a PretrainedError."""
    try:
        yield
    except PretrainedError:
        raise
    except Exception as error:
        told = " ".join(f"{type(error).__name__}: {error}".split())[:300]
        raise PretrainedError(f"{where}: {who} cannot run it on a few texts and images: {told}") from error


def _shown(ids: Tensor) -> str:
    """The first and the last ids."""
    values = ids.tolist()
    return str(values) if len(values) <= 12 else f"{str(values[:8])[:-1]}, ... {', '.join(map(str, values[-3:]))}]"
