"""The models of published tokenizers, and what each needs to segment a corpus as before.

- Unigram picks the likeliest path through a lattice, in which a character without a token of its own is an
  unknown edge, less likely than every token. The unlikeliest token stays, so that this score does: the
  lattice of a corpus text is then the old one without some edges, or with unlikelier ones, and the old
  path is still the best. The characters of a token count as used with it: a word that loses its token
  falls apart into them and is not unknown.
- BPE merges the pair of lowest rank first. A token is always merged in the same way, whatever stands
  around it; kept are the two parents of its last merge, their parents, and so on to the characters.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from itertools import pairwise

import numpy as np

from study.models.tokenizers.trimming import Json, Model


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

    def _own_always(self) -> set[int]:
        unknown = self.model["unk_token"]
        return set() if unknown is None else {self.ids[unknown]}

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

    def cut(self, new: Mapping[int, int]) -> Json:
        kept = {token: new[index] for token, index in self.model["vocab"].items() if index in new}
        merges = [[a, b] for a, b in self.model["merges"] if a in kept and b in kept and a + b in kept]
        return {**self.model, "vocab": kept, "merges": merges}


MODELS: dict[str, type[Model]] = {"Unigram": Unigram, "BPE": Bpe}
"""Models that can be trimmed, by their name in tokenizer.json."""
