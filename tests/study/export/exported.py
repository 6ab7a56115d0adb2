"""A small study whose models are exported, and libraries that load them without this project."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import unicodedata
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

from pipeline import stage
from study.data.pictures import PixelPictures
from study.eval.evaluation import evaluate, images_of
from study.models import trainable
from study.models.dual_encoder import DualEncoder
from study.models.embed import embed_images, embed_texts
from study.models.shrink import shape, shrink, summary
from study.models.tokenizers.vocabulary import Vocabulary
from study.seeds import stream, torch_stream
from tests.study.tiny import write_corpus

ALONE = Path(__file__).parent / "alone.py"
CONTEXT = 20
LIBRARY = {"clip": "open_clip", "siglip2": "transformers"}
TEXTS = [
    "RED, Green",
    "red, green",
    "Weiß GRÜN ẞ",
    unicodedata.normalize("NFD", "Grün, Zürich, café, naïve Ångström"),
    "КРАСНЫЙ, зелёный Ё Й",
    unicodedata.normalize("NFD", "зелёный Й"),
    "ΟΔΥΣΣΕΥΣ ΣΑΣ Σ ΑΣ, ΑΣΑ α'Σ.",
    "İSTANBUL IĞDIR",
    "赤、青 テスト ガ",
    unicodedata.normalize("NFD", "ガギグ 한국어"),
    "لون أحمر",
    "लाल रंग",
    "సిరా",
    "สีแดง",
    "🟥🟦 👩‍🚀",
    "red green blue black white yellow pink grey " * 5,
    "ΝΥΕΚUNDU" * 40,
    "a <eos> b <EOS><pad>",
    "  spaces   and\ttabs \n",
    "“curly” ＦＵＬＬ， &amp; ﬁne",
    ".",
]
CARD_TEXTS = ["a red apple", "ein roter Apfel"]
CLEANED_BY_OPEN_CLIP = {text for text in TEXTS if text.endswith("ﬁne")}


@dataclass(frozen=True)
class Study:
    """A study's folder with one teacher and one student."""

    folder: Path
    cell: str
    student: DualEncoder


def record(cell: str, arch: str, model: DualEncoder, teacher: DualEncoder, settings: dict[str, Any]) -> dict[str, Any]:
    role = "teacher" if model is teacher else "student"
    row = {"cell": cell, "role": role, "arch": arch, "size": "half", "method": "ed", "seed": 3, "towers": "text"}
    row |= {"learning_rate": 0.003, "steps": 220, "items": 22000, "fingerprint": f"of {cell}"}
    return {"cell": cell, "row": {**row, **summary(model, teacher)}, "settings": settings, "versions": {"torch": "2"}}


def write_study(arch: str, folder: Path) -> Study:
    """A study with a trained-looking teacher of the family `arch`, a student cut from it and the student's scores."""
    corpus = write_corpus(folder / "corpus")
    captions = corpus.captions("distil")
    known = [*captions["text"], *captions["english"]]
    rng = stream("test", "words")
    words = ["".join(rng.choice(list("abdegiklmnorstu"), 6)) for _ in range(1000)]
    vocabulary = Vocabulary.train([*known * 20, *TEXTS * 5, *words], 1500)
    with torch_stream("test", arch):
        teacher = trainable(arch).build("polyglot-s-p8-32", vocabulary, CONTEXT).eval()
        student = shrink(teacher, shape(teacher, 0.8, "text"), known, "teacher", ("init", 0)).eval()
        with torch.no_grad():  # libraries leave some parameters at zero or one, where a lost one would not show
            for parameter in student.text_module().parameters():
                parameter.add_(0.02 * torch.randn_like(parameter))
            for parameter in student.temperature_parameters():
                parameter.add_(0.1)
    cell = f"{arch}-half-ed-s3"
    teacher.save(folder / "teachers" / arch)
    student.save(folder / "runs" / cell, images=False)
    spec = {"family": arch, "model": "polyglot-s-p8-32"}
    taught = record(f"{arch}-teacher", arch, teacher, teacher, spec)
    stage.write_json(folder / "teachers" / arch / "run.json", taught)
    run = record(cell, arch, student, teacher, {"objectives": {"ed": {"weight": 1.0}}})
    stage.write_json(folder / "runs" / cell / "run.json", run)
    device = torch.device("cpu")
    images = images_of(student, corpus, "test", device)
    scores = evaluate(cell, student, corpus, images, "test", device, "all-captions")
    (folder / "scores" / cell).mkdir(parents=True)
    for name, frame in scores.tables().items():
        frame.to_parquet(folder / "scores" / cell / f"{name}.parquet", index=False)
    return Study(folder, cell, student)


@dataclass(frozen=True)
class Output:
    """What a script printed."""

    out: str
    told: list[str]
    """Lines of its standard error, progress bars left out."""


def run_alone(script: Path, *arguments: str | Path, cwd: Path | None = None) -> Output:
    """Run a script, in `cwd`, that cannot import this project nor reach any hub."""
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    environment |= {"HF_HUB_OFFLINE": "1", "TQDM_DISABLE": "1"}
    if cwd is not None:
        environment["HF_HOME"] = str(cwd / "hub")
    command = [sys.executable, "-I", *map(str, (script, *arguments))]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, cwd=cwd)
    assert done.returncode == 0, done.stderr[-3000:]
    return Output(done.stdout, [line for line in done.stderr.splitlines() if line.strip()])


def alone(
    to: str, folder: Path, images: np.ndarray, texts: list[str], tmp_path: Path, *others: Path
) -> tuple[dict[str, np.ndarray], list[str]]:
    """What the library makes of PIL images and texts, and what it told.

    `card_0` is what the code of the folder's card makes of the first image and `CARD_TEXTS`, `card_1` that of the
    first other folder's, and so on.
    """
    for beside in (folder, *others):
        Image.fromarray(images[0]).save(beside.parent / "photo.png")
    np.savez(tmp_path / "images.npz", images=images)
    (tmp_path / "texts.json").write_text(json.dumps(texts))
    files = [tmp_path / name for name in ("images.npz", "texts.json", "out.npz")]
    done = run_alone(ALONE, to, folder, *files, *others)
    with np.load(tmp_path / "out.npz") as out:
        return dict(out), done.told


def similarities(model: DualEncoder, image: np.ndarray) -> np.ndarray:
    """The study's similarities [1, 2] of `image` [1, H, W, 3] and `CARD_TEXTS`."""
    cpu = torch.device("cpu")
    return embed_images(model, PixelPictures(image), cpu) @ embed_texts(model, CARD_TEXTS, cpu).T
