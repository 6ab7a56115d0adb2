"""Which tokens of a published tokenizer stay, and the tokenizer.json that is left."""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections import defaultdict
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from functools import cached_property
from typing import Any

import numpy as np
from tokenizers import pre_tokenizers

BYTE = re.compile(r"<0x[0-9A-F]{2}>")

Json = dict[str, Any]


class Model(ABC):
    """The model of a tokenizer.json, and the tokens that were added to it."""

    def __init__(self, declared: Json, special: Collection[int]) -> None:
        self.declared = declared
        self.special = special
        self.model: Json = declared["model"]
        self.ids: dict[str, int] = {**self._vocabulary(), **{t["content"]: t["id"] for t in declared["added_tokens"]}}
        self.names = {index: token for token, index in self.ids.items()}

    @abstractmethod
    def _vocabulary(self) -> dict[str, int]:
        """Ids of the model's own tokens."""

    @property
    @abstractmethod
    def rank(self) -> np.ndarray:
        """Of each id: the lower, the sooner it is kept if it is not used. [highest id + 1]"""

    @abstractmethod
    def parts(self, token: int) -> tuple[int, ...] | None:
        """Shorter tokens that stay where `token` stays; None if no text is ever given this token."""

    @abstractmethod
    def cut(self, new: Mapping[int, int]) -> Json:
        """The model with the tokens of `new` only, old id to new."""

    @cached_property
    def bytes(self) -> frozenset[int]:
        """Ids of the tokens that spell what has no token of its own."""
        found: set[int] = set()
        if self.model.get("byte_fallback"):
            found |= {index for token, index in self.ids.items() if BYTE.fullmatch(token)}
        if "ByteLevel" in repr(self.declared["pre_tokenizer"]):
            found |= {self.ids[letter] for letter in pre_tokenizers.ByteLevel.alphabet() if letter in self.ids}
        return frozenset(found)

    @cached_property
    def always(self) -> frozenset[int]:
        """Ids that stay in every case: special and added tokens (languages), the unknown one, bytes."""
        added = {token["id"] for token in self.declared["added_tokens"]}
        placed: list[int] = []

        def note(index: int) -> int:
            placed.append(index)
            return index

        renumbered(self.declared["post_processor"] or {}, note)
        return self.bytes.union(added, placed, self.special, self._own_always())

    @abstractmethod
    def _own_always(self) -> set[int]: ...

    def choose(self, size: int, counts: np.ndarray) -> list[int]:
        """The `size` ids that stay, ascending: always, then the most used, then the likeliest.

        Of two that are used as often the shorter one stays: characters before the words that they spell.

        Args:
            size: more than there are in `always`, at most all of them.
            counts: uses of each id in the corpus, [highest id + 1].
        """
        uses = self._uses(counts)
        lengths = np.asarray([len(self.names.get(index, "")) for index in range(len(uses))])
        shorter = np.where(uses > 0, lengths, 0)
        order = np.lexsort((np.arange(len(uses)), self.rank, shorter, -uses))
        kept = set(self.always)
        wanted = [token for token in order.tolist() if token in self.names and (uses[token] or token not in kept)]
        for token in self._in_order(wanted, uses):
            if len(kept) == size:
                break
            kept.add(token)
        return sorted(kept)

    def _uses(self, counts: np.ndarray) -> np.ndarray:
        """`counts`, where a use of a token is also one of each of its parts."""
        uses = counts.copy()
        by_length: dict[int, set[int]] = defaultdict(set)
        for token in np.flatnonzero(uses).tolist():
            by_length[len(self.names[token])].add(token)
        for length in range(max(by_length, default=0), 1, -1):  # parts are shorter
            for token in by_length[length]:
                for part in self.parts(token) or ():
                    uses[part] += uses[token]
                    by_length[len(self.names[part])].add(part)
        return uses

    def _in_order(self, order: Sequence[int], uses: np.ndarray) -> Iterator[int]:
        """`order`, every token after its parts; what no text is ever given comes last."""
        done: set[int] = set()
        never = []
        for token in order:
            if not uses[token] and self.parts(token) is None:
                never.append(token)
                continue
            stack = [token]
            while stack:
                missing = [part for part in self.parts(stack[-1]) or () if part not in done]
                if missing:
                    stack.extend(missing)
                    continue
                top = stack.pop()
                if top not in done:
                    done.add(top)
                    yield top
        yield from never

    def trimmed(self, kept: Sequence[int]) -> Json:
        """The tokenizer.json with these ids, renumbered in their order."""
        new = {old: index for index, old in enumerate(kept)}
        added = [{**token, "id": new[token["id"]]} for token in self.declared["added_tokens"]]
        post_processor = self.declared["post_processor"]
        return {
            **self.declared,
            "added_tokens": added,
            "post_processor": post_processor and renumbered(post_processor, new.__getitem__),
            "model": self.cut(new),
        }


def renumbered(post_processor: Json, new: Callable[[int], int]) -> Json:
    """A post-processor of tokenizer.json with its ids exchanged: templates, pairs (cls, sep), sequences."""
    out = dict(post_processor)
    for key, value in post_processor.items():
        if key == "special_tokens":
            out[key] = {name: {**token, "ids": [new(i) for i in token["ids"]]} for name, token in value.items()}
        elif key in ("cls", "sep"):
            out[key] = [value[0], new(value[1])]
        elif key == "processors":
            out[key] = [renumbered(part, new) for part in value]
    return out
