"""Published tokens, whole or trimmed, in the files that transformers' AutoTokenizer reads."""

from __future__ import annotations

import json
import string
from pathlib import Path
from typing import Any

from tokenizers import Regex, normalizers

from study.export.tokenizer import FINAL_SIGMA, SPACES
from study.models.tokenizers.pretrained import FILE, HANDLING, PretrainedTokenizer

PUNCTUATION = "[" + "".join(rf"\x{ord(sign):02X}" for sign in string.punctuation) + "]"


def write_published_tokenizer(tokens: PretrainedTokenizer, context: int, folder: Path, **config: Any) -> None:
    """Write tokenizer.json, tokenizer_config.json and special_tokens_map.json into `folder`.

    `context` is the tokenizer's `model_max_length`, `config` are further entries of tokenizer_config.json. What
    SigLIP's tokenizer does in Python goes into tokenizer.json; open_clip's cleaning is left to open_clip.
    """
    handling = tokens.handling
    tokens.save(folder)
    (folder / HANDLING).unlink()
    if handling.clean == "siglip":
        file = folder / FILE
        declared = json.loads(file.read_text(encoding="utf-8"))
        declared["normalizer"] = _canonical(declared["normalizer"])
        _write(file, declared)
    names = {"pad_token": handling.pad, "eos_token": handling.eos, "bos_token": handling.bos, "unk_token": handling.unk}
    special = {name: token for name, token in names.items() if token is not None}
    _write(folder / "special_tokens_map.json", special)
    _write(
        folder / "tokenizer_config.json",
        {
            "tokenizer_class": "PreTrainedTokenizerFast",  # reads tokenizer.json as it is, prefixes included
            **special,
            "model_max_length": context,
            "padding_side": handling.padding_side,
            "truncation_side": handling.truncation_side,
            "clean_up_tokenization_spaces": False,
            **config,
        },
    )


def _canonical(inner: dict[str, Any] | None) -> dict[str, Any]:
    """Lower case as Python's, no ASCII punctuation, single spaces; then the tokenizer's own normalizer."""
    steps: list[Any] = [
        normalizers.Replace(Regex(FINAL_SIGMA), "ς"),
        normalizers.Lowercase(),
        normalizers.Replace(Regex(PUNCTUATION), ""),
        normalizers.Replace(Regex(SPACES), " "),
        normalizers.Strip(),
    ]
    states = [json.loads(step.__getstate__()) for step in steps]
    return {"type": "Sequence", "normalizers": [*states, *([inner] if inner else [])]}


def _write(path: Path, content: Any) -> None:
    path.write_text(json.dumps(content, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
