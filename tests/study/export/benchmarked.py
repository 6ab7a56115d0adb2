"""Score an exported transformers folder by CLIP_benchmark: benchmarked.py <folder> <images.npz> <captions.json>.

captions.json: language -> for each image its captions. Prints language -> CLIP_benchmark's metrics as JSON.
"""

from __future__ import annotations

import json
import runpy
import sys
from pathlib import Path

import numpy as np
import torch
from PIL import Image

# This project is cut off, and torchvision mended for as long as the result lives.
MENDED = runpy.run_path(str(Path(__file__).with_name("alone.py")), run_name="alone")


class Siglip(torch.nn.Module):
    """transformers' model under the names that CLIP_benchmark calls."""

    def __init__(self, folder: str) -> None:
        from transformers import AutoModel, AutoProcessor

        super().__init__()
        self.model, self.processor = AutoModel.from_pretrained(folder).eval(), AutoProcessor.from_pretrained(folder)

    def encode_image(self, pixels: torch.Tensor) -> torch.Tensor:
        features: torch.Tensor = self.model.get_image_features(pixel_values=pixels).pooler_output
        return features

    def encode_text(self, ids: torch.Tensor) -> torch.Tensor:
        features: torch.Tensor = self.model.get_text_features(input_ids=ids).pooler_output
        return features

    def pixels(self, image: Image.Image) -> torch.Tensor:
        pixels: torch.Tensor = self.processor(images=image, return_tensors="pt")["pixel_values"][0]
        return pixels

    def ids(self, texts: list[str]) -> torch.Tensor:
        inputs = self.processor(text=texts, padding="max_length", truncation=True, return_tensors="pt")
        ids: torch.Tensor = inputs["input_ids"]
        return ids


def main() -> None:
    from clip_benchmark.metrics import zeroshot_retrieval

    folder, pixels, captions = sys.argv[1:]
    model = Siglip(folder)
    images = torch.stack([model.pixels(Image.fromarray(array)) for array in np.load(pixels)["images"]])
    found = {}
    for language, texts in json.loads(Path(captions).read_text(encoding="utf-8")).items():
        batches = [(images[:5], texts[:5]), (images[5:], texts[5:])]
        found[language] = zeroshot_retrieval.evaluate(model, batches, model.ids, "cpu", False, [1, 5])
    print(json.dumps(found))


if __name__ == "__main__":
    main()
