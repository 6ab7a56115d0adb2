"""Published tokenizers: the libraries' own ids, and trimming that changes no text of the corpus."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from study.models.errors import PretrainedError
from study.models.tokenizers.pretrained import PretrainedTokenizer
from study.models.tokenizers.vocabulary import VocabularyError
from tests.study.models.checkpoints import tokenizers as tiny
from tests.study.models.checkpoints.tokenizers import ALL, CAPTIONS

import open_clip  # isort: skip (needs torchvision's operators, which `tiny` sees to)
from transformers import AutoTokenizer, NllbTokenizer, Siglip2Tokenizer  # isort: skip

CONTEXT = 12
SOME = settings(max_examples=40, deadline=None)
MODEL_TYPES = {"xlm_roberta": "xlm-roberta", "gemma": "siglip", "nllb": "m2m_100", "siglip_multilingual": "siglip"}
KINDS = tuple(MODEL_TYPES)
HARD = [
    "",
    "   ",
    "!?",
    "e\u0301 Ångström",
    "👩‍👩‍👧 🍎",
    "İstanbul ΣΑΣ",
    "a\u00a0red\u3000house\n\nx",
    "red " * 99,
    "<pad></s><eos>",
]
TEXTS = st.one_of(
    st.sampled_from(HARD),
    st.text(max_size=30),
    st.lists(st.sampled_from([*" ".join(ALL).split(), "&amp;", "A,b", "\u0301", "🍎", "  "]), max_size=30).map(
        " ".join
    ),
)


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    base = tmp_path_factory.mktemp("tokenizers")
    for kind, model_type in MODEL_TYPES.items():
        folder = getattr(tiny, f"write_{kind}")(base / kind)
        (folder / "config.json").write_text(json.dumps({"model_type": model_type}))
    return {kind: base / kind for kind in KINDS}


@pytest.fixture(scope="module")
def loaded(folders: dict[str, Path]) -> dict[str, PretrainedTokenizer]:
    return {kind: PretrainedTokenizer.from_transformers(folder) for kind, folder in folders.items()}


Library = Callable[[list[str]], np.ndarray]


@pytest.fixture(scope="module")
def libraries(
    folders: dict[str, Path], loaded: dict[str, PretrainedTokenizer]
) -> dict[str, tuple[PretrainedTokenizer, Library]]:
    """Tokens of ours, and what the library makes of a text."""

    def transformers(tokenizer: type, kind: str) -> tuple[PretrainedTokenizer, Library]:
        theirs = tokenizer.from_pretrained(folders[kind])  # type: ignore[attr-defined]
        settings = {"max_length": CONTEXT, "padding": "max_length", "truncation": True, "return_tensors": "np"}
        return loaded[kind], lambda texts: theirs(texts, **settings)["input_ids"]

    def openclip(kind: str, **text: object) -> tuple[PretrainedTokenizer, Library]:
        folder = folders[kind]
        tiny.write_open_clip(folder, text)
        theirs = open_clip.get_tokenizer(f"local-dir:{folder}")
        return PretrainedTokenizer.from_open_clip(folder), lambda texts: theirs(texts, context_length=CONTEXT).numpy()

    return {
        "transformers siglip2": transformers(Siglip2Tokenizer, "gemma"),
        "transformers xlm-r": transformers(AutoTokenizer, "xlm_roberta"),
        "transformers nllb": transformers(NllbTokenizer, "nllb"),
        "open_clip xlm-r": openclip("xlm_roberta"),
        "open_clip nllb": openclip("nllb"),
        "open_clip siglip2": openclip("gemma", tokenizer_kwargs={"clean": "canonicalize"}),
        "open_clip lower": openclip("gemma", tokenizer_kwargs={"clean": "lower"}),
    }


LIBRARIES = [
    *("transformers siglip2", "transformers xlm-r", "transformers nllb"),
    *("open_clip xlm-r", "open_clip nllb", "open_clip siglip2", "open_clip lower"),
]


@pytest.mark.parametrize("name", LIBRARIES)
@SOME
@given(texts=st.lists(TEXTS, min_size=1, max_size=4))
def test_ids_are_the_library_s(
    libraries: dict[str, tuple[PretrainedTokenizer, Library]], name: str, texts: list[str]
) -> None:
    ours, theirs = libraries[name]
    assert ours.encode(texts, CONTEXT).tolist() == theirs(texts).tolist()


@pytest.mark.parametrize("name", LIBRARIES)
def test_hard_texts(libraries: dict[str, tuple[PretrainedTokenizer, Library]], name: str) -> None:
    ours, theirs = libraries[name]
    ids = ours.encode([*HARD, *ALL], CONTEXT)
    assert ids.tolist() == theirs([*HARD, *ALL]).tolist()
    assert ids[HARD.index("red " * 99), -1] == ours.eos  # cut, with its end


def test_siglip2_is_lower_cased_where_its_files_say_gemma(loaded: dict[str, PretrainedTokenizer]) -> None:
    assert loaded["gemma"].split(["A RED House"]) == loaded["gemma"].split(["a red house"])
    assert loaded["gemma"].encode([""], 3).tolist() == [[1, 0, 0]]


@SOME
@given(text=TEXTS)
def test_siglip_is_read_in_its_canonical_form(loaded: dict[str, PretrainedTokenizer], text: str) -> None:
    # big_vision's canonicalize_text as open_clip keeps it; that one reads an underscore as a space.
    canonical = open_clip.tokenizer.canonicalize_text(text.replace("_", ""))
    tokens = loaded["siglip_multilingual"]
    assert tokens.split([text]) == [tokens._tokenizer.encode(canonical, add_special_tokens=False).ids]


def test_siglip_gives_sentencepiece_s_ids(folders: dict[str, Path], loaded: dict[str, PretrainedTokenizer]) -> None:
    from transformers import SiglipTokenizer

    theirs = SiglipTokenizer.from_pretrained(folders["siglip_multilingual"])
    texts = [*ALL, "A red, green House!", "", "🍎 apple"]
    settings = {"max_length": CONTEXT, "padding": "max_length", "truncation": True, "return_tensors": "np"}
    expected = theirs(texts, **settings)["input_ids"]
    assert loaded["siglip_multilingual"].encode(texts, CONTEXT).tolist() == expected.tolist()


def test_source_language_is_the_one_that_was_asked_for(folders: dict[str, Path]) -> None:
    tiny.write_open_clip(folders["nllb"], {})
    theirs = open_clip.get_tokenizer(f"local-dir:{folders['nllb']}")
    theirs.tokenizer.src_lang = "tha_Thai"
    ours = PretrainedTokenizer.from_open_clip(folders["nllb"], language="tha_Thai")
    assert ours.encode(ALL, CONTEXT).tolist() == theirs(ALL, context_length=CONTEXT).tolist()
    assert (
        PretrainedTokenizer.from_open_clip(theirs).encode(ALL, CONTEXT).tolist() == ours.encode(ALL, CONTEXT).tolist()
    )
    with pytest.raises(PretrainedError, match=r"unknown source language 'tha'.*did you mean 'tha_Thai'"):
        PretrainedTokenizer.from_open_clip(folders["nllb"], language="tha")
    with pytest.raises(PretrainedError, match="has no source language"):
        PretrainedTokenizer.from_open_clip(tiny.write_open_clip(folders["gemma"], {}), language="tha_Thai")


def needed(tokens: PretrainedTokenizer, texts: list[str]) -> int:
    """A size that holds all that `texts` use, from a trim that keeps everything likely."""
    model = tokens._model()
    used = {token for ids in tokens.split(texts) for token in ids}
    while more := {part for token in used for part in model.parts(token) or ()} - used:
        used |= more
    return len(used | model.always)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("languages", [["en", "ja"], ["hi", "th", "ar"], list(CAPTIONS)])
def test_corpus_is_segmented_as_before(loaded: dict[str, PretrainedTokenizer], kind: str, languages: list[str]) -> None:
    tokens = loaded[kind]
    texts = [*(text for language in languages for text in CAPTIONS[language]), "🍎 unseen"]
    trimmed, old = tokens.trim(max(needed(tokens, texts), tokens.smallest + 1), texts)
    assert [old[ids].tolist() for ids in trimmed.split(texts)] == tokens.split(texts)
    ids, before = trimmed.encode(texts, CONTEXT), tokens.encode(texts, CONTEXT)
    assert np.array_equal(old[ids], before)
    table = torch.nn.Embedding(tokens.rows, 4)
    cut = torch.nn.Embedding.from_pretrained(table.weight[torch.from_numpy(old)])
    assert torch.equal(cut(torch.from_numpy(ids)), table(torch.from_numpy(before)))
    special = [(trimmed.pad, tokens.pad), (trimmed.eos, tokens.eos), (trimmed.bos, tokens.bos)]
    assert all(new is was is None or old[new] == was for new, was in special)


@pytest.mark.parametrize("kind", KINDS)
@SOME
@given(texts=st.lists(TEXTS, max_size=6))
def test_any_corpus_is_segmented_as_before(loaded: dict[str, PretrainedTokenizer], kind: str, texts: list[str]) -> None:
    tokens = loaded[kind]
    trimmed, old = tokens.trim(max(needed(tokens, texts), tokens.smallest + 1), texts)
    assert [old[ids].tolist() for ids in trimmed.split(texts)] == tokens.split(texts)


@pytest.mark.parametrize("kind", KINDS)
@SOME
@given(text=TEXTS, more=st.integers(1, 60))
def test_every_text_has_an_encoding_at_every_size(
    loaded: dict[str, PretrainedTokenizer], kind: str, text: str, more: int
) -> None:
    tokens = loaded[kind]
    trimmed, old = tokens.trim(tokens.smallest + more, ALL)
    assert len(trimmed) == len(old) == trimmed.rows == tokens.smallest + more
    assert trimmed.smallest == tokens.smallest
    assert len(trimmed.split([text])[0]) > 0 or len(tokens.split([text])[0]) == 0
    assert trimmed.encode([text], CONTEXT).max() < len(trimmed)


@pytest.mark.parametrize("kind", ["xlm_roberta", "siglip_multilingual"])
def test_characters_outlive_the_words_that_they_spell(loaded: dict[str, PretrainedTokenizer], kind: str) -> None:
    tokens = loaded[kind]
    rare = CAPTIONS["ru"][:1]
    size = needed(tokens, CAPTIONS["en"]) + len(set(rare[0]) - {" "})
    trimmed, _ = tokens.trim(size, [*CAPTIONS["en"], *CAPTIONS["en"], *rare])
    assert len(trimmed.split(rare)[0]) > len(tokens.split(rare)[0])
    assert trimmed.unk not in trimmed.split(rare)[0]


def test_bytes_spell_what_is_gone(loaded: dict[str, PretrainedTokenizer]) -> None:
    trimmed, _ = loaded["gemma"].trim(loaded["gemma"].smallest + 1, ALL)
    spelled = trimmed._tokenizer.decode(trimmed.split(["犬 dog"])[0])
    assert spelled.strip() == "犬 dog"


@pytest.mark.parametrize("kind", KINDS)
def test_order_of_texts_and_repeated_trimming_are_without_effect(
    loaded: dict[str, PretrainedTokenizer], kind: str, tmp_path: Path
) -> None:
    tokens = loaded[kind]
    size = tokens.smallest + 40
    shuffled = random.Random(1).sample(ALL, len(ALL))
    first, old = tokens.trim(size, ALL)
    second, again = tokens.trim(size, iter(shuffled))
    assert old.tolist() == again.tolist()
    for name, trimmed in (("a", first), ("b", second)):
        (tmp_path / name).mkdir()
        trimmed.save(tmp_path / name)
    assert (tmp_path / "a" / "tokenizer.json").read_bytes() == (tmp_path / "b" / "tokenizer.json").read_bytes()


@pytest.mark.parametrize("kind", KINDS)
def test_the_most_used_stay_and_then_the_likeliest(loaded: dict[str, PretrainedTokenizer], kind: str) -> None:
    tokens = loaded[kind]
    _, few = tokens.trim(tokens.smallest + 30, ALL)
    _, more = tokens.trim(tokens.smallest + 60, ALL)
    assert set(few) < set(more)
    everything, old = tokens.trim(len(tokens), ALL)
    assert old.tolist() == list(range(len(tokens)))
    assert everything.split(ALL) == tokens.split(ALL)


@pytest.mark.parametrize("kind", KINDS)
def test_languages_that_it_was_not_told_of_pay(loaded: dict[str, PretrainedTokenizer], kind: str) -> None:
    tokens = loaded[kind]
    trimmed, _ = tokens.trim(needed(tokens, CAPTIONS["ja"]) + 5, CAPTIONS["ja"])
    languages = {language: CAPTIONS[language] for language in ("ja", "en")}
    before, after = tokens.fragmentation(languages), trimmed.fragmentation(languages)
    assert after["ja"] == before["ja"]
    # Without bytes what has no token is unknown, and neighbours fuse to one token.
    unknown = [trimmed.unk in ids for ids in trimmed.split(CAPTIONS["en"])]
    assert (after["en"] > before["en"] and not any(unknown)) if kind == "gemma" else all(unknown)


@pytest.mark.parametrize("kind", KINDS)
def test_impossible_sizes_are_refused(loaded: dict[str, PretrainedTokenizer], kind: str) -> None:
    tokens = loaded[kind]
    for size in (0, tokens.smallest, len(tokens) + 1):
        with pytest.raises(VocabularyError, match=f"must be {tokens.smallest + 1} to {len(tokens)}"):
            tokens.trim(size, ALL)


def test_unigram_keeps_the_unknown_edge_s_score(tmp_path: Path) -> None:
    """Without the unlikeliest token, which nothing uses, unknown + 'bc' would beat 'ab' + 'c'."""
    folder = tiny.write_xlm_roberta(tmp_path, size=50)
    declared = json.loads((folder / "tokenizer.json").read_text())
    special = declared["model"]["vocab"][:4]
    learnt = [["▁", -1.0], ["ab", -15.0], ["bc", -1.0], ["c", -14.0], ["rare", -40.0], ["x", -14.5], ["<mask>", 0.0]]
    declared["model"]["vocab"] = [*special, *learnt]
    declared["added_tokens"][-1]["id"] = 10
    (folder / "tokenizer.json").write_text(json.dumps(declared))
    (folder / "config.json").write_text('{"model_type": "xlm-roberta"}')
    tokens = PretrainedTokenizer.from_transformers(folder)
    trimmed, old = tokens.trim(10, ["abc", "bc"])
    assert tokens.split(["abc"]) == [[4, 5, 7]]
    assert old.tolist() == [0, 1, 2, 3, 4, 5, 6, 7, 8, 10]
    assert [old[ids].tolist() for ids in trimmed.split(["abc"])] == [[4, 5, 7]]


def test_padding_is_masked_also_where_it_is_the_end(loaded: dict[str, PretrainedTokenizer]) -> None:
    tokens = loaded["siglip_multilingual"]
    assert tokens.pad == tokens.eos
    ids = torch.from_numpy(tokens.encode(["", "red", "red " * 99], CONTEXT))
    lengths = [min(len(split) + 1, CONTEXT) for split in tokens.split(["", "red", "red " * 99])]
    assert tokens.mask(ids).sum(dim=1).tolist() == lengths
    assert all(row[:n].all() for row, n in zip(tokens.mask(ids), lengths, strict=True))
    gemma = torch.from_numpy(loaded["gemma"].encode(["a"], CONTEXT))
    assert torch.equal(loaded["gemma"].mask(gemma), gemma != 0)


@pytest.mark.parametrize("kind", KINDS)
def test_saved_tokens_come_back(loaded: dict[str, PretrainedTokenizer], kind: str, tmp_path: Path) -> None:
    trimmed, _ = loaded[kind].trim(loaded[kind].smallest + 50, ALL)
    trimmed.save(tmp_path)
    files = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    assert set(files) == {"tokenizer.json", "text_handling.json"}
    assert not any(b"/tmp" in content or str(tmp_path).encode() in content for content in files.values())
    again = PretrainedTokenizer.load(tmp_path)
    assert again.encode([*HARD, *ALL], CONTEXT).tolist() == trimmed.encode([*HARD, *ALL], CONTEXT).tolist()
    assert (again.handling, again.pad, len(again)) == (trimmed.handling, trimmed.pad, len(trimmed))
    again.save(tmp_path)
    assert files == {path.name: path.read_bytes() for path in tmp_path.iterdir()}


def test_broken_folders_are_refused(loaded: dict[str, PretrainedTokenizer], tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"tokenizer\.json"):
        PretrainedTokenizer.load(tmp_path)
    loaded["gemma"].save(tmp_path)
    whole = (tmp_path / "tokenizer.json").read_text()
    (tmp_path / "tokenizer.json").write_text(whole[:1000])
    with pytest.raises(PretrainedError, match=r"tokenizer\.json: not a tokenizer"):
        PretrainedTokenizer.load(tmp_path)
    (tmp_path / "tokenizer.json").write_text(whole)
    tiny.change(tmp_path / "text_handling.json", pad="<nothing>")
    with pytest.raises(PretrainedError, match="the pad token '<nothing>' is not in the vocabulary"):
        PretrainedTokenizer.load(tmp_path)
    for entry in ({"clean": "scrub"}, {"padding_side": "top"}, {"surprise": 1}):
        loaded["gemma"].save(tmp_path)
        tiny.change(tmp_path / "text_handling.json", **entry)
        with pytest.raises(PretrainedError, match=r"text_handling\.json: not the text handling"):
            PretrainedTokenizer.load(tmp_path)


def test_tokens_must_fit_the_table(loaded: dict[str, PretrainedTokenizer]) -> None:
    tokens = loaded["gemma"]
    tokens.check_fits(tokens.rows)
    tokens.check_fits(tokens.rows + 64)
    with pytest.raises(
        PretrainedError, match=f"ids up to {tokens.rows - 1}, the token table has {tokens.rows - 1} rows"
    ):
        tokens.check_fits(tokens.rows - 1)


def test_unreadable_sources_are_refused(tmp_path: Path, folders: dict[str, Path]) -> None:
    with pytest.raises(PretrainedError, match="transformers cannot load its tokenizer"):
        PretrainedTokenizer.from_transformers(tmp_path)
    with pytest.raises(PretrainedError, match="open_clip cannot load its tokenizer"):
        PretrainedTokenizer.from_open_clip(tmp_path)
    for english in ("ViT-B-32", open_clip.get_tokenizer("ViT-B-32")):
        with pytest.raises(PretrainedError, match="with SimpleTokenizer"):
            PretrainedTokenizer.from_open_clip(english)
    (tmp_path / "config.json").write_text('{"model_type": "siglip"}')
    (tmp_path / "tokenizer_config.json").write_text("{}")
    with pytest.raises(PretrainedError, match="names no tokenizer_class"):
        PretrainedTokenizer.from_transformers(tmp_path)
    tiny.write_open_clip(folders["xlm_roberta"], {})
    theirs = open_clip.get_tokenizer(f"local-dir:{folders['xlm_roberta']}", strip_sep_token=True)
    with pytest.raises(PretrainedError, match="strip_sep_token"):
        PretrainedTokenizer.from_open_clip(theirs)


@pytest.mark.parametrize(("setting", "value"), [("end_of_word_suffix", "</w>"), ("dropout", 0.1)])
def test_other_bpe_is_refused(folders: dict[str, Path], tmp_path: Path, setting: str, value: object) -> None:
    PretrainedTokenizer.from_transformers(folders["gemma"]).save(tmp_path)
    declared = json.loads((tmp_path / "tokenizer.json").read_text())
    declared["model"].update({setting: value}, merges=[])
    (tmp_path / "tokenizer.json").write_text(json.dumps(declared))
    with pytest.raises(PretrainedError, match=setting):
        PretrainedTokenizer.load(tmp_path)


def test_other_models_are_refused(tmp_path: Path, loaded: dict[str, PretrainedTokenizer]) -> None:
    loaded["gemma"].save(tmp_path)
    tiny.change(
        tmp_path / "tokenizer.json",
        added_tokens=[],
        post_processor=None,
        model={"type": "WordLevel", "vocab": {"<pad>": 0, "<eos>": 1, "<bos>": 2}, "unk_token": "<pad>"},
    )
    with pytest.raises(PretrainedError, match="a WordLevel tokenizer, must be one of Unigram, BPE"):
        PretrainedTokenizer.load(tmp_path)
