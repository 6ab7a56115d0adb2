"""Which tokens of a published tokenizer stay, and the tokenizer.json that is left.

What a corpus uses stays with all it is made of, so that the corpus is segmented as before:

- Unigram picks the likeliest path through a lattice. Kept are the characters of used tokens (without one
  of its own, a character would open an unknown edge) and the unlikeliest token (the unknown edge's score
  is taken from it): the lattice of a corpus text is then a part of the old one, with the old path in it.
- BPE merges the pair of lowest rank first. A token is always merged in the same way, whatever stands
  around it; kept are the two parents of its last merge, their parents, and so on to the characters.
"""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from functools import cached_property
from itertools import pairwise
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
        """Ids that have to stay where `token` stays; None if no text is ever given this token."""

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

        Args:
            size: more than there are in `always`, at most all of them.
            counts: uses of each id in the corpus, [highest id + 1].
        """
        order = np.lexsort((np.arange(len(counts)), self.rank, -counts))
        kept = set(self.always)
        for token in self._in_order([i for i in order.tolist() if counts[i] or i not in kept]):
            if len(kept) == size:
                break
            kept.add(token)
        return sorted(kept)

    def _in_order(self, order: Sequence[int]) -> Iterator[int]:
        """`order`, every token after its parts; what no text is given comes last."""
        done: set[int] = set()
        never = []
        for token in order:
            if token not in self.names:
                continue
            if self.parts(token) is None and token not in self.always:
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


class Unigram(Model):
    """Kudo 2018: a score for each token; XLM-R, mT5, the multilingual SigLIP."""

    def _vocabulary(self) -> dict[str, int]:
        return {token: index for index, (token, _) in enumerate(self.model["vocab"])}

    @cached_property
    def _scores(self) -> np.ndarray:
        return np.asarray([score for _, score in self.model["vocab"]])

    @cached_property
    def rank(self) -> np.ndarray:
        out = np.full(max(self.names) + 1, np.inf)
        out[: len(self._scores)] = -self._scores
        return out

    def parts(self, token: int) -> tuple[int, ...] | None:
        name = self.names[token]
        if len(name) == 1 or token in self.bytes:
            return ()
        return tuple(self.ids[letter] for letter in name if letter in self.ids)

    def _own_always(self) -> set[int]:
        unknown = self.model["unk_id"]
        return {int(self._scores.argmin())} | (set() if unknown is None else {unknown})

    def cut(self, new: Mapping[int, int]) -> Json:
        vocabulary, unknown = self.model["vocab"], self.model["unk_id"]
        kept = [vocabulary[old] for old in new if old < len(vocabulary)]
        return {**self.model, "vocab": kept, "unk_id": None if unknown is None else new[unknown]}


class Bpe(Model):
    """Sennrich et al. 2016: an ordered list of merges; Gemma (SigLIP2), NLLB."""

    def _vocabulary(self) -> dict[str, int]:
        return dict(self.model["vocab"])

    @cached_property
    def _merges(self) -> dict[tuple[int, int], tuple[int, int]]:
        """Pair of ids: its rank and the id that it becomes."""
        ids = self.ids
        return {(ids[a], ids[b]): (rank, ids[a + b]) for rank, (a, b) in enumerate(self.model["merges"])}

    @cached_property
    def rank(self) -> np.ndarray:
        out = np.full(max(self.names) + 1, np.inf)
        for rank, token in self._merges.values():
            out[token] = min(out[token], rank)
        return out

    @cached_property
    def _known_parts(self) -> dict[int, tuple[int, ...] | None]:
        return {}

    def parts(self, token: int) -> tuple[int, ...] | None:
        known = self._known_parts
        if token not in known:
            known[token] = self._last_merge(token)
        return known[token]

    def _last_merge(self, token: int) -> tuple[int, ...] | None:
        name = self.names[token]
        if len(name) == 1 or token in self.bytes:
            return ()
        symbols = [self.ids.get(letter, -1) for letter in name]
        last: tuple[int, ...] = ()
        while len(symbols) > 1:
            pairs = [(self._merges.get(pair), at) for at, pair in enumerate(pairwise(symbols))]
            found = min(((*merge, at) for merge, at in pairs if merge is not None), default=None)
            if found is None:
                return None
            _, merged, at = found
            last = (symbols[at], symbols[at + 1])
            symbols[at : at + 2] = [merged]
        return last if symbols == [token] else None

    def _own_always(self) -> set[int]:
        unknown = self.model["unk_token"]
        return set() if unknown is None else {self.ids[unknown]}

    def cut(self, new: Mapping[int, int]) -> Json:
        kept = {token: new[index] for token, index in self.model["vocab"].items() if index in new}
        merges = [[a, b] for a, b in self.model["merges"] if a in kept and b in kept and a + b in kept]
        return {**self.model, "vocab": kept, "merges": merges}


MODELS: dict[str, type[Model]] = {"Unigram": Unigram, "BPE": Bpe}
"""Models that can be trimmed, by their name in tokenizer.json."""


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
