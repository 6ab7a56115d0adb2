"""The tokens of a published text tower, read as its library reads them."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict
from functools import cached_property
from pathlib import Path
from typing import Any, Self

import numpy as np
import torch
from tokenizers import Tokenizer
from torch import Tensor

from study.models.errors import PretrainedError
from study.models.tokenizers import loading
from study.models.tokenizers.algorithms import MODELS
from study.models.tokenizers.handling import CLEANING, Handling
from study.models.tokenizers.trimming import Model
from study.models.tokenizers.vocabulary import VocabularyError

FILE = "tokenizer.json"
HANDLING = "text_handling.json"
CHUNK = 4096
"""Texts that are encoded at a time: an encoding of `tokenizers` is large."""


class PretrainedTokenizer:
    """A `study.models.tokenizers.base.TextTokenizer` that others trained, and the text handling around it.

    It does not change.
    """

    def __init__(self, tokenizer: Tokenizer, handling: Handling, where: str, assumed: tuple[str, ...] = ()) -> None:
        """`where` the tokenizer comes from, for errors, and what was `assumed` of it (`Evidence`).

        Raises:
            PretrainedError: it cannot be used.
        """
        tokenizer.no_truncation()
        tokenizer.no_padding()
        self._tokenizer = tokenizer
        self.handling = handling
        self._where = where
        self.assumed = assumed
        self._clean = CLEANING[handling.clean]
        self._check()

    def _check(self) -> None:
        model = self._tokenizer.model
        kind = type(model).__name__
        if kind not in MODELS:
            raise PretrainedError(f"{self._where}: a {kind} tokenizer, must be one of {', '.join(MODELS)}")
        for setting in ("dropout", "continuing_subword_prefix", "end_of_word_suffix"):
            if getattr(model, setting, None):
                raise PretrainedError(f"{self._where}: a BPE tokenizer with {setting}, which is not supported")
        for role in ("pad", "eos", "bos", "unk"):
            name = getattr(self.handling, role)
            if name is not None and self._tokenizer.token_to_id(name) is None:
                raise PretrainedError(f"{self._where}: the {role} token {name!r} is not in the vocabulary")

    @classmethod
    def from_open_clip(cls, source: Any, language: str | None = None) -> Self:
        """The tokens of `source`: what `open_clip.get_tokenizer` returned, a folder (`local-dir:`), or a name.

        `language` is the source language of an NLLB tower, one for all texts; without it open_clip's own
        default, `eng_Latn`.

        Raises:
            PretrainedError: it cannot be read, has no fast tokenizer, or is not Unigram or BPE.
        """
        return cls(*loading.open_clip_tokenizer(source, language))

    @classmethod
    def from_transformers(cls, source: str | Path, revision: str | None = None) -> Self:
        """The tokens of a folder that `save_pretrained` wrote, or of a name on the hub at `revision`.

        SigLIP2 checkpoints get Siglip2Tokenizer's lower case also where their files say GemmaTokenizer or name a
        generic class, which `assumed` tells, and SigLIP's get SiglipTokenizer's canonical form, without sentencepiece.

        Raises:
            PretrainedError: as `from_open_clip`.
        """
        return cls(*loading.transformers_tokenizer(source, revision))

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        return self

    def __len__(self) -> int:
        """Tokens that there are; a published table may have more rows."""
        size: int = self._tokenizer.get_vocab_size()
        return size

    def _id(self, token: str | None) -> int | None:
        found: int | None = None if token is None else self._tokenizer.token_to_id(token)
        return found

    @property
    def pad(self) -> int:
        """Id of the padding token; of trimmed tokens the new one, as below."""
        found = self._id(self.handling.pad)
        assert found is not None
        return found

    @property
    def eos(self) -> int | None:
        """Id of the end-of-text token."""
        return self._id(self.handling.eos)

    @property
    def bos(self) -> int | None:
        """Id of the start-of-text token, whether or not texts start with it."""
        return self._id(self.handling.bos)

    @property
    def unk(self) -> int | None:
        """Id of the unknown token."""
        return self._id(self.handling.unk)

    @cached_property
    def rows(self) -> int:
        """Highest id + 1: the rows that a token table needs."""
        return int(max(self._tokenizer.get_vocab().values())) + 1

    def check_fits(self, table_rows: int) -> None:
        """Refuse a token table of fewer rows than ids; more are allowed, as tables are padded for speed.

        Raises:
            PretrainedError: names both numbers.
        """
        if table_rows < self.rows:
            raise PretrainedError(
                f"{self._where}: the tokenizer gives ids up to {self.rows - 1}, the token table has {table_rows} rows: "
                f"tokenizer and weights are not of the same model ({self.rows} rows or more are needed)"
            )

    def _chunks(self, texts: Iterable[str], special: bool) -> Iterator[list[list[int]]]:
        cleaned = (self._clean(text) for text in texts)
        while chunk := list(itertools.islice(cleaned, CHUNK)):
            encodings = self._tokenizer.encode_batch_fast(chunk, add_special_tokens=special)
            yield [encoding.ids for encoding in encodings]

    def encode(self, texts: Sequence[str], context: int) -> np.ndarray:
        """Ids [N, context] int64: cleaned, with special tokens, cut (special tokens stay) and padded."""
        out = np.full((len(texts), context), self.pad, dtype=np.int64)
        handling, tokenizer = self.handling, self._tokenizer
        tokenizer.enable_truncation(context, direction=handling.truncation_side)
        tokenizer.enable_padding(
            length=context, direction=handling.padding_side, pad_id=self.pad, pad_token=handling.pad
        )
        try:
            row = 0
            for chunk in self._chunks(texts, special=True):
                out[row : row + len(chunk)] = chunk
                row += len(chunk)
        finally:
            tokenizer.no_truncation()
            tokenizer.no_padding()
        return out

    def mask(self, ids: Tensor) -> Tensor:
        """True [N, L] where ids [N, L] are not padding; also right where eos is the padding token."""
        text = ids != self.pad
        if not self._ends_with_pad:
            return text
        if self.handling.padding_side == "left":  # then every text ends in the last column
            ends = torch.zeros_like(text)
            ends[:, -1] = True
        else:
            ends = text.roll(1, dims=1)
            ends[:, 0] = ~text.any(dim=1)  # an empty text is eos alone
        return text | ends

    @cached_property
    def _ends_with_pad(self) -> bool:
        """Whether a text's last token, eos, has the padding token's id."""
        return self.pad == self.eos and self._tokenizer.encode("").ids[-1:] == [self.pad]

    def split(self, texts: Sequence[str]) -> list[list[int]]:
        """Token ids of each text, without special tokens."""
        return [ids for chunk in self._chunks(texts, special=False) for ids in chunk]

    def _model(self) -> Model:
        declared = json.loads(self._tokenizer.to_str())
        special = {index for index in (self.pad, self.eos, self.bos, self.unk) if index is not None}
        return MODELS[declared["model"]["type"]](declared, special)

    @cached_property
    def smallest(self) -> int:
        """Tokens that every trimmed vocabulary keeps: special, added, unknown, bytes."""
        return len(self._model().always)

    def trim(self, size: int, texts: Iterable[str]) -> tuple[Self, np.ndarray]:
        """Keep `size` tokens; returns them and, for each, its old id, ascending [size].

        First what `texts` use most, with what that is made of (characters, parents of merges), then the
        likeliest of the others. Where `size` holds all that `texts` use, they are segmented as before. The
        order of `texts` is without effect.

        Raises:
            VocabularyError: `size` is larger than the vocabulary or leaves no room beside what always stays.
        """
        model = self._model()
        smallest = len(model.always)
        if not smallest < size <= len(self):
            raise VocabularyError(f"cannot trim {len(self)} tokens to {size}: must be {smallest + 1} to {len(self)}")
        counts = np.zeros(self.rows, dtype=np.int64)
        for chunk in self._chunks(texts, special=False):
            ids = np.fromiter(itertools.chain.from_iterable(chunk), dtype=np.int64)
            counts += np.bincount(ids, minlength=self.rows)
        kept = model.choose(size, counts)
        declared = model.trimmed(kept)
        trimmed = type(self)(Tokenizer.from_str(json.dumps(declared)), self.handling, self._where)
        moved = [trimmed._id(model.names[old]) for old in kept]
        if moved != list(range(size)):
            raise PretrainedError(f"{self._where}: its tokens cannot be renumbered without gaps")
        return trimmed, np.asarray(kept, dtype=np.int64)

    def fragmentation(self, texts: Mapping[str, Sequence[str]]) -> dict[str, float]:
        """Mean number of tokens a text for each language."""
        return {
            language: float(np.mean([len(ids) for ids in self.split(samples)])) for language, samples in texts.items()
        }

    def save(self, folder: Path) -> None:
        """Write tokenizer.json and text_handling.json into `folder`."""
        (folder / FILE).write_text(self._tokenizer.to_str() + "\n", encoding="utf-8")
        handling = json.dumps(asdict(self.handling), indent=2, sort_keys=True, ensure_ascii=False)
        (folder / HANDLING).write_text(handling + "\n", encoding="utf-8")

    @classmethod
    def load(cls, folder: Path) -> Self:
        """What `save` wrote.

        Raises:
            FileNotFoundError: a file is missing.
            PretrainedError: a file is not what `save` writes.
        """
        for name in (FILE, HANDLING):
            if not (folder / name).is_file():
                raise FileNotFoundError(f"there is no {folder / name}")
        try:
            tokenizer = Tokenizer.from_str((folder / FILE).read_text(encoding="utf-8"))
        except Exception as error:  # `tokenizers` raises nothing narrower
            raise PretrainedError(f"{folder / FILE}: not a tokenizer: {error}") from None
        try:
            handling = Handling(**json.loads((folder / HANDLING).read_text(encoding="utf-8")))
        except (TypeError, ValueError) as error:
            raise PretrainedError(f"{folder / HANDLING}: not the text handling of a tokenizer: {error}") from None
        return cls(tokenizer, handling, str(folder))
