"""Mutations of a text in lines, as people and editors make them: YAML above all, and tables."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from random import Random

TextMutation = Callable[[Random, str], str]

ODD_TEXTS = (
    "\t", "\u00a0", "\u200b", "\u202e", "\ufeff", "\u2028", "\x85", "\x0b", "\x07", "\x7f", "\u0660", "e\u0301",
    "𝒳", "İ", "ß", "\U0010ffff", "'", '"', "`", "#", "%", "@", "!", "&a ", "*a", "|\n", ">\n", "- ", "? ", ": ",
    "{", "}", "[", "]", ",", "---\n", "...\n", "<<: ", "%YAML 1.1\n", "!!python/name:os.system ", "!!binary ",
    "!!set ", "!!omap ", "~", "null", "yes", "0o17", "0x1F", "1_000", "1:30", ".inf", ".nan", "1e400", "-0", "=",
)  # fmt: skip
"""Spaces of other kinds, marks of direction, digits of other scripts, and all that YAML gives a meaning."""


def _at_a_line(random: Random, text: str, change: Callable[[list[str], int], None]) -> str:
    lines = text.split("\n")
    change(lines, random.randrange(len(lines)))
    return "\n".join(lines)


def delete_line(random: Random, text: str) -> str:
    return _at_a_line(random, text, lambda lines, place: lines.__delitem__(place))


def repeat_line(random: Random, text: str) -> str:
    """A key twice, mostly."""
    return _at_a_line(random, text, lambda lines, place: lines.insert(place, lines[place]))


def repeat_block(random: Random, text: str) -> str:
    """Some lines again at the end of the file."""
    lines = text.split("\n")
    first = random.randrange(len(lines))
    return "\n".join([*lines, *lines[first : first + random.randint(1, 20)]])


def indent(random: Random, text: str) -> str:
    spaces = random.choice((" ", "  ", "   ", "\t", " " * 9))
    return _at_a_line(random, text, lambda lines, place: lines.__setitem__(place, spaces + lines[place]))


def outdent(random: Random, text: str) -> str:
    drop = random.randint(1, 4)

    def change(lines: list[str], place: int) -> None:
        stripped = lines[place].lstrip(" ")
        lines[place] = " " * max(0, len(lines[place]) - len(stripped) - drop) + stripped

    return _at_a_line(random, text, change)


def swap_lines(random: Random, text: str) -> str:
    lines = text.split("\n")
    a, b = random.randrange(len(lines)), random.randrange(len(lines))
    lines[a], lines[b] = lines[b], lines[a]
    return "\n".join(lines)


def insert_odd(random: Random, text: str) -> str:
    place = random.randrange(len(text) + 1)
    return text[:place] + random.choice(ODD_TEXTS) + text[place:]


def replace_value(random: Random, text: str) -> str:
    """What stands after a colon becomes something odd."""
    found = list(re.finditer(r": +(\S[^\n,}]*)", text))
    if not found:
        return text
    match = random.choice(found)
    return text[: match.start(1)] + random.choice(ODD_TEXTS).strip("\n") + text[match.end(1) :]


def anchor(random: Random, text: str) -> str:
    """A value gets an anchor and another becomes its alias."""
    found = list(re.finditer(r": +(\S[^\n,}]*)", text))
    if len(found) < 2:
        return text
    first, last = sorted(random.sample(range(len(found)), 2))
    a, b = found[first], found[last]
    return f"{text[: a.start(1)]}&x {text[a.start(1) : b.start(1)]}*x{text[b.end(1) :]}"


def merge(random: Random, text: str) -> str:
    """A block takes another's keys by `<<`."""
    found = list(re.finditer(r"^( *)(\w+):$", text, re.MULTILINE))
    if len(found) < 2:
        return text
    first, last = sorted(random.sample(range(len(found)), 2))
    a, b = found[first], found[last]
    return f"{text[: a.end()]} &y{text[a.end() : b.end()]}\n{b.group(1)}  <<: *y{text[b.end() :]}"


def bomb(random: Random, text: str) -> str:
    """Aliases of aliases."""
    levels = random.randint(2, 12)
    lines = ["bomb0: &b0 [x, x, x, x]"]
    lines += [f"bomb{n}: &b{n} [{', '.join([f'*b{n - 1}'] * 9)}]" for n in range(1, levels)]
    return text + "\n" + "\n".join(lines) + "\n"


def nest(random: Random, text: str) -> str:
    depth = random.choice((3, 19, 21, 30, 1000))
    opened, closed = random.choice((("[", "]"), ("{a: ", "}"), ("- ", "")))
    return text + f"\ndeep: {opened * depth}1{closed * depth}\n"


def lengthen(random: Random, text: str) -> str:
    """A letter becomes thousands of them."""
    place = random.randrange(len(text) + 1)
    return (
        text[:place]
        + random.choice(("a", "9", " ", "\n", "-", "é")) * random.choice((50, 300, 6000, 20_000))
        + text[place:]
    )


def other_ends(random: Random, text: str) -> str:
    """Another system's ends of lines."""
    return text.replace("\n", random.choice(("\r\n", "\r", "\n\r", "\x85")))


MUTATIONS: Sequence[TextMutation] = (
    delete_line, delete_line, repeat_line, repeat_block, indent, outdent, swap_lines, insert_odd, insert_odd,
    replace_value, replace_value, anchor, merge, bomb, nest, lengthen, other_ends,
)  # fmt: skip


def mutate(random: Random, text: str) -> str:
    """By one mutation, now and then by several."""
    for _ in range(random.choice((1, 1, 2, 3))):
        text = random.choice(MUTATIONS)(random, text)
    return text
