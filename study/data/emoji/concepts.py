"""Which emoji are the corpus's concepts: concrete things that look and read unlike one another."""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass

from study.data.base import CorpusError
from study.data.emoji.source import Concept, EmojiSource
from study.seeds import stream

MAX_CHARACTERS = 24
MAX_WORDS = 3
LONG_NAMES_ALLOWED = 4
"""In so many languages a concept's name may be longer than that."""

ABSTRACT_GROUPS = ("Symbols", "Flags", "Component")
SUBGROUPS_OF_PEOPLE = ("body-parts", "person-fantasy", "face-costume", "face-negative")
"""The only subgroups taken from the two groups of faces and people."""

GROUPS_OF_PEOPLE = ("People & Body", "Smileys & Emotion")

# English names of emoji that are a second picture of something else in the list, differ from it in a
# colour or a gender, are pictures of writing, or are marks rather than things.
_LEFT_OUT = """
mouse face; cow face; tiger face; rabbit face; cat face; horse face; monkey face; dog face; pig face; pig nose;
dragon face; chicken; bird; dove; poodle; water buffalo; ox; ram; goat; chipmunk; boar; leopard; fish; honeybee;
white flower; wilted flower; fallen leaf; deciduous tree; clinking glasses; confetti ball; ribbon; reminder ribbon;
1st place medal; 2nd place medal; 3rd place medal; spade suit; club suit; heart suit; diamond suit; running shirt;
green book; blue book; orange book; closed book; outbox tray; inbox tray; e-mail; incoming envelope; yen banknote;
euro banknote; pound banknote; unlocked; old key; musical notes; musical note; dvd; computer disk; page with curl;
bookmark tabs; rolled-up newspaper; chart decreasing; chart increasing; card index; calendar; spiral calendar; round
pushpin; muted speaker; hammer and pick; chains; level slider; control knobs; woman’s sandal; purse; clutch bag;
glasses; man’s shoe; telephone receiver; trackball; card file box; airplane departure; airplane arrival; small
airplane; tram car; trolleybus; minibus; light rail; station; monorail; mountain railway; motorway; new moon;
glowing star; sun with face; closed umbrella; cloud with snow; ferry; passenger ship; love hotel; department store;
convenience store; national park; mount fuji; sunset; soft ice cream; shaved ice; rice cracker; sparkles; fog; milky
way; hole; map of Japan; alien monster; woman mage; man mage; woman fairy; man fairy; woman vampire; man vampire;
woman elf; man elf; woman genie; man genie; woman zombie; man zombie; merman; merperson; mage; fairy; baby angel;
Mrs. Claus; angry face; eyes; pie; bowl with spoon; stuffed flatbread; wedding; baby; ticket; goal net; woman’s hat;
woman’s clothes; page facing up; shopping bags; video camera; film projector; clapper board; musical
keyboard; keyboard; motor boat; kick scooter; high voltage; sport utility vehicle; file folder; desktop computer;
label
"""
LEFT_OUT = frozenset(name.strip().casefold() for name in _LEFT_OUT.replace("\n", " ").split(";"))


@dataclass(frozen=True)
class Chosen:
    """The concepts of a corpus in their order, and their names: names[language][concept id]."""

    concepts: tuple[Concept, ...]
    names: Mapping[str, Mapping[str, str]]

    @property
    def ids(self) -> tuple[str, ...]:
        return tuple(concept.id for concept in self.concepts)


def choose(source: EmojiSource, count: int, seed: int, languages: tuple[str, ...]) -> Chosen:
    """The first `count` of the concepts in a seeded order that spreads over the groups.

    `languages` are all the corpus could have, not those asked for: the concepts are the same
    whatever languages are prepared, and a smaller `count` is a prefix of a larger one.
    """
    names = {language: source.names(language) for language in languages}
    usable = [concept for concept in source.candidates if _usable(concept, names)]
    chosen: list[Concept] = []
    taken: dict[str, set[str]] = {language: set() for language in languages}
    for concept in _spread(usable, seed):
        keys = {language: _key(names[language][concept.id]) for language in languages}
        if any(key in taken[language] for language, key in keys.items()):
            continue
        for language, key in keys.items():
            taken[language].add(key)
        chosen.append(concept)
        if len(chosen) == count:
            ids = [concept.id for concept in chosen]
            return Chosen(tuple(chosen), {code: {id_: names[code][id_] for id_ in ids} for code in languages})
    raise CorpusError(f"{count} concepts asked for, {len(chosen)} are there: set `concepts` to at most that")


def _usable(concept: Concept, names: Mapping[str, Mapping[str, str]]) -> bool:
    if concept.group in ABSTRACT_GROUPS:
        return False
    if concept.group in GROUPS_OF_PEOPLE and concept.subgroup not in SUBGROUPS_OF_PEOPLE:
        return False
    texts = [names[language].get(concept.id) for language in names]
    if any(text is None for text in texts) or names.get("en", {}).get(concept.id, "").casefold() in LEFT_OUT:
        return False
    present = [text for text in texts if text]
    # A comma or a colon in a name would blur a list of names.
    if any(mark in text for text in present for mark in ",:;،、，："):
        return False
    long = sum(len(text) > MAX_CHARACTERS or len(text.split()) > MAX_WORDS for text in present)
    return long <= LONG_NAMES_ALLOWED


def _spread(concepts: list[Concept], seed: int) -> list[Concept]:
    """A seeded order in which every prefix has the groups in about the same proportions."""
    groups: dict[str, list[Concept]] = {}
    for concept in concepts:
        groups.setdefault(concept.group, []).append(concept)
    placed: list[tuple[float, str, Concept]] = []
    for group, members in groups.items():
        order = stream("emoji", "concepts", group, seed).permutation(len(members))
        placed += [((rank + 0.5) / len(members), group, members[index]) for rank, index in enumerate(order)]
    return [concept for _, _, concept in sorted(placed, key=lambda entry: entry[:2])]


def _key(name: str) -> str:
    return unicodedata.normalize("NFC", name.casefold())
