"""The schema of params.yaml as JSON Schema, by which editors complete and check it.

What the strict reader leaves to later checks is spelled out here, since an editor has no later: the settings of each
corpus, the options of each objective, and the names that registries know.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import GenerateJsonSchema, models_json_schema
from pydantic_core import core_schema

from study.config.params import Params
from study.data import CORPORA
from study.data.published.questions import QUESTION_SOURCES
from study.data.published.registry import CAPTION_SOURCES
from study.measures import OUTCOMES
from study.models import PRETRAINED, TRAINABLE
from study.objectives import OBJECTIVES, options_of

DIALECT = "https://json-schema.org/draft/2020-12/schema"

Schema = dict[str, Any]


class _Untitled(GenerateJsonSchema):
    """Without titles made of names: editors show them in the place of descriptions."""

    def field_title_should_be_set(self, schema: core_schema.CoreSchema) -> bool:
        return False


def json_schema() -> Schema:
    """The JSON Schema of params.yaml; `$defs` holds a definition for each block.

    Every params.yaml that `params.read` takes, with names that the registries know, is valid under it.
    """
    corpora = {name: corpus.Settings for name, corpus in CORPORA.items()}
    options = {name: options_of(name) for name in OBJECTIVES}
    models: list[type[BaseModel]] = [Params, *corpora.values(), *options.values()]
    found, generated = models_json_schema(
        [(model, "validation") for model in dict.fromkeys(models)], schema_generator=_Untitled
    )
    definitions: Schema = generated["$defs"]

    def reference(model: type[BaseModel]) -> Schema:
        return dict(found[(model, "validation")])

    _settle_corpus(definitions, {name: reference(model) for name, model in corpora.items()})
    _name(definitions, "TeacherSpec.family", TRAINABLE)
    _name(definitions, "PretrainedSpec.family", PRETRAINED)
    _name(definitions, "Part.source", (*CAPTION_SOURCES, *QUESTION_SOURCES))
    for settings in ("PublishedSettings", "QuestionParts"):
        _one_or_many(definitions[settings]["properties"])
    definitions["AnalysisSpec"]["properties"]["primary"]["items"] = {"enum": list(OUTCOMES)}
    for definition in definitions.values():
        definition.pop("title", None)
    top = definitions.pop("Params")
    for block in ("teachers", "sizes", "methods"):
        top["properties"][block]["additionalProperties"] = False  # names of another form
    (name,) = top["properties"]["methods"]["patternProperties"]
    top["properties"]["methods"]["patternProperties"][name] = {
        "type": "object",
        "minProperties": 1,
        "properties": {objective: reference(model) for objective, model in options.items()},
        "additionalProperties": False,
    }
    return {"$schema": DIALECT, "title": "params.yaml of a Small Polyglots study", **top, "$defs": definitions}


def text() -> str:
    """`json_schema` as the file params.schema.json has it: keys in the order of the models."""
    return json.dumps(json_schema(), indent=1, ensure_ascii=False) + "\n"


def _settle_corpus(definitions: Schema, settings: Mapping[str, Schema]) -> None:
    """Settings are those of the corpus that `name` says."""
    corpus = definitions["CorpusSpec"]
    corpus["properties"]["name"]["enum"] = list(settings)
    corpus["allOf"] = [
        {
            "if": {"properties": {"name": {"const": name}}, "required": ["name"]},
            "then": {"properties": {"settings": reference}},
        }
        for name, reference in settings.items()
    ]


def _name(definitions: Schema, key: str, known: Iterable[str]) -> None:
    """Allow only `known` names at `definition.property`."""
    definition, _, name = key.partition(".")
    definitions[definition]["properties"][name]["enum"] = list(known)


def _one_or_many(properties: Schema) -> None:
    """Lists of parts may be written as one part, or as null."""
    for name, node in properties.items():
        if (part := node.get("items")) == {"$ref": "#/$defs/Part"}:
            listed = {"type": "array", "items": part}
            kept = {key: value for key, value in node.items() if key not in listed}
            properties[name] = {"anyOf": [part, listed, {"type": "null"}], **kept}
