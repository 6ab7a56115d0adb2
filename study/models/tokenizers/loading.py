"""Tokenizers as open_clip and transformers load them, taken apart into what this project keeps of them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NamedTuple

from tokenizers import Tokenizer

from study.models import hub
from study.models.errors import PretrainedError
from study.models.tokenizers.handling import Handling, open_clip_cleaning
from study.names import hint

GEMMA = ("GemmaTokenizer", "Siglip2Tokenizer")
SENTENCEPIECE = ("SiglipTokenizer",)
SIGLIP = ("siglip", "siglip2")
"""Model types of transformers whose texts are cleaned before they reach tokenizer.json."""


class Found(NamedTuple):
    """A tokenizer, the handling around it, where it comes from, and what its files leave open (`Evidence.assumed`)."""

    tokenizer: Tokenizer
    handling: Handling
    where: str
    assumed: tuple[str, ...] = ()


class Reader(NamedTuple):
    """The class of transformers that reads a tokenizer, the cleaning before it, and what was assumed to choose them."""

    kind: Any
    clean: str
    assumed: tuple[str, ...] = ()


def open_clip_tokenizer(source: Any, language: str | None) -> Found:
    """See `PretrainedTokenizer.from_open_clip`."""
    from study.models import torchvision_ops

    torchvision_ops.ensure()
    import open_clip
    from open_clip.tokenizer import HFTokenizer

    where, tokenizer = str(getattr(getattr(source, "tokenizer", None), "name_or_path", "open_clip tokenizer")), source
    if isinstance(source, str | Path):
        where = str(source)
        name = f"local-dir:{source}" if Path(source).is_dir() else str(source)
        try:
            with reading(where, "open_clip"):
                tokenizer = open_clip.get_tokenizer(name, trust_remote_code=False)
        except TypeError:  # open_clip's own tokenizer does not know that setting
            tokenizer = open_clip.tokenizer.SimpleTokenizer()
    if not isinstance(tokenizer, HFTokenizer):
        kind = type(tokenizer).__name__
        raise PretrainedError(f"{where}: open_clip reads its texts with {kind}, must be HFTokenizer (multilingual)")
    clean = open_clip_cleaning(tokenizer.clean_fn)
    if clean is None or tokenizer.strip_sep_token or tokenizer.tokenizer_mode:
        raise PretrainedError(f"{where}: tokenizer_mode, strip_sep_token and clean functions of one's own are not read")
    inner = tokenizer.tokenizer
    if language is not None:
        _set_language(inner, language, where)
    return _taken(inner, clean, where)


def _set_language(tokenizer: Any, language: str, where: str) -> None:
    if not hasattr(tokenizer, "src_lang"):
        raise PretrainedError(f"{where}: {type(tokenizer).__name__} has no source language, got {language!r}")
    codes = set(tokenizer.added_tokens_encoder) - set(tokenizer.special_tokens_map.values())
    if language not in codes:
        raise PretrainedError(f"{where}: unknown source language {language!r}{hint(language, codes)}")
    tokenizer.src_lang = language  # open_clip's set_language() is undone by transformers 5 at every call


def transformers_tokenizer(source: str | Path, revision: str | None) -> Found:
    """See `PretrainedTokenizer.from_transformers`."""
    where = str(source)
    pinned: dict[str, Any] = {} if revision is None else {"revision": revision}
    reader = transformers_reader(where, pinned)
    with reading(where, "transformers"):
        tokenizer = reader.kind.from_pretrained(where, trust_remote_code=False, **pinned)
    found = _taken(tokenizer, reader.clean, where)
    return found._replace(assumed=(*reader.assumed, *found.assumed))


def transformers_reader(where: str, pinned: Mapping[str, Any]) -> Reader:
    """How transformers is made to read the texts of a folder or name as its model was trained to.

    AutoTokenizer alone does not: it leaves out the lower case of SigLIP2 where the files name Gemma's tokenizer or a
    generic one.

    Raises:
        PretrainedError: the files cannot be read, or do not say how texts are cleaned.
    """
    from study.models import torchvision_ops

    torchvision_ops.ensure()
    import transformers
    from transformers.models.auto.tokenization_auto import get_tokenizer_config

    with reading(where, "transformers"):
        config = get_tokenizer_config(where, **pinned)
        model = transformers.PreTrainedConfig.get_config_dict(where, **pinned)[0].get("model_type", "")
    auto: Any = transformers.AutoTokenizer
    if model not in SIGLIP:
        return Reader(auto, "none")
    named = str(config.get("tokenizer_class") or "")
    declared = named.removesuffix("Fast")
    remedy = (
        "name Siglip2Tokenizer there (texts in lower case) or SiglipTokenizer (in lower case, without punctuation), "
        "as the model was trained"
    )
    if not declared:
        raise PretrainedError(
            f"{where}: tokenizer_config.json names no tokenizer_class, which says how texts are cleaned; {remedy}"
        )
    if declared in SENTENCEPIECE:
        if config.get("do_lower_case") is False:
            raise PretrainedError(f"{where}: tokenizer_config.json: do_lower_case is false, must be true")
        unasked = (
            "ids are those of tokenizer.json: transformers' SiglipTokenizer was not asked, which needs the package "
            "sentencepiece and spiece.model"
        )
        return Reader(transformers.PreTrainedTokenizerFast, "siglip", () if has_sentencepiece(where) else (unasked,))
    siglip2: Any = transformers.Siglip2Tokenizer
    if declared == siglip2.__name__:
        return Reader(siglip2, "none")
    lower = f"texts are put into lower case as by Siglip2Tokenizer (its files name {named})"
    if declared in GEMMA:
        return Reader(siglip2, "none", (lower,))
    with reading(where, "transformers"):
        generic = auto.from_pretrained(where, trust_remote_code=False, **pinned).backend_tokenizer
    if _lowers(generic):  # tokenizer.json does it itself, as in what this project exports
        return Reader(auto, "none")
    if type(generic.model).__name__ == "BPE" and generic.model.byte_fallback:  # Gemma's, which SigLIP2 has
        return Reader(siglip2, "none", (lower,))
    raise PretrainedError(
        f"{where}: tokenizer_config.json names the tokenizer_class {named}, which keeps capitals, and every SigLIP "
        f"was trained without them; {remedy}"
    )


def has_sentencepiece(where: str | Path) -> bool:
    """Whether transformers' own SiglipTokenizer can be made of the folder `where`."""
    return find_spec("sentencepiece") is not None and (Path(where) / "spiece.model").is_file()


def _lowers(tokenizer: Any) -> bool:
    """Whether tokenizer.json itself puts texts into lower case."""
    mixed = "AÉЖ a"
    return tokenizer.normalizer is not None and len(
        {tokenizer.normalizer.normalize_str(text) for text in (mixed, mixed.lower())}
    ) == 1  # fmt: skip


@contextmanager
def reading(where: str | Path, library: str) -> Iterator[None]:
    """Turn whatever `library` raises while it reads the tokenizer of `where` into a PretrainedError.

    `tokenizers` raises bare `Exception` for a tokenizer.json that a newer version wrote.
    """
    try:
        yield
    except PretrainedError:
        raise
    except Exception as error:
        known = (OSError, ValueError, ImportError, KeyError, AttributeError, IndexError, RecursionError)
        if type(error) is not Exception and not isinstance(error, known):
            raise
        file = Path(where) / "tokenizer.json"
        if file.is_file() and (told := _unreadable(file)):
            raise PretrainedError(
                f"{file}: tokenizers {version('tokenizers')} cannot read it ({told}): it is broken, or a newer version "
                "wrote it; save it with this version, or install the newer one"
            ) from None
        told = " ".join(str(error).split())
        raise PretrainedError(f"{where}: {library} cannot load its tokenizer: {told}") from None


def _unreadable(file: Path) -> str:
    """Why `tokenizers` alone cannot read `file`; empty if it can."""
    try:
        Tokenizer.from_file(str(file))
    except Exception as error:  # `tokenizers` raises nothing narrower
        return " ".join(str(error).split())
    return ""


def _taken(tokenizer: Any, clean: str, where: str) -> Found:
    kind = type(tokenizer).__name__
    if not tokenizer.is_fast:
        raise PretrainedError(f"{where}: {kind} without tokenizer.json: save it once as a fast tokenizer")
    if tokenizer.pad_token is None:
        raise PretrainedError(f"{where}: {kind} has no padding token")
    handling = Handling(
        clean=clean,
        pad=tokenizer.pad_token,
        eos=tokenizer.eos_token,
        bos=tokenizer.bos_token,
        unk=tokenizer.unk_token,
        padding_side=tokenizer.padding_side,
        truncation_side=tokenizer.truncation_side,
    )
    return Found(Tokenizer.from_str(tokenizer.backend_tokenizer.to_str()), handling, where, unstated(tokenizer, where))


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
