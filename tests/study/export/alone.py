"""Load an exported folder by its library alone.

alone.py <library> <folder> <images.npz> <texts.json> <out.npz> [<folder> ...]: first runs the code in the card of
every folder, beside it, where a photo.png lies.
"""

from __future__ import annotations

import importlib.util
import json
import os
import re
import sys
from pathlib import Path

import numpy as np
import torch
from PIL import Image

# None makes an import fail: the libraries get no help from this project, installed or not.
for package in ("study", "pipeline", "analysis"):
    sys.modules[package] = None  # type: ignore[assignment]


def own_library_loads() -> bool:
    """Whether torchvision's compiled operators load into this torch; its Python part needs two schemas of them."""
    spec = importlib.util.find_spec("torchvision")
    assert spec is not None
    assert spec.origin is not None
    for path in Path(spec.origin).parent.glob("_C*"):
        try:
            torch.ops.load_library(str(path))
        except OSError:
            continue
        return True
    return False


if not own_library_loads():
    library = torch.library.Library("torchvision", "FRAGMENT")
    library.define("nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
    library.define("qnms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")

Arrays = dict[str, torch.Tensor | np.ndarray]


def by_open_clip(folder: str, images: list[Image.Image], texts: list[str]) -> Arrays:
    import open_clip
    from open_clip.tokenizer import get_clean_fn

    where = f"local-dir:{folder}"
    text_cfg = json.loads(Path(folder, "open_clip_config.json").read_text())["model_cfg"]["text_cfg"]
    own = (
        {"text_cfg": {**text_cfg, "hf_model_name": folder, "hf_model_pretrained": False}}
        if "hf_model_name" in text_cfg
        else {}
    )
    model, preprocess = open_clip.create_model_from_pretrained(where, **own)
    other, _, _ = open_clip.create_model_and_transforms(where, **own)
    assert all(torch.equal(a, b) for a, b in zip(model.parameters(), other.parameters(), strict=True))
    tokenizer = open_clip.get_tokenizer(where)
    pixels, ids = torch.stack([preprocess(image) for image in images]), tokenizer(texts)
    plain = tokenizer.tokenizer(
        texts, padding="max_length", truncation=True, max_length=tokenizer.context_length, return_tensors="pt"
    )
    cleaned = get_clean_fn("whitespace")
    model.eval()
    return {
        "pixels": pixels,
        "ids": plain.input_ids,
        "default_ids": ids,
        "cleaned": np.asarray([cleaned(text) for text in texts]),
        "images": model.encode_image(pixels, normalize=True),
        "texts": model.encode_text(plain.input_ids, normalize=True),
        "default_texts": model.encode_text(ids, normalize=True),
        "scale": model.logit_scale.exp(),
        "refused": np.asarray(refused_by_sentence_transformers(folder)),
    }


def refused_by_sentence_transformers(folder: str) -> str:
    """Why, in its words; nothing if it loads."""
    from sentence_transformers import SentenceTransformer

    try:
        SentenceTransformer(folder, device="cpu")
    except (OSError, ValueError) as error:
        return str(error)
    return ""


def by_transformers(folder: str, images: list[Image.Image], texts: list[str]) -> Arrays:
    from transformers import AutoModel, AutoProcessor, AutoTokenizer

    model, processor = AutoModel.from_pretrained(folder).eval(), AutoProcessor.from_pretrained(folder)
    inputs = processor(text=texts, images=images, padding="max_length", truncation=True, return_tensors="pt")
    assert set(inputs) == {"input_ids", "pixel_values"}
    ids = AutoTokenizer.from_pretrained(folder)(texts, padding="max_length", truncation=True, return_tensors="pt")
    out = model(**inputs)
    return {
        "pixels": inputs["pixel_values"],
        "ids": ids["input_ids"],
        "default_ids": processor(text=texts, return_tensors="pt")["input_ids"],
        "cleaned": np.asarray(texts),
        "images": out.image_embeds,
        "texts": out.text_embeds,
        "default_texts": out.text_embeds,
        "scale": model.logit_scale.exp(),
    }


def by_sentence_transformers(folder: str, images: list[Image.Image], texts: list[str]) -> Arrays:
    from sentence_transformers import SentenceTransformer

    model = SentenceTransformer(folder, device="cpu")
    return {
        **by_transformers(folder, images, texts),
        "width": np.asarray(model.get_embedding_dimension()),
        "images": model.encode(images),
        "texts": model.encode(texts),
        "default_texts": np.concatenate([model.encode([text]) for text in texts]),
    }


def by_the_card(folder: Path) -> torch.Tensor:
    """What the card's code computes in the end: similarities, or logits, of photo.png and two texts."""
    card = (folder / "README.md").read_text(encoding="utf-8")
    code = re.search(r"```python\n(.+?)```", card, re.DOTALL)
    assert code is not None
    os.chdir(folder.parent)
    found: dict[str, torch.Tensor] = {}
    exec(compile(code[1], str(folder / "README.md"), "exec"), found)
    return found["logits"] if "logits" in found else found["similarity"]


def main() -> None:
    to, folder, pixels, texts, out, *others = sys.argv[1:]
    of_cards = {f"card_{index}": by_the_card(Path(path)).detach() for index, path in enumerate((folder, *others))}
    images = [Image.fromarray(array) for array in np.load(pixels)["images"]]
    libraries = {
        "open_clip": by_open_clip,
        "transformers": by_transformers,
        "sentence-transformers": by_sentence_transformers,
    }
    with torch.inference_mode():
        arrays = of_cards | libraries[to](folder, images, json.loads(Path(texts).read_text(encoding="utf-8")))
    np.savez(out, **{name: np.asarray(array) for name, array in arrays.items()})  # type: ignore[arg-type]


if __name__ == "__main__":
    main()
