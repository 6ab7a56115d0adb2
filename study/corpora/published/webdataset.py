"""Data of one's own in webdataset shards, as img2dataset writes them.

A shard is a tar; files of one sample stand together and share their name up to the first dot:
<key>.jpg (or .jpeg, .png, .webp) with its captions in <key>.<language>.txt, in <key>.txt (the part's
`language` says which), or in <key>.json under `captions`: {"en": "a cat", "de": ["eine Katze", "..."]}.
What else is in a sample or in its JSON is passed over.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from functools import partial
from glob import has_magic
from itertools import product
from pathlib import Path

from study.corpora.base import CorpusError, Licence, Record
from study.corpora.manifest.contents import CODE
from study.corpora.published.lines import meant
from study.corpora.published.shards import Member, read_members, read_range
from study.corpora.published.sources import Captioned, CaptionSource, Image, Part

IMAGES = ("jpg", "jpeg", "png", "webp")
BRACES = re.compile(r"\{([^{}]*)\}")
RANGE = re.compile(r"(\d+)\.\.(\d+)")


class Webdataset(CaptionSource):
    """Shards in a folder, or those that a pattern such as data/{00000..00009}.tar or data/*.tar names."""

    record = Record(
        name="webdataset",
        description="Images and captions of the user's own, in webdataset shards.",
        source="the shards named in corpus.settings",
        revision="as declared in corpus.settings",
        licences=(Licence("images and captions", "as declared", "as declared"),),
        languages=(),
        vqa_languages=(),
        in_domain="the user's own",
        out_of_domain="none",
        how="tars that img2dataset or webdataset has written",
    )
    splits = ("all",)

    def languages(self, part: Part) -> tuple[str, ...]:
        """Those of the first shard: reading all of them may take long."""
        shards = self._shards(part)
        found = {language for _, captions in _samples(shards[:1], part.language) for language in captions}
        if not found:
            raise CorpusError(
                f"{shards[0]}: no captions in <key>.<language>.txt or <key>.json (captions: ...); those in <key>.txt "
                "are read if the part says which `language` they are in"
            )
        return tuple(sorted(found))

    def items(self, part: Part, languages: Sequence[str]) -> Iterator[Captioned]:
        for image, captions in _samples(self._shards(part), part.language):
            yield Captioned(image, {language: captions[language] for language in languages if language in captions})

    def bulk(self, part: Part) -> Sequence[Path]:
        return self._shards(part)

    def _shards(self, part: Part) -> list[Path]:
        self.split(part)
        found = [shard for pattern in _expanded(str(part.path)) for shard in _matching(pattern)]
        if len(set(found)) < len(found):
            raise CorpusError(f"webdataset: {part.path} names a shard twice")
        return found


def _expanded(pattern: str) -> list[str]:
    """A pattern without its braces: {000..002} counts, {a,b} lists."""
    pieces = BRACES.split(pattern)
    choices: list[list[str]] = []
    for place, piece in enumerate(pieces):
        bounds = RANGE.fullmatch(piece)
        if place % 2 == 0:
            choices.append([piece])
        elif bounds is not None:
            low, high = bounds.groups()
            choices.append([str(number).zfill(len(low)) for number in range(int(low), int(high) + 1)])
        else:
            choices.append(piece.split(","))
    return ["".join(chosen) for chosen in product(*choices)]


def _matching(pattern: str) -> list[Path]:
    path = Path(pattern)
    if path.is_dir():
        path = path / "*.tar"
    if not has_magic(str(path)):
        if not path.is_file():
            raise CorpusError(f"there is no shard {path}{meant(path)}")
        return [path]
    fixed = next((place for place, piece in enumerate(path.parts) if has_magic(piece)), 0)
    found = sorted(Path(*path.parts[:fixed]).glob(str(Path(*path.parts[fixed:]))))
    if not found:
        raise CorpusError(f"there is no shard {path}")
    return found


def _samples(shards: Sequence[Path], plain: str | None) -> Iterator[tuple[Image, dict[str, list[str]]]]:
    """Every sample's image and captions; `plain` is the language of <key>.txt."""
    first: dict[str, Path] = {}
    for shard in shards:
        members: list[Member] = []
        for member in read_members(shard, lambda ending: ending.rpartition(".")[2] in ("txt", "json")):
            if members and member.key != members[0].key:
                yield _sample(shard, members, plain, first)
                members = []
            members.append(member)
        if members:
            yield _sample(shard, members, plain, first)


def _sample(
    shard: Path, members: Sequence[Member], plain: str | None, first: dict[str, Path]
) -> tuple[Image, dict[str, list[str]]]:
    key = members[0].key
    where = f"{shard}, sample {key}"
    if key in first:
        raise CorpusError(f"{where}: this key is in {first[key]} already; files of a sample stand together")
    first[key] = shard
    images = [member for member in members if member.ending in IMAGES]
    captions: dict[str, list[str]] = {}
    for member in members:
        for language, texts in _captions(shard, member, plain).items():
            captions.setdefault(language, []).extend(texts)
    if len(images) != 1:
        found = ", ".join(member.name for member in members)
        raise CorpusError(f"{where}: {len(images)} images, there must be one; its files: {found}")
    return Image(key, where, partial(read_range, shard, images[0])), captions


def _captions(shard: Path, member: Member, plain: str | None) -> dict[str, list[str]]:
    where = f"{shard}, {member.name}"
    stem, _, kind = member.ending.rpartition(".")
    if member.content is None:
        return {}
    try:
        text = member.content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise CorpusError(f"{where}: not UTF-8: {error.reason}") from None
    if kind == "txt":
        language = stem or plain
        return {} if language is None else {_code(language, where): [text]}
    if stem:
        return {}
    try:
        said = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise CorpusError(f"{where}: no JSON: {error}") from None
    listed = said.get("captions", {}) if isinstance(said, dict) else None
    if not isinstance(listed, dict):
        raise CorpusError(f'{where}: captions must be an object such as {{"en": "a cat", "de": ["eine Katze"]}}')
    return {_code(language, where): _texts(texts, where) for language, texts in listed.items()}


def _code(language: str, where: str) -> str:
    if not CODE.fullmatch(language):
        raise CorpusError(f"{where}: {language!r} is no language code such as 'en' or 'pt-BR'")
    return language


def _texts(value: object, where: str) -> list[str]:
    texts = [value] if isinstance(value, str) else value
    if not isinstance(texts, list) or not all(isinstance(text, str) for text in texts):
        raise CorpusError(f"{where}: captions of a language must be a text or a list of texts, not {value!r}")
    return texts
