"""Data of one's own in webdataset shards, as img2dataset writes them.

A shard is a tar; files of one sample stand together and share their name up to the first dot:
<key>.jpg (or .jpeg, .png, .webp) with its captions in <key>.<language>.txt, in <key>.txt (the part's
`language` says which), or in <key>.json under `captions`: {"en": "a cat", "de": ["eine Katze", "..."]}.
What else is in a sample or in its JSON is passed over, and so are hidden files. A key names a sample within its shard.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from functools import lru_cache, partial
from glob import has_magic
from itertools import product
from pathlib import Path

from study.data.base import CorpusError, DatasetInfo, Licence
from study.data.manifest.contents import CODE
from study.data.published.sources import Captioned, CaptionSource, Image, Part
from study.data.published.tar_shards import Member, read_members, read_range
from study.data.published.text_lines import meant

IMAGES = ("jpg", "jpeg", "png", "webp")
BRACES = re.compile(r"\{([^{}]*)\}")
MOST_NAMED = 8
MOST_SHARDS = 100_000
RANGE = re.compile(r"(\d+)\.\.(\d+)")


class Webdataset(CaptionSource):
    """Shards in a folder, or those that a pattern such as data/{00000..00009}.tar or data/*.tar names."""

    record = DatasetInfo(
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
        """Those of all shards: a language may begin late, or have shards of its own."""
        shards = self._shards(part)
        found = _languages(tuple((shard, shard.stat().st_mtime_ns) for shard in shards), part.language)
        if not found:
            raise CorpusError(
                f"{shards[0]}: no captions in <key>.<language>.txt or <key>.json (captions: ...); those in <key>.txt "
                "are read if the part says which `language` they are in"
            )
        return found

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
            if int(high) - int(low) >= MOST_SHARDS:
                raise CorpusError(f"webdataset: {pattern} counts more than {MOST_SHARDS:,} shards")
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
    folder, rest = Path(*path.parts[:fixed]), str(Path(*path.parts[fixed:]))
    found = sorted(shard for shard in folder.glob(rest) if not shard.name.startswith("."))
    if not found:
        packed = sorted(shard.name for shard in folder.glob(f"{rest}.*"))
        raise CorpusError(f"there is no shard {path}" + (f"; unpack {packed[0]} and its like first" if packed else ""))
    return found


def _samples(shards: Sequence[Path], plain: str | None) -> Iterator[tuple[Image, dict[str, list[str]]]]:
    """Every sample's image and captions; `plain` is the language of <key>.txt."""
    for shard in shards:
        known: set[str] = set()  # writers may count from 0 in every shard
        members: list[Member] = []
        for member in read_members(shard, lambda ending: _kind(ending) in ("txt", "json")):
            if members and member.key != members[0].key:
                yield _sample(shard, members, plain, known)
                members = []
            members.append(member)
        if members:
            yield _sample(shard, members, plain, known)


@lru_cache(maxsize=16)
def _languages(shards: tuple[tuple[Path, int], ...], plain: str | None) -> tuple[str, ...]:
    """The codes of all captions, sorted; `shards` with the times of their last change."""
    samples = _samples([shard for shard, _ in shards], plain)
    return tuple(sorted({language for _, captions in samples for language in captions}))


def _kind(ending: str) -> str:
    """What a member is by its last suffix."""
    return ending.rpartition(".")[2].lower()


def _sample(
    shard: Path, members: Sequence[Member], plain: str | None, known: set[str]
) -> tuple[Image, dict[str, list[str]]]:
    key = members[0].key
    where = f"{shard}, sample {key}"
    if key in known:
        raise CorpusError(f"{where}: this key is in the shard already; files of a sample stand together")
    known.add(key)
    images = [member for member in members if member.ending.lower() in IMAGES]
    for member in members:
        if "." in member.ending and _kind(member.ending) in IMAGES:
            raise CorpusError(
                f"{where}: {member.name}: a key ends at the first dot of a file's name; write keys without"
            )
    captions: dict[str, list[str]] = {}
    for member in members:
        for language, texts in _captions(shard, member, plain).items():
            captions.setdefault(language, []).extend(texts)
    if len(images) != 1:
        found = ", ".join(member.name for member in members[:MOST_NAMED]) + ", ..." * (len(members) > MOST_NAMED)
        dotted = any("." in member.ending and _kind(member.ending) in IMAGES for member in members)
        hint = (
            "; a key ends at the first dot of a file's name: write names without dots in their keys" if dotted else ""
        )
        raise CorpusError(f"{where}: {len(images)} images, there must be one; its files: {found}{hint}")
    return Image(key, where, partial(read_range, shard, images[0])), captions


def _captions(shard: Path, member: Member, plain: str | None) -> dict[str, list[str]]:
    where = f"{shard}, {member.name}"
    stem, kind = member.ending.rpartition(".")[0], _kind(member.ending)
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
