"""From a source of names and artwork to the prepared corpus."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from study.data.base import CorpusError, DatasetInfo, Progress, check_languages
from study.data.emoji.captions import Captioner, balanced_languages, shared_languages
from study.data.emoji.compositions import TRAINING, Drawer, shuffled
from study.data.emoji.concepts import Chosen, choose
from study.data.emoji.prompted import PromptedCaptioner
from study.data.emoji.questions import Asker, question_columns, text_columns
from study.data.emoji.scenes import Looks, Sprites, place, render
from study.data.emoji.settings import EmojiSettings
from study.data.emoji.source import EmojiSource
from study.data.prepared import CaptionSplit, ImageSet, QuestionSplit
from study.data.writer import CorpusWriter
from study.seeds import stream

ENGLISH = "en"
QUESTION_SPLITS: tuple[QuestionSplit, ...] = ("validation", "test")
CAPTION_SPLITS: tuple[CaptionSplit, ...] = ("teacher", "distil", "validation", "test")

Scene = list[str]


def prepare(
    source: EmojiSource,
    record: DatasetInfo,
    settings: EmojiSettings,
    languages: Sequence[str],
    vqa_languages: Sequence[str],
    out: Path,
    progress: Progress,
) -> None:
    """Write the corpus into `out`. English is always read: the distil split is captioned in it too."""
    check_asked(record, settings, languages, vqa_languages)
    progress("names", 0.0)
    chosen = choose(source, settings.concepts, settings.seed, record.languages)
    wanted = dict.fromkeys((*languages, *vqa_languages, ENGLISH))
    captioners = {language: Captioner(language, chosen.names[language]) for language in wanted}
    writer = CorpusWriter(out)
    paint = Painter(writer, settings, Sprites(source, settings), progress)
    progress("names", 1.0)
    for split in CAPTION_SPLITS:
        scenes = _draw(split, chosen, settings)
        paint(split, scenes, settings.in_domain)
        writer.captions(split, _captions(split, scenes, settings, languages, captioners))
    facts: dict[str, Any] = {"concepts": _concept_facts(chosen)}
    questions, texts = _ask(chosen, settings, {code: captioners[code] for code in vqa_languages}, paint, facts)
    writer.questions(questions, texts)
    progress("card", 0.0)
    writer.finish(record, settings, list(languages), list(vqa_languages), facts)
    progress("card", 1.0)


def check_asked(
    record: DatasetInfo, settings: EmojiSettings, languages: Sequence[str], vqa_languages: Sequence[str]
) -> None:
    """Refuse what cannot be built, before anything is downloaded."""
    check_languages(languages, record.languages, "languages")
    check_languages(vqa_languages, record.vqa_languages, "vqa_languages")
    if settings.captions_per_scene > len(languages):
        raise CorpusError(
            f"captions_per_scene is {settings.captions_per_scene}, but there are {len(languages)} languages"
        )
    missing = [language for language in languages if language not in settings.share]
    if missing:
        raise CorpusError(f"share has no weight for {', '.join(missing)}: every language prepared must have one")


def _draw(split: CaptionSplit, chosen: Chosen, settings: EmojiSettings) -> list[Scene]:
    count: int = getattr(settings.scenes, split)
    rng = stream("emoji", "left to right", split, settings.seed)
    if split in ("teacher", "distil"):
        drawer = Drawer(chosen.ids, settings, split, TRAINING)
        return shuffled([drawer.scene(least=1) for _ in range(count)], rng)
    drawer = Drawer(chosen.ids, settings, split, split)
    return shuffled([drawer.new_scene(least=2) for _ in range(count)], rng)


@dataclass(frozen=True)
class Painter:
    """Draws scenes into the corpus that is written."""

    writer: CorpusWriter
    settings: EmojiSettings
    sprites: Sprites
    progress: Progress

    def __call__(self, name: ImageSet, scenes: Sequence[Sequence[str]], vendors: Sequence[str]) -> None:
        """One vendor a scene, drawn at random: nothing in a scene mixes two styles."""
        settings = self.settings
        rng = stream("emoji", "layout", name, settings.seed)
        items = np.array([len(scene) for scene in scenes])
        layout = place(items, settings, rng)
        darkest, lightest = settings.background
        backgrounds = rng.integers(darkest, lightest + 1, (len(scenes), 3)).astype(np.uint8)
        drawn = [vendors[int(index)] for index in rng.integers(0, len(vendors), len(scenes))]
        out = self.writer.images(name, len(scenes), settings.canvas, settings.canvas)
        looks = Looks(layout, drawn, backgrounds)
        render(out, scenes, looks, self.sprites, partial(self.progress, f"images {name}"))
        out.flush()


def _captions(
    split: CaptionSplit,
    scenes: Sequence[Scene],
    settings: EmojiSettings,
    languages: Sequence[str],
    captioners: Mapping[str, Captioner],
) -> dict[str, list[Any] | np.ndarray]:
    rng = stream("emoji", "languages", split, settings.seed)
    numbers = np.arange(len(scenes), dtype=np.int32)
    write = PromptedCaptioner(captioners, settings, split)
    if split == "distil":
        drawn = shared_languages(len(scenes), settings.share, languages, rng)
        pairs = [write(scene, language, ENGLISH) for language, scene in zip(drawn, scenes, strict=True)]
        return {
            "image": numbers,
            "language": drawn,
            "text": [own for own, _ in pairs],
            "english": [english for _, english in pairs],
        }
    if split == "teacher":
        each = settings.captions_per_scene
        rows = balanced_languages(len(scenes), languages, each, rng)
        return {
            "image": np.repeat(numbers, each),
            "language": [language for row in rows for language in row],
            "text": [write(scene, language)[0] for row, scene in zip(rows, scenes, strict=True) for language in row],
        }
    return {
        "image": np.tile(numbers, len(languages)),
        "language": [language for language in sorted(languages) for _ in scenes],
        "text": [captioners[language](scene) for language in sorted(languages) for scene in scenes],
    }


def _ask(
    chosen: Chosen,
    settings: EmojiSettings,
    captioners: Mapping[str, Captioner],
    paint: Painter,
    facts: dict[str, Any],
) -> tuple[dict[str, list[Any]], dict[str, list[Any]]]:
    """The questions of both splits, drawn in the artwork that is held out."""
    questions: dict[str, list[Any]] = {}
    texts: dict[str, list[Any]] = {}
    for split in QUESTION_SPLITS:
        asker = Asker(chosen, settings, split)
        asked = asker.ask(getattr(settings.questions, split))
        name: ImageSet = "vqa_validation" if split == "validation" else "vqa_test"
        paint(name, [question.scene for question in asked], (settings.held_out,))
        for column, values in question_columns(split, asked).items():
            questions.setdefault(column, []).extend(values)
        for column, values in text_columns(split, asked, captioners).items():
            texts.setdefault(column, []).extend(values)
        facts[f"same_group_share {split}"] = round(float(np.mean(asker.drawn_alike)), 4)
    return questions, texts


def _concept_facts(chosen: Chosen) -> list[dict[str, str]]:
    names = chosen.names.get(ENGLISH, {})
    return [
        {"id": concept.id, "group": concept.group, "subgroup": concept.subgroup, "en": names.get(concept.id, "")}
        for concept in chosen.concepts
    ]
