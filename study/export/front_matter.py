"""The card's front matter: what the Hugging Face Hub reads of a model."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from study.data.prepared import DatasetCard
from study.export.description import Description

TASKS = {
    "text to image": ("text-to-image-retrieval", "map_at_10", "mAP@10"),
    "image to text": ("image-to-text-retrieval", "map_at_10", "mAP@10"),
    "vqa": ("visual-question-answering", "accuracy", "accuracy"),
}
"""Column of a card's scores to the task, and the measure, that `model-index` calls it."""
PIPELINES = {"sentence-transformers": "sentence-similarity"}
"""What the Hub can do with a model of that library; with the others: classify images without training."""
PREFIX = "small-polyglots"


def front_matter(about: Description) -> str:
    """The block between two lines `---` with which a card starts."""
    entries = {
        **_licence(about),
        "language": about.corpus.languages,
        "library_name": about.library,
        "pipeline_tag": PIPELINES.get(about.library, "zero-shot-image-classification"),
        "tags": ["multilingual", "knowledge-distillation", about.family],
        "teacher": about.teacher["cell"],
    }
    # JSON values are YAML too, and quoted: a bare `no` (Norwegian) would be read as false.
    lines = [f"{key}: {_json(value)}" for key, value in entries.items()]
    return "\n".join(["---", *lines, *_bases(about), *_datasets(about.corpus), *_model_index(about), "---"])


def _json(value: object) -> str:
    return json.dumps(value, ensure_ascii=False)


def _licence(about: Description) -> dict[str, Any]:
    names = {licence.name for licence in about.corpus.licences}
    names |= {block.get("licence") or "of the published weights" for block in about.published}
    if len(names) == 1:
        return {"license": min(names).lower()}
    return {"license": "other", "license_name": "licences-of-the-training-data", "license_link": "#licences"}


def _bases(about: Description) -> Iterator[str]:
    """`base_model`: the weights that these come from, by their names on the Hub where they are pinned by one."""
    taught, cell = about.taught, str(about.teacher["cell"])
    names: list[str] = []
    if "checkpoint" in taught and taught.get("revision"):
        names = [taught["checkpoint"]]
    elif about.name != cell:
        yield f"# {cell} is no name on the Hub: it is the teacher that `python -m pipeline.export {cell}` writes."
        names = [cell]
    encoder = about.run["settings"].get("encoder", {})
    if encoder.get("revision"):
        names += [encoder["encoder"]]
    if names:
        yield f"base_model: {_json(names)}"


def hub_names(settings: Mapping[str, Any]) -> list[str]:
    """Names on the Hub of published training data; data in a folder have the name of that data set there."""
    from study.data.published.registry import caption_source

    parts = [part for split in ("distil", "teacher") for part in settings.get(split) or [] if isinstance(part, dict)]
    return list(dict.fromkeys(name for part in parts if (name := part["hub"] or caption_source(part["source"]).hub)))


def _datasets(corpus: DatasetCard) -> Iterator[str]:
    names = hub_names(corpus.settings) if corpus.corpus == "published" else []
    if not names:
        yield f"# The corpus `{corpus.corpus}` of the study, which is not on the Hub; its sources are under Licences."
        names = [f"{PREFIX}-{corpus.corpus}"]
    yield f"datasets: {_json(names)}"


def _model_index(about: Description) -> Iterator[str]:
    """Every score of the card, a line each, as a fraction of 1."""
    if about.scores is None:
        return
    yield "model-index:"
    yield f"- name: {_json(about.name)}"
    yield "  results:"
    for column, (task, measure, name) in TASKS.items():
        scored = about.scores[column].dropna()
        for language, points in scored.items():
            data = {
                "type": f"{PREFIX}-{about.corpus.corpus}",
                "name": f"{about.corpus.corpus}, {'questions' if column == 'vqa' else 'captions'} in {language}",
                "config": language,
                "split": "test",
            }
            metric = {"type": measure, "name": name, "value": round(float(points) / 100, 6)}
            yield f"  - {_json({'task': {'type': task}, 'dataset': data, 'metrics': [metric]})}"
