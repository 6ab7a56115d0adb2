"""Our text handling in the files that transformers' AutoTokenizer reads.

What `study.models.tokenizers.vocabulary` does around its tokenizer (`clean` before it; bos, eos and the cut after it)
is written into tokenizer.json itself, since in a library nobody calls it.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from tokenizers import Regex, normalizers, processors

from study.models.tokenizers.vocabulary import BOS, EOS, FILE, PAD, SPECIAL, UNK, Vocabulary

CASED = r"[\p{Cased}&&[^\p{Case_Ignorable}]]"
SPACES = r"[\s\x1C-\x1F]+"
"""What Python's `str.split` divides at."""
FINAL_SIGMA = rf"(?<={CASED}\p{{Case_Ignorable}}*)Σ(?!\p{{Case_Ignorable}}*{CASED})"
"""A capital sigma at the end of a word: Python lowers it to ς, `tokenizers`, letter by letter, to σ."""


def write_tokenizer(vocabulary: Vocabulary, context: int, bos: bool, folder: Path, **config: Any) -> None:
    """Write tokenizer.json, tokenizer_config.json and special_tokens_map.json into `folder`.

    Args:
        vocabulary: the tokens.
        context: L; the tokenizer's `model_max_length`.
        bos: whether a text starts with bos.
        folder: where to.
        config: further entries of tokenizer_config.json.

    The tokenizer gives the ids of `vocabulary.encode(texts, context, bos)` when it is asked for
    truncation and padding to `max_length`.
    """
    vocabulary.save(folder)
    file = folder / FILE
    declared = json.loads(file.read_text(encoding="utf-8"))
    declared["normalizer"] = _state(
        normalizers.Sequence(
            [
                normalizers.NFC(),
                normalizers.Replace(Regex(FINAL_SIGMA), "ς"),
                normalizers.Lowercase(),
                normalizers.Replace(Regex(SPACES), " "),
                normalizers.Strip(),
            ]
        )
    )
    start = f"{SPECIAL[BOS]} " if bos else ""
    used = [(SPECIAL[index], index) for index in ((BOS, EOS) if bos else (EOS,))]
    declared["post_processor"] = _state(
        processors.TemplateProcessing(
            single=f"{start}$A {SPECIAL[EOS]}", pair=f"{start}$A {SPECIAL[EOS]} $B {SPECIAL[EOS]}", special_tokens=used
        )
    )
    for token in declared["added_tokens"]:
        token["normalized"] = True  # found in the lower-cased text, as we do: <EOS> is <eos>
    _write(file, declared)
    names = {"pad_token": PAD, "eos_token": EOS, "bos_token": BOS, "unk_token": UNK}
    special = {name: SPECIAL[index] for name, index in names.items()}
    _write(folder / "special_tokens_map.json", special)
    _write(
        folder / "tokenizer_config.json",
        {
            "tokenizer_class": "PreTrainedTokenizerFast",  # the name that older versions know, too
            **special,
            "model_max_length": context,
            "padding_side": "right",
            "truncation_side": "right",
            "clean_up_tokenization_spaces": False,
            "model_input_names": ["input_ids"],  # no attention mask: neither family reads one
            **config,
        },
    )


def _state(part: Any) -> dict[str, Any]:
    state: dict[str, Any] = json.loads(part.__getstate__())
    return state


def _write(path: Path, content: Any) -> None:
    path.write_text(json.dumps(content, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
