"""Training and trimming of the vocabulary."""

from __future__ import annotations

import subprocess
import sys
from itertools import combinations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from study.models.tokenizers.vocabulary import (
    BOS,
    EOS,
    PAD,
    SMALLEST,
    SPECIAL,
    Vocabulary,
    VocabularyError,
    _assemble,
    spelled,
)

TEXTS = ["red apple, green pear", "roter Apfel, grüne Birne", "красное яблоко", "赤いりんご"] * 5
VOCABULARY = Vocabulary.train(TEXTS, 330)


@given(st.text(max_size=30))
def test_every_text_is_spelled_without_unknown_tokens(text: str) -> None:
    ids = VOCABULARY.split([text])[0]
    assert SPECIAL.index("<unk>") not in ids
    assert all(0 <= token < len(VOCABULARY) for token in ids)


def test_every_space_divides_words() -> None:
    assert VOCABULARY.split(["\u00a0Red\u202f\u3000 box\t"]) == VOCABULARY.split(["red box"])


def test_encoding_is_bos_tokens_eos_padding_and_is_cut_to_fit() -> None:
    [row] = VOCABULARY.encode(["red"], 12, bos=True)
    ids = VOCABULARY.split(["red"])[0]
    assert row.tolist() == [BOS, *ids, EOS, *[PAD] * (10 - len(ids))]
    [cut] = VOCABULARY.encode([TEXTS[0]], 4, bos=False)
    assert cut.tolist() == [*VOCABULARY.split([TEXTS[0]])[0][:3], EOS]


def test_trimming_keeps_segmentation_where_every_used_token_stays() -> None:
    used = {token for ids in VOCABULARY.split(TEXTS[:2]) for token in ids if token >= SMALLEST}
    trimmed, old = VOCABULARY.trim(SMALLEST + len(used), TEXTS[:2])
    assert len(trimmed) == SMALLEST + len(used)
    assert [[int(old[t]) for t in ids] for ids in trimmed.split(TEXTS[:2])] == VOCABULARY.split(TEXTS[:2])


def test_trimming_fragments_what_it_was_not_told_of() -> None:
    trimmed, _ = VOCABULARY.trim(SMALLEST + 20, TEXTS[:2])
    before = VOCABULARY.fragmentation({"ja": TEXTS[3:4], "en": TEXTS[:1]})
    after = trimmed.fragmentation({"ja": TEXTS[3:4], "en": TEXTS[:1]})
    assert after["ja"] > before["ja"]


def test_trimming_keeps_the_pieces_that_save_most_tokens() -> None:
    """The commoner word is one letter; the rarer one falls apart into six bytes. Oracle: all choices of two pieces."""
    texts = [*["a"] * 50, *["\u0c1a\u0c3f"] * 20]
    vocabulary = Vocabulary.train(texts, SMALLEST + 8)
    trimmed, old = vocabulary.trim(SMALLEST + 2, texts)
    pieces = vocabulary.pieces()
    assert [pieces[place - SMALLEST] for place in old[SMALLEST:]] == trimmed.pieces()

    def needed(kept: Vocabulary) -> int:
        return sum(map(len, kept.split(texts)))

    assert needed(trimmed) == min(needed(Vocabulary(_assemble(pair))) for pair in combinations(pieces, 2))


def by_hand(piece: str, present: frozenset[str]) -> int:
    """Fewest tokens over all ways to divide `piece`."""
    ways = [1 if piece in present else len(piece.encode())] if len(piece) == 1 else []
    ways += [1] if piece in present else []
    ways += [by_hand(piece[:at], present) + by_hand(piece[at:], present) for at in range(1, len(piece))]
    return min(ways)


@given(st.text("ab\u0c1a", min_size=1, max_size=6), st.frozensets(st.text("ab\u0c1a", min_size=1, max_size=4)))
def test_a_piece_is_spelled_in_the_fewest_tokens_without_itself(piece: str, present: frozenset[str]) -> None:
    assert spelled(piece, present) == by_hand(piece, present - {piece})
    assert spelled(piece, present | {piece}) == spelled(piece, present - {piece})


def test_trimming_does_not_depend_on_the_order_of_texts() -> None:
    first, old = VOCABULARY.trim(SMALLEST + 15, TEXTS)
    second, again = VOCABULARY.trim(SMALLEST + 15, TEXTS[::-1])
    assert old.tolist() == again.tolist()
    assert first.pieces() == second.pieces()


@pytest.mark.parametrize("size", [10, SMALLEST, 331, 10_000])
def test_impossible_sizes_are_refused(size: int) -> None:
    with pytest.raises(VocabularyError):
        VOCABULARY.trim(size, TEXTS) if size > 300 or size == SMALLEST else Vocabulary.train(TEXTS, size)


MANY = (
    "import random; from study.models.tokenizers.vocabulary import Vocabulary; draw = random.Random(0);"
    "words = [''.join(chr(start + draw.randrange(span)) for _ in range(draw.randrange(1, 6)))"
    " for start, span in [(0x61, 26), (0x430, 32), (0x4E00, 400), (0xAC00, 300)] for _ in range(400)];"
    "texts = [', '.join(draw.choices(words, k=3)) for _ in range(3000)];"
    "print(Vocabulary.train(texts, 2000).pieces())"
)


def test_training_repeats_in_another_process() -> None:
    first, second = (subprocess.run([sys.executable, "-c", MANY], capture_output=True, check=True) for _ in range(2))
    assert len(first.stdout) > 10_000
    assert first.stdout == second.stdout
