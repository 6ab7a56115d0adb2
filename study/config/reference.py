"""Reference of params.yaml in Markdown, made from its schema: every key with its type, default and meaning."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from study.config.json_schema import Schema, json_schema
from study.data import CORPORA
from study.objectives import OBJECTIVES

HEADER = ("Key", "Value", "Default", "Meaning")
REQUIRED = "**required**"
LONGEST = 60
"""Letters of a default that is spelled out."""
MOST = 12
"""Names that are listed."""


def markdown(schema: Schema | None = None) -> str:
    """A section for each block, with a table of its keys; without a title."""
    schema = json_schema() if schema is None else schema
    blocks, definitions = schema["properties"], schema["$defs"]
    lines = ["## At the top", "", *_table({"root": blocks["root"]}, schema["required"]), ""]
    for name, node in blocks.items():
        if name == "root":
            continue
        lines += [f"## {name}", ""]
        if name in SEVERAL:
            lines += [f"{_sentence(node['description'])}", ""]
            for title, definition in SEVERAL[name].items():
                lines += [f"### {name}: {title}", "", *_block(definition, definitions)]
            if name == "methods":
                lines += _methods(node, definitions)
        else:
            lines += _block(_target(node), definitions)
            if name == "corpus":
                lines += _corpora(definitions)
    lines += ["## training", "", "Of a teacher and of the students alike.", "", *_block("Schedule", definitions)]
    return "\n".join(lines)


SEVERAL: Mapping[str, Mapping[str, str]] = {
    "teachers": {"trained by the study": "TeacherSpec", "published checkpoint": "PretrainedSpec"},
    "sizes": {"a text encoder of its own": "EncoderSpec"},
    "methods": {},
}
"""Blocks of named blocks of several kinds: title and definition of each kind."""


def _methods(node: Schema, definitions: Schema) -> Iterator[str]:
    (method,) = node["patternProperties"].values()
    for name in OBJECTIVES:
        definition = _target(method["properties"][name])
        yield from (f"### methods: options of {name}", "", *_table(**_parts(definitions[definition])), "")


def _corpora(definitions: Schema) -> Iterator[str]:
    for number, name in enumerate(CORPORA):
        definition = _target(definitions["CorpusSpec"]["allOf"][number]["then"]["properties"]["settings"])
        yield from (f"### corpus.settings of {name}", "", *_block(definition, definitions))
        for key, nested in definitions[definition]["properties"].items():
            if inner := _target(nested):
                yield from (f"### corpus.settings.{key} of {name}", "", *_block(inner, definitions))
    yield from ("### A part of published", "", *_block("Part", definitions))


def _block(definition: str, definitions: Schema) -> Iterator[str]:
    node = definitions[definition]
    if text := node.get("description"):
        yield from (text.replace("\n", " "), "")
    yield from (*_table(**_parts(node)), "")


def _parts(node: Schema) -> dict[str, Any]:
    return {"properties": node["properties"], "required": node.get("required", ())}


def _table(properties: Schema, required: Any) -> Iterator[str]:
    yield f"| {' | '.join(HEADER)} |"
    yield "|---|---|---|---|"
    for key, node in properties.items():
        default = REQUIRED if key in required else _default(node)
        meaning = node.get("description", "see [training](#training)" if key == "training" else "")
        yield f"| `{key}` | {_cell(_kind(node))} | {_cell(default)} | {_cell(meaning)} |"


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("<", "&lt;").replace("\n", " ")


def _sentence(text: str) -> str:
    return f"{text[0].upper()}{text[1:]}."


def _default(node: Schema) -> str:
    if "default" not in node:
        return ""
    if "$ref" in node:
        return "those of its keys"
    text = json.dumps(_without_nulls(node["default"]), ensure_ascii=False)
    return f"`{text}`" if len(text) <= LONGEST else "see params.schema.json"


def _without_nulls(value: Any) -> Any:
    """Blocks without the keys that are not set."""
    if isinstance(value, list):
        return [_without_nulls(entry) for entry in value]
    if isinstance(value, dict):
        return {key: _without_nulls(entry) for key, entry in value.items() if entry is not None}
    return value


def _target(node: Schema) -> str:
    """The definition that a node refers to; nothing for one that stands for itself."""
    return str(node.get("$ref", "")).rpartition("/")[2]


def _kind(node: Schema) -> str:
    """The values that a node allows, in words."""
    if "enum" in node:
        return _names(node["enum"])
    if "const" in node:
        return f"`{node['const']}`"
    if target := _target(node):
        return "a part" if target == "Part" else "block"
    for several in ("anyOf", "oneOf"):
        if several in node:
            return " or ".join(dict.fromkeys(map(_kind, node[several])))
    if node["type"] == "array":
        return _list(node)
    if node["type"] == "object":
        values = node.get("additionalProperties")
        return f"mapping of names to {_kind(values)}" if isinstance(values, dict) else "block"
    words = {
        "integer": "whole number",
        "number": "number",
        "string": "text",
        "boolean": "`true`, `false`",
        "null": "`null`",
    }
    return " ".join([words[node["type"]], *_bounds(node)])


def _names(known: Sequence[str]) -> str:
    plain = [name for name in known if ":" not in name] if len(known) > MOST else known
    listed = ", ".join(f"`{name}`" for name in plain)
    return listed if len(plain) == len(known) else f"{listed}, or a measure: `table:measure`"


def _list(node: Schema) -> str:
    if "prefixItems" in node:
        return f"list of {len(node['prefixItems'])}: {_kind(node['prefixItems'][0])}"
    least, most = node.get("minItems"), node.get("maxItems")
    count = f" ({least} of them)" if least == most and least else " (one or more)" if least else ""
    return f"list of {_kind(node['items'])}{count}"


def _bounds(node: Schema) -> Iterator[str]:
    """Limits of a number, such as `> 0, <= 1`."""
    signs = {"exclusiveMinimum": ">", "minimum": "≥", "exclusiveMaximum": "<", "maximum": "≤"}
    found = [f"{sign} {_number(node[key])}" for key, sign in signs.items() if key in node]
    if found:
        yield f"({', '.join(found)})"


def _number(value: float) -> str:
    powers: dict[float, str] = {2**31: "2³¹", 2**24: "2²⁴"}
    return powers.get(value, f"{value:,.12g}")
