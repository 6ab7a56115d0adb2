"""Tokenizers as open_clip and transformers load them, taken apart into what this project keeps of them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tokenizers import Tokenizer

from study.names import hint
from study.published_tokens.handling import Handling, open_clip_cleaning
from study.towers.errors import PublishedError

Found = tuple[Tokenizer, Handling, str]
"""A tokenizer, the handling around it, and where it comes from."""

GEMMA = ("GemmaTokenizer", "Siglip2Tokenizer")
SENTENCEPIECE = ("SiglipTokenizer",)


def open_clip_tokenizer(source: Any, language: str | None) -> Found:
    """See `PublishedTokens.from_open_clip`."""
    from study.towers import torchvision_ops

    torchvision_ops.ensure()
    import open_clip
    from open_clip.tokenizer import HFTokenizer

    where, tokenizer = "open_clip tokenizer", source
    if isinstance(source, str | Path):
        where = str(source)
        name = f"local-dir:{source}" if Path(source).is_dir() else str(source)
        try:
            tokenizer = open_clip.get_tokenizer(name, trust_remote_code=False)
        except TypeError:  # open_clip's own tokenizer does not know that setting
            tokenizer = open_clip.tokenizer.SimpleTokenizer()
        except (OSError, ValueError) as error:
            raise PublishedError(f"{where}: open_clip cannot load its tokenizer: {error}") from None
    if not isinstance(tokenizer, HFTokenizer):
        kind = type(tokenizer).__name__
        raise PublishedError(f"{where}: open_clip reads its texts with {kind}, allowed is HFTokenizer (multilingual)")
    clean = open_clip_cleaning(tokenizer.clean_fn)
    if clean is None or tokenizer.strip_sep_token or tokenizer.tokenizer_mode:
        raise PublishedError(f"{where}: tokenizer_mode, strip_sep_token and clean functions of one's own are not read")
    inner = tokenizer.tokenizer
    if language is not None:
        _set_language(inner, language, where)
    return _taken(inner, clean, where)


def _set_language(tokenizer: Any, language: str, where: str) -> None:
    if not hasattr(tokenizer, "src_lang"):
        raise PublishedError(f"{where}: {type(tokenizer).__name__} has no source language, got {language!r}")
    codes = set(tokenizer.added_tokens_encoder) - set(tokenizer.special_tokens_map.values())
    if language not in codes:
        raise PublishedError(f"{where}: unknown source language {language!r}{hint(language, codes)}")
    tokenizer.src_lang = language  # open_clip's set_language() is undone by transformers 5 at every call


def transformers_tokenizer(source: str | Path, revision: str | None) -> Found:
    """See `PublishedTokens.from_transformers`."""
    from study.towers import torchvision_ops

    torchvision_ops.ensure()
    import transformers
    from transformers.models.auto.tokenization_auto import get_tokenizer_config

    where = str(source)
    pinned: dict[str, Any] = {} if revision is None else {"revision": revision}
    kind: Any
    try:
        declared = str(get_tokenizer_config(where, **pinned).get("tokenizer_class") or "").removesuffix("Fast")
        model = transformers.PreTrainedConfig.get_config_dict(where, **pinned)[0].get("model_type", "")
        siglip = model in ("siglip", "siglip2")
        if siglip and not declared:
            raise ValueError("tokenizer_config.json names no tokenizer_class, which says how texts are cleaned")
        if siglip and declared in GEMMA:
            kind, clean = transformers.Siglip2Tokenizer, "none"
        elif siglip and declared in SENTENCEPIECE:
            kind, clean = transformers.PreTrainedTokenizerFast, "siglip"
        else:
            kind, clean = transformers.AutoTokenizer, "none"
        tokenizer = kind.from_pretrained(where, trust_remote_code=False, **pinned)
    except (OSError, ValueError, ImportError) as error:
        raise PublishedError(f"{where}: transformers cannot load its tokenizer: {error}") from None
    return _taken(tokenizer, clean, where)


def _taken(tokenizer: Any, clean: str, where: str) -> Found:
    kind = type(tokenizer).__name__
    if not tokenizer.is_fast:
        raise PublishedError(f"{where}: {kind} without tokenizer.json: save it once as a fast tokenizer")
    if tokenizer.pad_token is None:
        raise PublishedError(f"{where}: {kind} has no padding token")
    handling = Handling(
        clean=clean,
        pad=tokenizer.pad_token,
        eos=tokenizer.eos_token,
        bos=tokenizer.bos_token,
        unk=tokenizer.unk_token,
        padding_side=tokenizer.padding_side,
        truncation_side=tokenizer.truncation_side,
    )
    return Tokenizer.from_str(tokenizer.backend_tokenizer.to_str()), handling, where
