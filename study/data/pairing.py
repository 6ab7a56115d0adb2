"""Which caption in the pivot language a caption is distilled beside: one rule for every reader of captions."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

BLANK = ""
"""Holds the place of a caption that was left out, so that those behind it keep their numbers."""


def paired(texts: Sequence[str], pivots: Sequence[str]) -> Iterator[tuple[str, str]]:
    """Each different text of an image in one language, with the pivot caption that belongs to it.

    The k-th caption goes with the k-th in the pivot language: translations stand in the order of what they
    translate. Where that one is missing or blank, it goes with the first that is not.

    Args:
        texts: captions of the image in a language, `BLANK` where one was left out.
        pivots: those in the pivot language, likewise; at least one is not blank.
    """
    first = next(pivot for pivot in pivots if pivot != BLANK)
    seen = {BLANK}
    for place, text in enumerate(texts):
        if text not in seen:
            seen.add(text)
            yield text, (pivots[place] if place < len(pivots) else BLANK) or first
