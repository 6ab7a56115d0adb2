"""Mutations of any bytes: flips, cuts, insertions, repetitions, and lengths that lie."""

from __future__ import annotations

import struct
from collections.abc import Callable, Sequence
from random import Random

Mutation = Callable[[Random, bytes], bytes]

ODD = (
    b"\x00",
    b"\xff",
    b"\xff\xfe",
    b"\xef\xbb\xbf",
    b"\r",
    b"\n\n",
    b"\x1b[31m",
    b"\xc0\xaf",
    b"\xed\xa0\x80",
    b"%s%n",
)
"""Ends of texts, byte order marks, a control sequence, an overlong form and half a surrogate pair, and the like."""


def flip_bits(random: Random, content: bytes) -> bytes:
    """One bit to sixteen."""
    out = bytearray(content)
    for _ in range(random.choice((1, 1, 2, 4, 16)) if out else 0):
        out[random.randrange(len(out))] ^= 1 << random.randrange(8)
    return bytes(out)


def flip_head(random: Random, content: bytes) -> bytes:
    """Of the first 64 bytes, where most formats say what they are."""
    return flip_bits(random, content[:64]) + content[64:]


def cut(random: Random, content: bytes) -> bytes:
    """Cut off at any place, as a stopped download is."""
    return content[: random.randrange(len(content) + 1)]


def drop(random: Random, content: bytes) -> bytes:
    """Without a part from its middle."""
    first, last = _span(random, content)
    return content[:first] + content[last:]


def insert(random: Random, content: bytes) -> bytes:
    place = random.randrange(len(content) + 1)
    new = random.choice(ODD) if random.random() < 0.5 else random.randbytes(random.randint(1, 32))
    return content[:place] + new + content[place:]


def repeat(random: Random, content: bytes) -> bytes:
    """A part twice, or many times."""
    first, last = _span(random, content)
    times = random.choice((2, 2, 3, 50))
    return content[:first] + content[first:last] * times + content[last:]


def zero(random: Random, content: bytes) -> bytes:
    """A part of zeros, as a disk leaves it behind when power fails."""
    first, last = _span(random, content)
    return content[:first] + bytes(last - first) + content[last:]


def lie(random: Random, content: bytes) -> bytes:
    """Another number in place of 2, 4 or 8 bytes: most binary formats have lengths somewhere."""
    form = random.choice(("<H", ">H", "<I", ">I", "<Q", ">Q"))
    width = struct.calcsize(form)
    if len(content) < width:
        return content
    place = random.choice(
        (random.randrange(min(64, len(content) - width + 1)), random.randrange(len(content) - width + 1))
    )
    most = 2 ** (8 * width)
    value = random.choice((0, 1, 255, most - 1, most // 2, most // 2 - 1, len(content), random.randrange(most)))
    return content[:place] + struct.pack(form, value % most) + content[place + width :]


def change_digits(random: Random, content: bytes) -> bytes:
    """Another number in place of one that is written in digits, as lengths in tar and JSON headers are."""
    places = [place for place, byte in enumerate(content) if 48 <= byte <= 57]
    if not places:
        return content
    place = random.choice(places)
    return content[:place] + bytes([random.choice(b"0123456789-.eE ")]) + content[place + 1 :]


def swap(random: Random, content: bytes) -> bytes:
    """Two parts in each other's place."""
    if len(content) < 4:
        return content
    a, b, c, d = sorted(random.randrange(len(content) + 1) for _ in range(4))
    return content[:a] + content[c:d] + content[b:c] + content[a:b] + content[d:]


def nothing(random: Random, content: bytes) -> bytes:
    """An empty file, zeros, or a pointer of git-lfs in place of the file."""
    pointer = b"version https://git-lfs.github.com/spec/v1\noid sha256:" + b"0" * 64 + b"\nsize 12345\n"
    return random.choice((b"", bytes(len(content)), pointer))


MUTATIONS: Sequence[Mutation] = (
    flip_bits,
    flip_bits,
    flip_head,
    cut,
    drop,
    insert,
    repeat,
    zero,
    lie,
    lie,
    change_digits,
    swap,
)


def mutate(random: Random, content: bytes, mutations: Sequence[Mutation] = MUTATIONS) -> bytes:
    """By one mutation, now and then by several; once in a hundred `nothing`."""
    if random.random() < 0.01:
        return nothing(random, content)
    for _ in range(random.choice((1, 1, 1, 2, 4))):
        content = random.choice(mutations)(random, content)
    return content


def _span(random: Random, content: bytes) -> tuple[int, int]:
    first = random.randrange(len(content) + 1)
    return first, min(len(content), first + random.choice((1, 4, 16, 100, len(content) // 4)))
