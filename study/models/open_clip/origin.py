"""Where an open_clip checkpoint comes from: a folder, a tag of the library, or a repository of the hub."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from study.models import hub, torchvision_ops
from study.models.errors import PretrainedError
from study.models.open_clip.files import WEIGHTS, OpenClipParts, parts
from study.models.open_clip.images import image_kind
from study.names import nearest

torchvision_ops.ensure()

import open_clip  # noqa: E402 (needs torchvision's operators)
from open_clip.factory import HF_HUB_PREFIX, LOCAL_DIR_PREFIX  # noqa: E402
from open_clip.pretrained import get_pretrained_cfg, list_pretrained, list_pretrained_tags_by_model  # noqa: E402


class Origin(ABC):
    """Where a checkpoint comes from."""

    @abstractmethod
    def check(self) -> None:
        """Refuse what cannot be obtained, without any network; raises PretrainedError."""

    @abstractmethod
    def parts(self) -> OpenClipParts:
        """What the checkpoint is made of, downloaded if need be; raises PretrainedError."""


@dataclass(frozen=True)
class Folder(Origin):
    """The library's `local-dir:` layout."""

    path: Path

    def check(self) -> None:
        self.parts()

    def parts(self) -> OpenClipParts:
        found = parts(self.path)
        found.check()
        return found


@dataclass(frozen=True)
class Repository(Origin):
    """A repository of the hub in the library's layout (`hf-hub:`), or a tag, whose `card` the library has."""

    name: str
    revision: str
    card: Mapping[str, Any] | None = None

    def check(self) -> None:
        hub.check_repository(self.name, self.name)
        if self.card is not None:
            image_kind(parts(Path(self.name), self.card).config).check(self.name)

    def parts(self) -> OpenClipParts:
        found = parts(hub.download(self.name, self.revision, WEIGHTS), self.card)
        found.check()
        return found


def origin(checkpoint: str, revision: str | None) -> Origin:
    """Where `checkpoint` comes from; raises PretrainedError, which names the nearest of open_clip's own names."""
    if checkpoint.startswith(HF_HUB_PREFIX):
        name = checkpoint.removeprefix(HF_HUB_PREFIX)
        hub.check_repository(checkpoint, name)
        return Repository(name, hub.commit(checkpoint, revision))
    path = Path(checkpoint.removeprefix(LOCAL_DIR_PREFIX))
    if path.is_dir():
        hub.check_unpinned(checkpoint, revision)
        return Folder(path)
    if checkpoint.startswith(LOCAL_DIR_PREFIX):
        raise PretrainedError(f"checkpoint {checkpoint!r}: there is no folder {path}")
    model, _, tag = checkpoint.partition("/")
    return _tagged(checkpoint, model, tag, revision)


def _tagged(checkpoint: str, model: str, tag: str, revision: str | None) -> Origin:
    known = [f"{name}/{label}" for name, label in list_pretrained()]
    tags = list_pretrained_tags_by_model(model)
    found = get_pretrained_cfg(model, tag)
    if not found:
        close = nearest(checkpoint, known)
        nearby = f"; the nearest name is {close!r}" if close else ""
        meant = f"; the tags of {model} are {', '.join(tags)}" if tags else nearby
        raise PretrainedError(
            f"checkpoint {checkpoint!r} is neither a folder that is there nor a model and tag of open_clip "
            f"(model/tag){meant}. A repository of the hub is written hf-hub:organisation/name; one of transformers "
            "is of family `transformers`"
        )
    model_cfg = open_clip.get_model_config(model)
    wanted, has = (bool(declared.get("quick_gelu", False)) for declared in (found, model_cfg))
    if wanted != has:  # the library warns, and computes something else
        other = model.removesuffix("-quickgelu") if has else f"{model}-quickgelu"
        raise PretrainedError(f"checkpoint {checkpoint!r}: its weights want another activation, take {other}/{tag}")
    card = {"model_cfg": model_cfg, "preprocess_cfg": found}
    return Repository(found["hf_hub"].rpartition("/")[0], hub.commit(checkpoint, revision), card)
