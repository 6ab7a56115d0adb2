"""Mutations of what JSON and YAML hold: mappings, lists and single values."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from random import Random
from typing import Any

Tree = Any
"""Mappings with texts as keys, lists and single values."""

NUMBERS = (
    0, 1, -1, 2, 3, 7, 100, 255, 256, 2**31 - 1, 2**31, 2**32, 2**63 - 1, 2**63, -(2**63), 10**12, 10**30,
    0.0, -0.0, 0.5, 1.0, 1.5, 1e-30, 1e-3, 0.1, 10.0, 1e9, 1e300, 5e-324, float("inf"), float("-inf"), float("nan"),
)  # fmt: skip
TEXTS = (
    "", " ", "x", "no", "null", "1", "1e-3", "../../x", "/etc/passwd", "a/b", "a\\b", ".", "..", "~", "$(touch X)",
    "`touch X`", "; touch X", "a b", "a\nb", "a\tb", "-rf", "--help", "${root}", "${grid.archs}", "{x}", "%s", "*",
    "?", "|", "&", "<b>", "'", '"', "é", "e\u0301", "日本語", "\u202e", "\u200b", "\x00", "\ud800", "ﬁ", "İ", "con",
    "nul", "teacher", "all", "none", "default", "mean", "x" * 41, "x" * 300, "x" * 20_000, "cuda:0", "cuda:٣", "cpu",
    "1" * 60, "en", "EN", "zxx", "data", "tuning", "plan", "emoji", "manifest", "published", "open_clip",
)  # fmt: skip
"""What shells, file systems, templates and reports give a meaning, and names that mean something here."""


def places(tree: Tree) -> list[tuple[Tree, Any]]:
    """Every (container, key) of a tree."""
    found: list[tuple[Tree, Any]] = []
    open_ = [tree]
    while open_:
        here = open_.pop()
        entries = here.items() if isinstance(here, dict) else enumerate(here) if isinstance(here, list) else ()
        for key, value in entries:
            found.append((here, key))
            open_.append(value)
    return found


def odd_value(random: Random) -> Tree:
    kind = random.random()
    if kind < 0.4:
        return random.choice(NUMBERS)
    if kind < 0.8:
        return random.choice(TEXTS)
    return copy.deepcopy(random.choice((None, True, False, [], {}, [[]], {"": {}}, [1, "a"], {"a": 1}, ["x"] * 300)))


Change = Callable[[Random, Tree, Tree, Any], None]
"""Of the tree, at a container's key."""


def _delete(random: Random, tree: Tree, here: Tree, key: Any) -> None:
    del here[key]


def _replace(random: Random, tree: Tree, here: Tree, key: Any) -> None:
    here[key] = odd_value(random)


def _rename(random: Random, tree: Tree, here: Tree, key: Any) -> None:
    if not isinstance(here, dict):
        here[key] = odd_value(random)
        return
    new = random.choice((f"{key}s", f"{key}"[:-1], f"{key}".upper(), f" {key}", random.choice(TEXTS)))
    here[new] = here.pop(key)


def _add(random: Random, tree: Tree, here: Tree, key: Any) -> None:
    if isinstance(here, dict):
        here[random.choice(TEXTS)] = odd_value(random)
    else:
        here.insert(key, odd_value(random))


def _swap(random: Random, tree: Tree, here: Tree, key: Any) -> None:
    """With any other value of the tree; blocks within it are copied."""
    other, name = random.choice(places(tree))
    here[key], other[name] = copy.deepcopy(other[name]), copy.deepcopy(here[key])


def _copy(random: Random, tree: Tree, here: Tree, key: Any) -> None:
    other, name = random.choice(places(tree))
    here[key] = copy.deepcopy(other[name])


def _nudge(random: Random, tree: Tree, here: Tree, key: Any) -> None:
    """A value near the one that was there, which is mostly allowed."""
    value = here[key]
    if isinstance(value, bool):
        here[key] = not value
    elif isinstance(value, int):
        here[key] = value + random.choice((-1, 1, value, 9 * value))
    elif isinstance(value, float):
        here[key] = value * random.choice((0.1, 0.5, 0.99, 1.01, 2.0, 10.0))
    elif isinstance(value, str):
        here[key] = value + random.choice(("x", "1", "_a", "-", " ", ".b"))
    elif isinstance(value, list):
        random.shuffle(value)
    elif isinstance(value, dict):
        here[key] = dict(sorted(value.items(), reverse=True))


def _empty(random: Random, tree: Tree, here: Tree, key: Any) -> None:
    here[key] = {dict: {}, list: [], str: "", float: 0.0, int: 0}.get(type(here[key]))


def _wrap(random: Random, tree: Tree, here: Tree, key: Any) -> None:
    """In a list or a block, or out of it; a number becomes a text."""
    value = here[key]
    if isinstance(value, list | dict) and value and random.random() < 0.5:
        here[key] = next(iter(value.values())) if isinstance(value, dict) else value[0]
    else:
        here[key] = random.choice(([value], {"a": value}, str(value)))


def _repeat(random: Random, tree: Tree, here: Tree, key: Any) -> None:
    if isinstance(here, list):
        here.extend(copy.deepcopy(here[key]) for _ in range(random.choice((1, 2, 200))))
    else:
        here[f"{key}2"] = copy.deepcopy(here[key])


MUTATIONS: Sequence[Change] = (
    _delete, _replace, _replace, _replace, _rename, _add, _swap, _copy, _nudge, _nudge, _nudge, _empty, _wrap, _repeat,
)  # fmt: skip


def mutate(random: Random, tree: Tree, mutations: Sequence[Change] = MUTATIONS) -> Tree:
    """A copy of a mapping or list, changed at one place, now and then at several."""
    tree = copy.deepcopy(tree)
    for _ in range(random.choice((1, 1, 1, 2, 3, 8))):
        if found := places(tree):
            random.choice(mutations)(random, tree, *random.choice(found))
    return tree


GENTLE: Sequence[Change] = (_nudge, _nudge, _nudge, _nudge, _delete, _rename, _swap, _repeat)
"""Changes after which a file is often still allowed."""
