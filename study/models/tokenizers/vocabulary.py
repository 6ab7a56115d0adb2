"""Tokenizer training and trimming.

One Unigram model (Kudo 2018) with byte fallback, so that a trimmed vocabulary still spells every
text: what lost its token falls apart into bytes, and which languages pay for that is measured.
"""

from __future__ import annotations

import json
import unicodedata
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from functools import lru_cache
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Self

import numpy as np
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

if TYPE_CHECKING:
    from torch import Tensor

SPECIAL = ("<pad>", "<eos>", "<bos>", "<unk>")
PAD, EOS, BOS, UNK = range(len(SPECIAL))
BYTES = tuple(f"<0x{byte:02X}>" for byte in range(256))
SMALLEST = len(SPECIAL) + len(BYTES)
FILE = "tokenizer.json"
TOGETHER = 8192
"""Texts that are tokenised at a time: `tokenizers` keeps some kilobytes of each until it is done."""
UNLEARNT_STEP = 1e-4
"""What the trainer of `tokenizers` adds from one character that no piece covers to the next."""
PRUNED_TO = 0.75
"""Share of the pieces that a round of trimming leaves."""
SCORE_DIGITS = 4
"""Decimals of a score that are kept: far above the rounding error of a sum, far below what matters."""


class VocabularyError(ValueError):
    """A vocabulary of that size or content cannot be made."""


def _assemble(pieces: Sequence[tuple[str, float]]) -> Tokenizer:
    """The tokenizer whose vocabulary is the special tokens, the bytes and `pieces`, in that order."""
    worst = min((score for _, score in pieces), default=0.0) - 10.0
    vocabulary = [(token, 0.0) for token in SPECIAL] + [(token, worst) for token in BYTES] + list(pieces)
    tokenizer = Tokenizer(models.Unigram(vocabulary, unk_id=UNK, byte_fallback=True))
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    tokenizer.decoder = decoders.Sequence([decoders.ByteFallback(), decoders.Fuse(), decoders.Metaspace()])
    tokenizer.add_special_tokens(list(SPECIAL))
    return tokenizer


def _repeatable(pieces: Sequence[tuple[str, float]]) -> list[tuple[str, float]]:
    """The trainer's pieces, the likeliest first, without what differs between two trainings on one text.

    It sums in the order of a randomly seeded hash table, so the last digits of a score differ; and it
    numbers the characters that it kept only because they occur, `UNLEARNT_STEP` apart from the lowest
    score up, in that same order: all of them get the lowest score here.
    """
    lowest = min((score for _, score in pieces), default=0.0)
    characters = sum(len(token) == 1 for token, _ in pieces)
    unlearnt = lowest + UNLEARNT_STEP * characters
    scored = [
        (token, round(lowest if len(token) == 1 and score < unlearnt else score, SCORE_DIGITS))
        for token, score in pieces
    ]
    return sorted(scored, key=lambda piece: (-piece[1], piece[0]))


class Vocabulary:
    """A tokenizer with fixed special ids: pad 0, eos 1, bos 2, unk 3, then the 256 bytes."""

    pad = PAD
    unk = UNK
    smallest = SMALLEST

    def __init__(self, tokenizer: Tokenizer) -> None:
        self._tokenizer = tokenizer
        for index, token in enumerate(SPECIAL):
            if tokenizer.token_to_id(token) != index:
                raise VocabularyError(f"token {token!r} has id {tokenizer.token_to_id(token)}, it must be {index}")

    def __len__(self) -> int:
        return self._tokenizer.get_vocab_size()

    @classmethod
    def train(cls, texts: Iterable[str], size: int) -> Self:
        """A vocabulary of at most `size` tokens, trained on `texts` alone.

        Raises:
            VocabularyError: `size` does not leave room beside special tokens and bytes.
        """
        if size <= SMALLEST:
            raise VocabularyError(f"vocabulary of {size} tokens: {SMALLEST} are special tokens and bytes, give more")
        tokenizer = Tokenizer(models.Unigram())
        tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
        trainer = trainers.UnigramTrainer(
            vocab_size=size - SMALLEST + 1, show_progress=False, unk_token="<unk>", special_tokens=["<unk>"]
        )
        tokenizer.train_from_iterator((clean(text) for text in texts), trainer=trainer)
        learnt = json.loads(tokenizer.to_str())["model"]["vocab"]
        pieces = _repeatable([(token, score) for token, score in learnt if token != "<unk>"])
        # Rare characters fall to bytes first when the trainer keeps more than was asked for.
        return cls(_assemble(pieces[: size - SMALLEST]))

    @classmethod
    def load(cls, folder: Path) -> Self:
        path = folder / FILE
        if not path.is_file():
            raise FileNotFoundError(f"there is no {path}")
        return cls(Tokenizer.from_file(str(path)))

    def save(self, folder: Path) -> None:
        self._tokenizer.save(str(folder / FILE))

    def pieces(self) -> list[tuple[str, float]]:
        """Learnt tokens and their log probabilities, without special tokens and bytes."""
        learnt = json.loads(self._tokenizer.to_str())["model"]["vocab"]
        return [(token, float(score)) for token, score in learnt[SMALLEST:]]

    def mask(self, ids: Tensor) -> Tensor:
        """True [N, L] where ids [N, L] are not padding."""
        return ids != PAD

    def split(self, texts: Sequence[str]) -> list[list[int]]:
        """Token ids of each text, without special tokens."""
        return [ids for part in self._parts(texts) for ids in part]

    def _parts(self, texts: Iterable[str]) -> Iterator[list[list[int]]]:
        """The same, some texts at a time."""
        cleaned = (clean(text) for text in texts)
        while part := list(islice(cleaned, TOGETHER)):
            yield [encoding.ids for encoding in self._tokenizer.encode_batch(part, add_special_tokens=False)]

    def encode(self, texts: Sequence[str], context: int, bos: bool) -> np.ndarray:
        """Ids [N, context] int64: optional bos, tokens cut to fit, eos, right-padded with pad."""
        room = context - 1 - int(bos)
        out = np.full((len(texts), context), PAD, dtype=np.int64)
        for row, ids in enumerate(self.split(texts)):
            kept = ([BOS] if bos else []) + ids[:room] + [EOS]
            out[row, : len(kept)] = kept
        return out

    def trim(self, size: int, texts: Iterable[str]) -> tuple[Self, np.ndarray]:
        """Keep the `size` tokens that save `texts` most tokens; returns them and, for each, its old id.

        As a Unigram model is pruned in training (Kudo 2018, section 3.2): in rounds, those go first whose
        texts are spelled almost as shortly without them, and after each round the texts are split anew.
        Special tokens and bytes always stay. Ties go to the likelier piece, so the result does not
        depend on the order of `texts`.

        Raises:
            VocabularyError: `size` is larger than the vocabulary or leaves no room for a piece.
        """
        if not SMALLEST < size <= len(self):
            raise VocabularyError(f"cannot trim {len(self)} tokens to {size}: must be {SMALLEST + 1} to {len(self)}")
        pieces = self.pieces()
        kept = _pruned(tuple(pieces), size - SMALLEST, tuple(texts))
        old = np.concatenate([np.arange(SMALLEST), np.asarray(kept, dtype=np.int64) + SMALLEST])
        return type(self)(_assemble([pieces[i] for i in kept])), old

    def fragmentation(self, texts: Mapping[str, Sequence[str]]) -> dict[str, float]:
        """Mean number of tokens a text for each language."""
        return {
            language: float(np.mean([len(ids) for ids in self.split(samples)])) for language, samples in texts.items()
        }


@lru_cache(maxsize=4)  # all methods of an architecture and size ask for the same
def _pruned(pieces: tuple[tuple[str, float], ...], size: int, texts: tuple[str, ...]) -> list[int]:
    """The places of the `size` pieces that stay, ascending."""
    kept = list(range(len(pieces)))
    while True:
        split = Vocabulary(_assemble([pieces[i] for i in kept]))
        used = Counter(token for ids in split.split(texts) for token in ids)
        present = {pieces[i][0] for i in kept}
        uses = {i: used[SMALLEST + at] for at, i in enumerate(kept)}
        saved = {i: uses[i] * (spelled(pieces[i][0], present) - 1) for i in kept}
        ranked = sorted(kept, key=lambda i: (-saved[i], -uses[i], -pieces[i][1], i))
        kept = sorted(ranked[: max(size, int(PRUNED_TO * len(kept)))])
        if len(kept) <= size:
            return kept


def spelled(piece: str, present: Collection[str]) -> int:
    """Fewest tokens that spell `piece` without itself: other pieces, and bytes where a character is none."""
    fewest = [0]
    for end in range(1, len(piece) + 1):
        last = piece[end - 1]
        best = fewest[end - 1] + (1 if last in present and last != piece else len(last.encode()))
        for start in range(end - 1):
            if piece[start:end] in present and piece[start:end] != piece:
                best = min(best, fewest[start] + 1)
        fewest.append(best)
    return fewest[-1]


def clean(text: str) -> str:
    """NFC and lower case, as both families read captions; every run of Unicode spaces is one plain space.

    Metaspace divides words at U+0020 alone, and CLDR writes Czech names with no-break spaces.
    """
    return " ".join(unicodedata.normalize("NFC", text).lower().split())
