"""The embedded corpus: scenes of emoji, captioned with their CLDR names in 36 languages."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from study.data.base import Corpus, DatasetInfo, Licence, Progress
from study.data.emoji.packages import install
from study.data.emoji.prepare import check_asked, prepare
from study.data.emoji.prompts import LEFT_OUT, PROMPTS
from study.data.emoji.settings import LANGUAGES, EmojiSettings
from study.data.emoji.source import PackageSource

RECORD = DatasetInfo(
    name="emoji",
    description=(
        "Small scenes of one to a few emoji on a plain background. Captions list the short names that Unicode's "
        "translators gave them, from left to right; questions have four options and come in a vendor's artwork "
        "that no training image has."
    ),
    source="npm: emoji-datasource-google, emoji-datasource-twitter, @iconify-json/fluent-emoji-flat, openmoji, "
    "cldr-annotations-full, cldr-annotations-derived-full",
    revision="16.0.0, 16.0.0, 1.2.6, 17.0.0, 48.2.0, 48.2.0; integrity hashes in package-lock.json",
    licences=(
        Licence("artwork: Noto Emoji (vendor google)", "Apache-2.0", "Noto Emoji, © Google LLC"),
        Licence(
            "artwork: Twemoji (vendor twitter)",
            "CC-BY-4.0",
            "Twemoji, © Twitter, Inc. and other contributors; cropped, scaled and composed into scenes",
        ),
        Licence("artwork: Fluent Emoji, flat (vendor fluent)", "MIT", "Fluent Emoji, © Microsoft Corporation"),
        Licence(
            "artwork: OpenMoji",
            "CC-BY-SA-4.0",
            "All emojis designed by OpenMoji, the open-source emoji and icon project; rasterised, cropped, scaled and "
            "composed into scenes. Images that contain them are under the same licence",
        ),
        Licence("packaging and metadata: emoji-datasource", "MIT", "emoji-data, © Cal Henderson"),
        Licence("names: Unicode CLDR annotations", "Unicode-3.0", "© Unicode, Inc. and CLDR's translators"),
    ),
    languages=LANGUAGES,
    vqa_languages=tuple(PROMPTS),
    in_domain="validation and test: new compositions in the artwork of the training images",
    out_of_domain="questions: new compositions in the held-out vendor's artwork; a text is a prompt and an option, as "
    "prompt_share of the captions to train on are (0: none of them)",
    notes=(
        "Captions are lists of names, not sentences; names are CLDR's, written by people, with their gaps and habits.",
        f"No questions in {', '.join(f'{language} ({reason})' for language, reason in LEFT_OUT.items())}.",
        "Prompts were written for this project and not reviewed by native speakers of all languages.",
        "In questions of number, a concept three times fills a scene of three items.",
    ),
)


def build(
    settings: EmojiSettings,
    languages: Sequence[str],
    vqa_languages: Sequence[str],
    out: Path,
    cache: Path,
    progress: Progress,
) -> None:
    """Install the packages into `cache` if they are not there, and prepare the corpus in `out`."""
    check_asked(RECORD, settings, languages, vqa_languages)
    progress("npm packages", 0.0)
    modules = install(cache)
    progress("npm packages", 1.0)
    prepare(PackageSource(modules), RECORD, settings, languages, vqa_languages, out, progress)


def check(settings: EmojiSettings, languages: Sequence[str], vqa_languages: Sequence[str]) -> None:
    """Refuse what cannot be built."""
    check_asked(RECORD, settings, languages, vqa_languages)


CORPUS = Corpus(record=RECORD, Settings=EmojiSettings, build=build, check=check)
