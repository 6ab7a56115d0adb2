"""Questions with a free answer, made multiple choice: the right answer beside others of its kind.

The options of a question depend on its id and on the answers in the publisher's file, not on the order of
the file, on the languages asked for, or on which questions a study draws.
"""

from __future__ import annotations

import unicodedata
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from study.data.published.sources import Asking, Image, LeftOut, Question
from study.seeds import stream

OPTIONS = 4
"""As many as in CVQA, so that the sources can stand in one study."""


@dataclass(frozen=True, slots=True)
class Open:
    """A question with a free answer; `accepted` are further right ones, none of them may be a distractor.

    `kinds` say what the answer is, the narrowest first; distractors come from the first that has enough.
    """

    key: str
    where: str
    image: Image
    type: str
    prompts: Mapping[str, str]
    answer: str
    accepted: Sequence[str]
    kinds: Sequence[str]


def multiple_choice(source: str, questions: Sequence[Open]) -> Iterator[Question | LeftOut]:
    """Each question with OPTIONS options, in the order of `questions`, all of them in its answer's language.

    A distractor is an answer of the same kind that is no part of a right answer (desk, computer desk), nor one of
    it. Questions of a kind with too few of these are left out: filling up from another kind would give them away.
    """
    pools: dict[str, set[str]] = defaultdict(set)
    for question in questions:
        for kind in question.kinds:
            pools[kind].add(composed(question.answer))
    ordered = {kind: [(text, text.casefold()) for text in sorted(pool)] for kind, pool in pools.items()}
    for question in questions:
        right = composed(question.answer)
        known = [text.casefold() for text in (right, *map(composed, question.accepted))]
        wrong = next(filter(_enough, (_apart(ordered[kind], known) for kind in question.kinds)), None)
        if wrong is None:
            yield LeftOut(question.key, f"fewer than {OPTIONS} answers of its kind")
            continue
        random = stream("distractors", source, question.key)
        options = [wrong[place] for place in random.choice(len(wrong), OPTIONS - 1, replace=False)]
        answer = int(random.integers(OPTIONS))
        options.insert(answer, right)
        texts = {language: Asking(prompt, options) for language, prompt in question.prompts.items()}
        yield Question(question.key, question.where, question.image, question.type, answer, texts)


def composed(text: str) -> str:
    """The text in Unicode's form NFC, without space around it."""
    return unicodedata.normalize("NFC", text).strip()


def _apart(pool: Sequence[tuple[str, str]], known: Sequence[str]) -> list[str]:
    """Texts of the pool (as they are, and case-folded) of which none is part of a known text, or has it as a part."""
    return [text for text, folded in pool if not any(folded in answer or answer in folded for answer in known)]


def _enough(pool: Sequence[str]) -> bool:
    return len(pool) >= OPTIONS - 1
