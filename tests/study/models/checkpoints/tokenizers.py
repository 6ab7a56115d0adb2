"""Tiny tokenizers in the files of published ones, made by rule from a few captions: small, and always the same.

Pieces are counted substrings, not trained: what matters is the form. Gemma's and NLLB's merges are all
splits of each piece, several a piece, as transformers derives them from SentencePiece.
"""

from __future__ import annotations

import itertools
import json
import math
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from study.models import torchvision_ops

torchvision_ops.ensure()

from tokenizers import AddedToken, Tokenizer, models, normalizers, pre_tokenizers, processors  # noqa: E402
from transformers import GemmaTokenizer, NllbTokenizer, XLMRobertaTokenizer  # noqa: E402
from transformers.tokenization_utils_base import generate_merges  # noqa: E402

SPACE = "▁"
LONGEST = 9
COLOURS = {
    "en": ("a red {}", "a green {}", "the small blue {}"),
    "de": ("ein roter {}", "ein grünes {}", "der kleine blaue {}"),
    "es": ("un {} rojo", "un {} verde", "el pequeño {} azul"),
    "ru": ("красный {}", "зелёный {}", "маленький синий {}"),
    "ja": ("赤い{}", "緑の{}", "小さな青い{}"),
    "ar": ("{} أحمر", "{} أخضر", "{} أزرق صغير"),
    "hi": ("लाल {}", "हरा {}", "छोटा नीला {}"),
    "th": ("{}สีแดง", "{}สีเขียว", "{}สีน้ำเงินเล็ก"),
    "sw": ("{} nyekundu", "{} kijani", "{} ndogo ya buluu"),
}
NOUNS = {
    "en": ("apple", "house", "dog", "Train"),
    "de": ("Apfel", "Haus", "Hund", "Zug"),
    "es": ("manzana", "casa", "perro", "Tren"),
    "ru": ("яблоко", "дом", "собака", "Поезд"),
    "ja": ("りんご", "家", "犬", "電車"),
    "ar": ("تفاحة", "بيت", "كلب", "قطار"),
    "hi": ("सेब", "घर", "कुत्ता", "रेलगाड़ी"),
    "th": ("แอปเปิล", "บ้าน", "สุนัข", "รถไฟ"),
    "sw": ("tufaha", "nyumba", "mbwa", "Treni"),
}
CAPTIONS: dict[str, list[str]] = {
    language: [text.format(noun) for text, noun in itertools.product(COLOURS[language], NOUNS[language])]
    for language in COLOURS
}
"""Twelve captions in each of nine languages."""
ALL = [text for texts in CAPTIONS.values() for text in texts]


def pieces(texts: Sequence[str], size: int) -> list[tuple[str, float]]:
    """All characters and the most frequent substrings of words, at most `size`, with log probabilities."""
    counts: Counter[str] = Counter()
    for word in (SPACE + word for text in texts for word in text.split()):
        for start, end in itertools.combinations(range(len(word) + 1), 2):
            if end - start <= LONGEST and (start == 0 or SPACE not in word[start:end]):
                counts[word[start:end]] += 1
    # Longer pieces gain more: counted by the characters that they save.
    order = sorted(counts, key=lambda piece: (len(piece) > 1, -counts[piece] * (len(piece) - 1), piece))[:size]
    total = sum(counts[piece] for piece in order)
    scored = [(piece, round(math.log(counts[piece] / total), 4)) for piece in order]
    return sorted(scored, key=lambda piece: (-piece[1], piece[0]))


def merged(special: Sequence[str], texts: Sequence[str], size: int) -> tuple[dict[str, int], Any]:
    """Vocabulary and merges of a SentencePiece BPE: special tokens, pieces by their frequency, then characters."""
    known = [piece for piece, _ in pieces(texts, size)]
    order = [*(piece for piece in known if len(piece) > 1), *(piece for piece in known if len(piece) == 1)]
    learnt = {token: index for index, token in enumerate(order)}
    vocabulary = {token: index for index, token in enumerate([*special, *order])}
    return vocabulary, generate_merges(learnt)


def write_xlm_roberta(folder: Path, texts: Sequence[str] = ALL, size: int = 500) -> Path:
    """`xlm-roberta-base`: Unigram, <s> <pad> </s> <unk> first and <mask> last, no byte fallback."""
    special = [(token, 0.0) for token in ("<s>", "<pad>", "</s>", "<unk>")]
    vocabulary = [*special, *pieces(texts, size), ("<mask>", 0.0)]
    tokenizer = XLMRobertaTokenizer(vocab=vocabulary)
    tokenizer.save_pretrained(folder)
    return folder


def write_gemma(folder: Path, texts: Sequence[str] = ALL, size: int = 500) -> Path:
    """`google/siglip2-*`: Gemma's BPE with bytes, pad 0, eos 1, no bos; the files say GemmaTokenizer."""
    unused = [f"<unused{index}>" for index in range(5)]
    special = ["<pad>", "<eos>", "<bos>", "<unk>", "<mask>", "\n", "\n\n", *unused]
    special += [f"<0x{byte:02X}>" for byte in range(256)]
    vocabulary, merges = merged(special, [text.lower() for text in texts], size)
    tokenizer = GemmaTokenizer(vocab=vocabulary, merges=merges, add_bos_token=False, add_eos_token=True)
    tokenizer.add_tokens([AddedToken(token, normalized=False, special=False) for token in ("\n\n", *unused)])
    tokenizer.padding_side = "right"
    tokenizer.save_pretrained(folder)
    change(folder / "tokenizer_config.json", padding_side="right", model_max_length=64)
    return folder


def write_nllb(folder: Path, texts: Sequence[str] = ALL, size: int = 500) -> Path:
    """`facebook/nllb-200-*`: BPE without bytes, the language codes behind the vocabulary, then <mask>."""
    vocabulary, merges = merged(["<s>", "<pad>", "</s>", "<unk>"], texts, size)
    NllbTokenizer(vocab=vocabulary, merges=merges).save_pretrained(folder)
    return folder


def write_siglip_multilingual(folder: Path, texts: Sequence[str] = ALL, size: int = 500) -> Path:
    """`google/siglip-base-patch16-256-multilingual`: mT5's Unigram, eos 1 is also the padding token."""
    folder.mkdir(parents=True, exist_ok=True)
    vocabulary = [("<pad>", 0.0), ("</s>", 0.0), ("<unk>", 0.0), *pieces([text.lower() for text in texts], size)]
    tokenizer = Tokenizer(models.Unigram(vocabulary, unk_id=2, byte_fallback=False))
    tokenizer.normalizer = normalizers.Replace(" ", SPACE)
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    tokenizer.post_processor = processors.TemplateProcessing(single=["$A", "</s>"], special_tokens=[("</s>", 1)])
    tokenizer.add_special_tokens(["<pad>", "</s>", "<unk>"])
    tokenizer.save(str(folder / "tokenizer.json"))
    special = {"eos_token": "</s>", "pad_token": "</s>", "unk_token": "<unk>"}
    (folder / "special_tokens_map.json").write_text(json.dumps(special))
    config = {**special, "tokenizer_class": "SiglipTokenizer", "model_max_length": 64, "do_lower_case": True}
    (folder / "tokenizer_config.json").write_text(json.dumps(config))
    write_sentencepiece(folder / "spiece.model", vocabulary)
    return folder


def write_sentencepiece(path: Path, vocabulary: Sequence[tuple[str, float]]) -> None:
    """The same Unigram as SentencePiece keeps it: <pad> and </s> are control pieces, <unk> is unknown."""
    from transformers.convert_slow_tokenizer import import_protobuf

    proto = import_protobuf().ModelProto()
    kinds = {"<pad>": 3, "</s>": 3, "<unk>": 2}
    for piece, score in vocabulary:
        proto.pieces.add(piece=piece, score=score, type=kinds.get(piece, 1))
    proto.trainer_spec.model_type = 1
    for name, index in {"unk_id": 2, "bos_id": -1, "eos_id": 1, "pad_id": 0}.items():
        setattr(proto.trainer_spec, name, index)
    proto.normalizer_spec.name = "identity"
    path.write_bytes(proto.SerializeToString())


def write_open_clip(folder: Path, text: Mapping[str, Any]) -> Path:
    """An open_clip_config.json whose tokenizer is the one in `folder`; `text` are entries of its text_cfg."""
    declared = {"text_cfg": {"hf_tokenizer_name": "in/this-folder", "context_length": 24, **text}}
    (folder / "open_clip_config.json").write_text(json.dumps({"model_cfg": declared}))
    return folder


def change(path: Path, **entries: Any) -> None:
    """Exchange entries of a JSON file."""
    path.write_text(json.dumps({**json.loads(path.read_text()), **entries}, indent=2, ensure_ascii=False))
