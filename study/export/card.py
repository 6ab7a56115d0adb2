"""The model card (README.md) of an exported model."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd

from study.export.description import Description
from study.export.front_matter import front_matter
from study.export.markdown import bullets, table, text
from study.measures import HEADLINES

DIRECTIONS = {"text_to_image": "text to image", "image_to_text": "image to text"}


def score_table(retrieval: pd.DataFrame, vqa: pd.DataFrame) -> pd.DataFrame:
    """One row a language, points of 100: mAP@10 in both directions, and VQA accuracy (empty without questions)."""
    ranked = retrieval[retrieval["metric"] == HEADLINES["retrieval"][0]]
    table = ranked.pivot_table(index="language", columns="direction", values="score")
    table = table.reindex(columns=list(DIRECTIONS)).rename(columns=DIRECTIONS)
    table.columns.name = None
    return 100 * table.assign(vqa=vqa.groupby("language")["correct"].mean())


def model_card(about: Description) -> str:
    """README.md: front matter, scores, recipe, licences, limits, how to load it."""
    row = about.run["row"]
    what = "student" if row["role"] == "student" else "teacher"
    parts = [
        front_matter(about),
        f"# {about.name}",
        f"A small multilingual dual encoder (image and text) of the {about.family} family: a {what} of the study "
        f"Small Polyglots. {len(about.corpus.languages)} languages; images {about.image_size} x {about.image_size}; "
        f"texts of up to {about.context} tokens.",
        f"## Load it\n\n```python\n{about.load}\n```\n\n{bullets(about.remarks)}",
        f"## Scores\n\n{_scores(about)}",
        f"## Recipe\n\n{_recipe(about)}",
        f"## Limits\n\n{_limits(about)}",
        f"## Licences\n\n{_licences(about)}",
    ]
    return "\n\n".join(parts) + "\n"


def _scores(about: Description) -> str:
    if about.scores is None:
        return f"None are given: {text(about.no_scores)}."
    heads = ["language", *(f"mAP@10, {name}" for name in DIRECTIONS.values()), "VQA accuracy"]
    mean = pd.DataFrame([about.scores.mean()], index=["**mean**"])
    rows = [[str(name), *map(_points, values)] for name, *values in pd.concat([mean, about.scores]).itertuples()]
    domains = f"Retrieval is in domain ({about.corpus.in_domain}), VQA out of domain ({about.corpus.out_of_domain})."
    return f"On the test split, in points of 100. {text(domains)}\n\n{table(heads, rows)}"


def _points(value: float) -> str:
    return "–" if pd.isna(value) else f"{value:.1f}"


def _recipe(about: Description) -> str:
    row, settings, taught = about.run["row"], about.run["settings"], about.teacher
    rows = [["method", row["method"]]]
    if "objectives" in settings:
        weights = [
            f"{name} ({', '.join(f'{key} {value}' for key, value in options.items())})"
            for name, options in settings["objectives"].items()
        ]
        rows += [["objectives", " + ".join(weights)]]
    if "encoder" in settings:
        rows += [["text encoder", _pinned(settings["encoder"]["encoder"], settings["encoder"])]]
    rows += [[f"{whose} held against", read["compared"]] for whose, read in _read(about) if read.get("compared")]
    rows += [
        ["teacher", f"{taught['cell']}: {_source(about.taught)}"],
        ["trained towers", row["towers"]],
        ["size", f"{row['size']}: text tower {row['text_fraction']:.1%} of the teacher's"],
        ["parameters", f"{row['parameters']:,}"],
        ["text tower", f"{row['text_parameters']:,}, of them {row['text_vocabulary_parameters']:,} token table"],
        ["image tower", f"{row['image_parameters']:,}"],
        ["vocabulary", f"{row['vocabulary']:,} tokens"],
        ["seed", row["seed"]],
        ["steps", f"{row['steps']:,}"],
        ["items", f"{row['items']:,} image-caption pairs seen"],
        ["peak learning rate", f"{row['learning_rate']:g}"],
        ["versions", ", ".join(f"{name} {version}" for name, version in about.run["versions"].items())],
        ["fingerprint", f"`{row['fingerprint']}`"],
    ]
    return table(["what", "value"], rows)


def _source(settings: Mapping[str, Any]) -> str:
    """Where a teacher comes from."""
    if "checkpoint" in settings:
        return f"{settings['family']} {_pinned(settings['checkpoint'], settings)}, published"
    return f"{settings['family']} {settings['model']}, trained from scratch on the same corpus"


def _pinned(name: str, settings: Mapping[str, Any]) -> str:
    return f"{name} at revision {settings['revision']}" if settings.get("revision") else name


def _read(about: Description) -> list[tuple[str, Mapping[str, Any]]]:
    """How the published checkpoints behind a model were read (`Evidence`): the teacher's, the text encoder's."""
    encoder = about.run.get("checkpoint", {}) if "encoder" in about.run["settings"] else {}
    return [("teacher", about.teacher.get("checkpoint", {})), ("text encoder", encoder)]


def _limits(about: Description) -> str:
    notes = [
        *_corpus_limits(about),
        f"Images of other sizes are resized by the library; every score is of {about.image_size} x "
        f"{about.image_size} images that were not.",
        "Before they were resized, images were turned as their EXIF says and laid over white where they are "
        "transparent. The library does neither: turn and flatten such images first, or their embeddings are others.",
        *(
            f"Assumed of the {whose}, since its files do not say: {'; '.join(read['assumed'])}."
            for whose, read in _read(about)
            if read.get("assumed")
        ),
        *about.corpus.notes,
    ]
    return bullets(notes)


def _corpus_limits(about: Description) -> list[str]:
    corpus = f"`{about.corpus.corpus}`"
    if about.published:
        return [f"Distilled on one corpus, {corpus}: {about.corpus.description}", "Made to compare methods."]
    return [
        f"Trained on one corpus, {corpus}, and on nothing else: {about.corpus.description}",
        "Made to compare methods of distillation, not to be used on photographs or on texts of other kinds.",
    ]


def _licences(about: Description) -> str:
    rows = [[part.covers, part.name, part.attribution] for part in about.corpus.licences]
    corpus = f"`{about.corpus.corpus}` (source: {about.corpus.source}; revision: {about.corpus.revision})"
    published = about.published
    if not published:
        start = f"Teacher and student were trained on the corpus {corpus} and start from no published weights."
    else:
        names = [
            f"{_pinned(block.get('checkpoint') or block['encoder'], block)} (licence: "
            f"{block.get('licence') or 'not declared; see where it was published'})"
            for block in published
        ]
        start = (
            f"These weights derive from {' and '.join(names)}, and are bound by that. They were distilled on the "
            f"corpus {corpus}."
        )
    return f"{text(start)} The corpus's parts:\n\n" + table(["covers", "licence", "attribution"], rows)
