"""Time and peak memory at the size of published data sets.

    python benchmarks/scale.py [--captions 1000000] [evaluation | models | coco | embedding] ...

    evaluation  `study.eval.evaluation.evaluate` on Crossmodal-3600's numbers: 3,600 images, 261,375 captions in 36
                languages, D = 512: reading the captions, retrieval both ways, all constructs of consistency
    models      the task that scores a student and the one that scores its teacher (`pipeline.work.score`), on the
                same numbers with D = 768: random weights in the form of siglip2-base-patch32-256 (12 layers a tower,
                256,000 tokens, 377 million parameters), a student with a text tower as large as its teacher's;
                real images of 256 pixels. Only 1,000 of the captions are different, since the towers do run
    coco        retrieval both ways in one language of COCO's validation images: 30,504 images, 152,520 captions
    embedding   the distillation cache of 1,000,000 captions by type of value; killed by SIGKILL half way and
                resumed; batches of 1,000 read as training reads them

Elsewhere vectors are synthetic and seeded. The text tower is a bag of tokens, the tokenizer a real one: what is
measured is everything but the network. Each row is a process of its own, whose peak is VmHWM (Linux): all it ever
held, libraries included. CPU time is what it used, wall time what passed, also where others used the cores.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

if TYPE_CHECKING:
    import numpy as np

    from study.models.dual_encoder import DualEncoder

LANGUAGES = 36
IMAGES, CAPTIONS = 3600, 261_375
COCO = (30_504, 152_520)
DIFFERENT = 1000
WIDTH = 512
WORDS = 6000
BATCH, STEPS = 1000, 200


def words(seed: int, count: int) -> list[str]:
    import numpy as np

    letters = list("abcdefghijklmnopqrstuvwxyzäöüéñ")
    rng = np.random.default_rng(seed)
    return ["".join(rng.choice(letters, rng.integers(3, 9))) for _ in range(count)]


def sentences(seed: int, count: int, known: Sequence[str]) -> list[str]:
    """Captions of 4 to 14 words, nearly all of them different."""
    import numpy as np

    rng = np.random.default_rng(seed)
    lengths = rng.integers(4, 15, count)
    drawn = (rng.random(int(lengths.sum())) ** 2 * len(known)).astype(np.int64)
    ends = np.cumsum(lengths)
    return [" ".join(known[i] for i in drawn[end - n : end]) for end, n in zip(ends, lengths, strict=True)]


def bag(known: Sequence[str], width: int) -> DualEncoder:
    """What evaluation and embedding ask of a model; the mean of its tokens' vectors is a text's."""
    import torch
    from torch import Tensor, nn

    from study.data.pictures import Fit
    from study.models.dual_encoder import normalise
    from study.models.tokenizers.vocabulary import PAD, Vocabulary

    class Bag(nn.Module):
        embedding_width, context, image_tokens, fit = width, 64, 1, Fit(8)
        config = {"tokens": "mean"}  # noqa: RUF012

        def __init__(self) -> None:
            super().__init__()
            self.vocabulary = Vocabulary.train([" ".join(known), *known], 8000)
            generator = torch.Generator().manual_seed(0)
            self.table = nn.Parameter(torch.randn(len(self.vocabulary), width, generator=generator), False)
            self.patch = nn.Parameter(torch.randn(8 * 8 * 3, width, generator=generator), False)

        def tokenize(self, texts: Sequence[str]) -> Tensor:
            return torch.from_numpy(self.vocabulary.encode(texts, self.context, bos=False))

        def text_features(self, ids: Tensor) -> Tensor:
            return normalise(nn.functional.embedding_bag(ids, self.table, mode="mean", padding_idx=PAD))

        def image_features(self, pixels: Tensor) -> Tensor:
            return normalise((pixels.float() - 127.5).flatten(1) @ self.patch)

    return cast("DualEncoder", Bag())


def card() -> Any:
    from study.data.base import DatasetInfo, Licence

    part = (Licence("all", "Apache-2.0", "made by benchmarks/scale.py"),)
    return DatasetInfo("synthetic", "", "benchmarks/scale.py", "1", part, (), (), "", "")


def write_corpus(out: Path, captions: int) -> None:
    """A test split of Crossmodal-3600's numbers, and a distillation split of `captions`."""
    import numpy as np

    from study.data.base import CorpusSettings
    from study.data.writer import CorpusWriter

    rng, known = np.random.default_rng(0), words(0, WORDS)
    writer = CorpusWriter(out)
    names = [f"l{i:02d}" for i in range(LANGUAGES)]
    writer.images("test", IMAGES, 8, 8)[:] = rng.integers(0, 256, (IMAGES, 8, 8, 3), dtype=np.uint8)
    each = [CAPTIONS // LANGUAGES + (i < CAPTIONS % LANGUAGES) for i in range(LANGUAGES)]
    image = np.concatenate([np.arange(count) % IMAGES for count in each])
    language = np.repeat(names, each).tolist()
    writer.captions("test", {"image": image, "language": language, "text": sentences(1, CAPTIONS, known)})
    images = max(2, captions // 5)
    writer.images("distil", images, 8, 8)[:] = rng.integers(0, 256, (images, 8, 8, 3), dtype=np.uint8)
    english = sentences(3, images, known)
    writer.captions(
        "distil",
        {
            "image": np.arange(captions) % images,
            "language": np.resize(names, captions).tolist(),
            "text": sentences(2, captions, known),
            "english": [english[i % images] for i in range(captions)],
        },
    )
    writer.finish(card(), CorpusSettings(), names, [], {})


def evaluation(corpus: Path) -> dict[str, Any]:
    import torch

    from study.data.prepared import PreparedCorpus
    from study.eval.evaluation import evaluate, images_of

    cpu, prepared, model = torch.device("cpu"), PreparedCorpus(corpus), bag(words(0, WORDS), WIDTH)
    images = images_of(model, prepared, "test", cpu)
    scores = evaluate("x", model, prepared, images, "test", cpu)
    return {"rows": sum(len(table) for table in scores.tables().values())}


def models(study: Path) -> dict[str, Any]:
    """Write a study's folder up to where its models are scored; weights are random."""
    import numpy as np
    import torch

    from pipeline import stage
    from study.models.siglip.siglip2 import Siglip2
    from study.models.tokenizers.vocabulary import SMALLEST, Vocabulary, _assemble

    known, rng = words(0, 300_000), np.random.default_rng(0)
    pieces = [(f"▁{word}", -float(rng.integers(5, 20))) for word in dict.fromkeys(known)][: 256_000 - SMALLEST]
    vocabulary = Vocabulary(_assemble(pieces))
    tower = {"hidden_size": 768, "intermediate_size": 3072, "num_hidden_layers": 12, "num_attention_heads": 12}
    text = {**tower, "vocab_size": 256_000, "max_position_embeddings": 64, "projection_size": 768}
    text |= {"pad_token_id": 0, "eos_token_id": 1}
    config = {"text_config": text, "vision_config": {**tower, "image_size": 256, "patch_size": 32}}
    torch.manual_seed(0)
    model = Siglip2.from_config(config, vocabulary)
    model.save(study / "teachers" / "siglip2")
    model.save(study / "runs" / "student", images=False)
    stage.write_json(study / "plan" / "evaluation.json", {"protocol": "all-captions"})
    write_scored(study / "corpus", known[:WORDS])
    return {"parameters": sum(p.numel() for p in model.parameters())}


def write_scored(out: Path, known: Sequence[str]) -> None:
    """A test split of Crossmodal-3600's numbers with images of 256 pixels and `DIFFERENT` different captions."""
    import io

    import numpy as np
    from PIL import Image

    from study.data.base import CorpusSettings
    from study.data.writer import CorpusWriter

    rng, writer = np.random.default_rng(0), CorpusWriter(out)

    def picture() -> bytes:
        coarse = Image.fromarray(rng.integers(0, 256, (32, 32, 3), dtype=np.uint8))
        file = io.BytesIO()
        coarse.resize((256, 256), Image.Resampling.BICUBIC).save(file, "jpeg", quality=95)
        return file.getvalue()

    writer.encoded("test", (picture() for _ in range(IMAGES)))
    names = [f"l{i:02d}" for i in range(LANGUAGES)]
    language = np.sort(np.resize(names, CAPTIONS)).tolist()
    texts = np.resize(np.asarray(sentences(1, DIFFERENT, known), dtype=object), CAPTIONS).tolist()
    writer.captions("test", {"image": np.arange(CAPTIONS) % IMAGES, "language": language, "text": texts})
    writer.finish(card(), CorpusSettings(), names, [], {})


def scoring(study: Path, role: str) -> dict[str, Any]:
    """Score the `student` or the `teacher` of that folder as the pipeline does."""
    import threading
    from types import SimpleNamespace

    from pipeline.work.score import EvaluateTask

    held, done = [0], threading.Event()

    def watch() -> None:  # what the kernel cannot take back: without mapped files
        while not done.wait(0.05):
            held[0] = max(held[0], status("RssAnon"))

    os.chdir(study)
    folder = Path("runs/student" if role == "student" else "teachers/siglip2")
    model = SimpleNamespace(name=role, out=folder, folder=folder, in_place=lambda: True)
    out = Path("scores") / role
    out.mkdir(parents=True)
    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        EvaluateTask(cast("Any", model), "siglip2").make(out, "cpu", lambda done, total, row: None)
    finally:
        done.set()
        watcher.join()
    return {"anonymous": held[0] / 2**20}


def status(key: str) -> int:
    """KiB, of this process's /proc/self/status."""
    line = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith(key))
    return int(line.split()[1])


def vectors(seed: int, rows: int) -> np.ndarray:
    import numpy as np

    made = np.random.default_rng(seed).standard_normal((rows, WIDTH), dtype=np.float32)
    made /= np.linalg.norm(made, axis=1, keepdims=True)
    return made


def coco(images: int, captions: int) -> dict[str, Any]:
    import numpy as np

    from study.eval.retrieval import retrieval_rows

    index = np.arange(captions) % images
    return {"rows": len(retrieval_rows(vectors(0, images), {"en": vectors(1, captions)}, index, protocol="all"))}


def embedding(corpus: Path, out: Path, dtype: Any, stop: int) -> dict[str, Any]:
    """Embed; with `stop` this process kills itself when that many rows of distil_x are written."""
    import torch

    from study.config.embedding import EmbeddingSpec
    from study.data.prepared import PreparedCorpus
    from study.distill.embeddings import write_embeddings

    def report(name: str, total: int, done: int) -> None:
        if stop and name == "distil_x" and done >= stop:
            os.kill(os.getpid(), signal.SIGKILL)

    model = bag(words(0, WORDS), WIDTH)
    write_embeddings(model, PreparedCorpus(corpus), out, torch.device("cpu"), False, EmbeddingSpec(dtype=dtype), report)
    return {"bytes": sum(path.stat().st_size for path in out.rglob("*.npy"))}


def batches(corpus: Path, out: Path, steps: int) -> dict[str, Any]:
    import numpy as np
    import torch

    from study.data.prepared import PreparedCorpus
    from study.distill.dataset import DistillDataset

    started = time.perf_counter()
    data = DistillDataset(PreparedCorpus(corpus), out, torch.device("cpu"), layers=False)
    opened, rng = time.perf_counter(), np.random.default_rng(0)
    for _ in range(steps):
        data(rng.integers(0, len(data.image_rows), BATCH))
    return {"opened": opened - started, "batch": (time.perf_counter() - opened) / steps}


CHILDREN = {
    "corpus": write_corpus,
    "evaluation": evaluation,
    "models": models,
    "scoring": scoring,
    "coco": coco,
    "embedding": embedding,
    "batches": batches,
}


def child(what: str, arguments: list[Any]) -> None:
    started = time.perf_counter()
    values = [Path(value) if isinstance(value, str) and os.sep in value else value for value in arguments]
    found = CHILDREN[what](*values)  # type: ignore[operator]
    wall, used = time.perf_counter() - started, resource.getrusage(resource.RUSAGE_SELF)
    cost = {"seconds": wall, "cpu": used.ru_utime + used.ru_stime, "gib": status("VmHWM") / 2**20}
    print(json.dumps({**cost, **(found or {})}))


def run(what: str, *arguments: Any) -> dict[str, Any]:
    """The child's numbers; of one that was killed, only how long it lived."""
    command = [sys.executable, __file__, "--child", what, json.dumps([*map(_plain, arguments)])]
    started = time.perf_counter()
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True)
    if done.returncode == -signal.SIGKILL:
        return {"seconds": time.perf_counter() - started}
    done.check_returncode()
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def _plain(value: Any) -> Any:
    return str(value) if isinstance(value, Path) else value


def main(chosen: Sequence[str], captions: int, folder: Path) -> None:
    def add(what: str, found: dict[str, Any]) -> None:
        cpu, peak = (f"{found['cpu']:.0f} s", f"{found['gib']:.2f} GiB") if "gib" in found else ("", "")
        print(f"| {what} | {cpu} | {found['seconds']:.0f} s | {peak} |", flush=True)

    corpus = folder / "corpus"
    run("corpus", corpus, captions if "embedding" in chosen else 2)
    print("| what | CPU time | wall time | peak memory |\n|---|---|---|---|")
    if "evaluation" in chosen:
        add(f"evaluation: {IMAGES:,} images, {CAPTIONS:,} captions, {LANGUAGES} languages", run("evaluation", corpus))
    if "models" in chosen:
        study = folder / "study"
        size = run("models", study)["parameters"]
        for role in ("teacher", "student"):
            found = run("scoring", study, role)
            own = f"{found['anonymous']:.2f} GiB of it not of mapped files"
            add(f"models: the {role} scored, {size / 1e6:.0f} M parameters; {own}", found)
    if "coco" in chosen:
        add(f"retrieval: {COCO[0]:,} images, {COCO[1]:,} captions, one language", run("coco", *COCO))
    if "embedding" not in chosen:
        return
    for dtype in ("float32", "bfloat16"):
        out = folder / dtype
        found = run("embedding", corpus, out, dtype, 0)
        add(f"embedding: {captions:,} captions, {dtype}, {found['bytes'] / 1e9:.2f} GB on disk", found)
        read = run("batches", corpus, out, STEPS)
        each = f"{STEPS} batches of {BATCH:,}, {1000 * read['batch']:.1f} ms each"
        add(f"training's reads of it: checksums in {read['opened']:.1f} s, {each}", read)
    out = folder / "killed"
    add("embedding, bfloat16, SIGKILL half way", run("embedding", corpus, out, "bfloat16", captions // 2))
    add("the same, resumed", run("embedding", corpus, out, "bfloat16", 0))
    same = all(
        path.read_bytes() == (folder / "bfloat16" / path.relative_to(out)).read_bytes()
        for path in out.rglob("*")
        if path.is_file()
    )
    print(f"\nresumed files are those of the run that was not killed: {same}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("chosen", nargs="*", default=["evaluation", "models", "coco", "embedding"], metavar="what")
    parser.add_argument("--captions", type=int, default=1_000_000)
    parser.add_argument("--child", nargs=2, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.child:
        child(given.child[0], json.loads(given.child[1]))
    else:
        with tempfile.TemporaryDirectory(prefix="scale-") as place:
            main(given.chosen, given.captions, Path(place).resolve())
