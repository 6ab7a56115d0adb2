"""Where a published checkpoint lies: a folder, or a repository of the hub at a pinned commit."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open

from study import lfs
from study.models.errors import PretrainedError

COMMIT = re.compile(r"[0-9a-f]{40}")
REPOSITORY = re.compile(r"[A-Za-z0-9][\w.-]*(/[A-Za-z0-9][\w.-]*)?")
TEXT_FILES = ("*.json", "*.model", "*.txt", "LICENSE*", "README.md")
"""Everything of a repository that is small: configurations, tokenizer, licence."""
SAFETENSORS = ".safetensors"
INDEX = ".index.json"
"""Behind the name of weights that are divided into shards, as both libraries write it."""
PICKLES = ("*.bin", "*.pt", "*.pth", "*.ckpt", "*.npz", "*.msgpack", "*.h5")


def commit(checkpoint: str, revision: str | None) -> str:
    """The commit that a name on the hub is pinned to; raises PretrainedError where it is not."""
    if revision is None:
        raise PretrainedError(
            f"checkpoint {checkpoint!r} is a name on the hub: give its `revision`, the 40 hex digits of a commit, "
            "so that it stays what it is"
        )
    if not COMMIT.fullmatch(revision):
        raise PretrainedError(
            f"revision {revision!r} of checkpoint {checkpoint!r} can move: give the 40 hex digits of a commit"
        )
    return revision


def check_unpinned(checkpoint: str, revision: str | None) -> None:
    """Refuse a revision of a folder, which pins nothing; raises PretrainedError."""
    if revision is not None:
        raise PretrainedError(
            f"checkpoint {checkpoint!r} is a folder: a `revision` pins names on the hub only, leave it out"
        )


def check_repository(checkpoint: str, name: str) -> None:
    """Refuse what cannot be a name on the hub; raises PretrainedError."""
    if name.startswith(("hf-hub:", "local-dir:")):
        raise PretrainedError(
            f"checkpoint {checkpoint!r}: hf-hub: and local-dir: are open_clip's, whose checkpoints family `open_clip` "
            "loads; a checkpoint of transformers is named organisation/name"
        )
    if not REPOSITORY.fullmatch(name):
        raise PretrainedError(
            f"checkpoint {checkpoint!r} is neither a folder that is there nor a name on the hub (organisation/name)"
        )


def download(name: str, revision: str, weights: Sequence[str]) -> Path:
    """The folder of repository `name` at commit `revision`: its small files and those of `weights` that it has,
    whole or in shards.

    What the hub's cache holds is not downloaded again.

    Raises:
        PretrainedError: there is no such repository or commit, or it cannot be reached.
    """
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalEntryNotFoundError

    try:
        found = snapshot_download(name, revision=revision, allow_patterns=[*TEXT_FILES, *_with_shards(weights)])
    except (HfHubHTTPError, HFValidationError, LocalEntryNotFoundError, OSError) as error:
        first = str(error).strip().splitlines()[0]
        raise PretrainedError(f"{name} at {revision} cannot be downloaded from the hub: {first}") from None
    return Path(found)


def read_json(path: Path) -> dict[str, Any]:
    """The mapping in a JSON file; raises PretrainedError, which names it."""
    if lfs.points(path):
        raise PretrainedError(f"{path} {lfs.PROBLEM}")
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise PretrainedError(f"there is no {path}") from None
    except OSError as error:
        raise PretrainedError(f"{path} cannot be read: {error.strerror}") from None
    except RecursionError:
        raise PretrainedError(f"{path} is no JSON that people write: its values lie too deep in one another") from None
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise PretrainedError(f"{path} is no JSON: {error}") from None
    if not isinstance(content, dict):
        raise PretrainedError(f"{path} must be a mapping, is {type(content).__name__}")
    return content


def _with_shards(weights: Sequence[str]) -> list[str]:
    """Patterns of weights and of the shards that they may be divided into."""
    return [*weights, *(f"{name.removesuffix(SAFETENSORS)}-*{SAFETENSORS}" for name in weights)]


def weight_files(folder: Path, names: Sequence[str]) -> list[Path]:
    """The weights of a checkpoint: the first of `names` that `folder` holds, or the shards that its index lists.

    Raises:
        PretrainedError: none is there, or the index is not right.
    """
    for name in names:
        if (folder / name).is_file():
            return [folder / name]
        if (index := folder / f"{name}{INDEX}").is_file():
            return _shards(index)
    raise no_safetensors(folder)


def _shards(index: Path) -> list[Path]:
    """The files that an index of shards lists (`weight_map`: weight to file), in the order of their names."""
    places = read_json(index).get("weight_map")
    if not isinstance(places, dict) or not places or not all(isinstance(name, str) for name in places.values()):
        raise PretrainedError(f"{index}: weight_map must say for each weight which file it is in")
    names = sorted(set(places.values()))
    for name in names:
        if Path(name).name != name or not name.endswith(SAFETENSORS):
            raise PretrainedError(f"{index} names {name!r}, must name {SAFETENSORS} files beside it")
        if not (index.parent / name).is_file():
            raise PretrainedError(f"{index} names {name}, one of {len(names)} shards, which is not there")
    return [index.parent / name for name in names]


def check_files(folder: Path, weights: Sequence[str], whose: str) -> None:
    """Refuse a folder whose weights or tokenizer are missing or cut off, by their headers; raises PretrainedError.

    Args:
        folder: the checkpoint.
        weights: names that its weights may have, as `weight_files` takes them.
        whose: whose fast tokenizer it needs.
    """
    for path in weight_files(folder, weights):
        check_whole(path)
    tokenizer = folder / "tokenizer.json"
    if not tokenizer.is_file():
        raise PretrainedError(f"{folder} holds no tokenizer.json: put {whose} fast tokenizer there")
    if lfs.points(tokenizer):
        raise PretrainedError(f"{tokenizer} {lfs.PROBLEM}")


def check_whole(file: Path) -> None:
    """Refuse a safetensors file that is cut off or none, by its header alone; raises PretrainedError."""
    if lfs.points(file):
        raise PretrainedError(f"{file} {lfs.PROBLEM}")
    try:
        with safe_open(file, framework="numpy"):
            pass
    except (OSError, SafetensorError) as error:
        raise PretrainedError(f"{file} is not whole: {error}") from None


def described(folder: Path) -> str:
    """What the checkpoint in `folder` is, and as what it can be used here; empty if that cannot be told."""
    if (folder / "open_clip_config.json").is_file():
        return "it is a checkpoint of open_clip, which family `open_clip` loads"
    path = folder / "config.json"
    config = read_json(path) if path.is_file() else {}
    if kind := config.get("model_type"):
        what = f"it is a {kind!r} checkpoint of transformers"
        if kind == "siglip":
            return f"{what}, which family `transformers` loads"
        return what if "vision_config" in config else f"{what}; a text encoder can be a size's `encoder`, no teacher"
    if (folder / "modules.json").is_file():
        return "it is a folder of sentence-transformers; the encoder in it can be a size's `encoder`, no teacher"
    return ""


def no_safetensors(folder: Path) -> PretrainedError:
    """The error for a folder without safetensors, saying what it has instead."""
    pickles = sorted(path.name for pattern in PICKLES for path in folder.glob(pattern))
    found = f": {', '.join(pickles)} would have to be unpickled, which can run any code" if pickles else ""
    return PretrainedError(f"{folder} holds no weights in safetensors{found}. Only .safetensors files are read")
