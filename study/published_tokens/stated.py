"""What the files of a published tokenizer say, and what they leave to the defaults of its library."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from study.towers import hub

ROLES = ("pad", "eos")
"""Special tokens that features depend on beside what tokenizer.json itself puts around a text."""


def unstated(tokenizer: Any, where: str) -> tuple[str, ...]:
    """What no file in the folder `where` says of a tokenizer of transformers, and what stands instead.

    Nothing is told of a tokenizer that does not come from a folder.
    """
    folder, kind = Path(where), type(tokenizer).__name__
    if not folder.is_dir():
        return ()
    names = ("special_tokens_map.json", "tokenizer_config.json")
    declared = {key: value for name in names for key, value in _read(folder / name).items()}
    padding: Mapping[str, Any] = tokenizer.backend_tokenizer.padding or {}
    found = []
    if "padding_side" not in declared and "direction" not in padding:
        found.append(f"texts are padded on the {tokenizer.padding_side}, the default of {kind}")
    ids = _ids(folder)
    for role in ROLES:
        token, index = getattr(tokenizer, f"{role}_token"), getattr(tokenizer, f"{role}_token_id")
        stated = declared.get(f"{role}_token") is not None or ids.get(f"{role}_token_id") == index
        if token is not None and not stated and not (role == "pad" and "pad_token" in padding):
            found.append(f"the {role} token is {token}, the default of {kind}")
    return tuple(found)


def _ids(folder: Path) -> Mapping[str, Any]:
    """The entries of the model's configuration that name special ids, of a dual encoder those of its text tower."""
    config = _read(folder / "config.json")
    text = config.get("text_config", config)
    return text if isinstance(text, Mapping) else {}


def _read(path: Path) -> dict[str, Any]:
    return hub.read_json(path) if path.is_file() else {}
