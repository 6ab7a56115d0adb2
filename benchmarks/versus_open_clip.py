"""Distilling a student here and with open_clip's own `--distill-model`, on the same machine in one run.

    python -m benchmarks.versus_open_clip FOLDER [siglip2-b16 xlm-roberta-b32 small] [--rounds 2] [--steps 4]

FOLDER is what `benchmarks.material` prepares (for `small` with teachers that have learnt: --teacher-steps 1500).

    siglip2-b16      the form of ViT-B-16-SigLIP2-256: 256,000 tokens, texts of 64, random weights
    xlm-roberta-b32  the form of xlm-roberta-base-ViT-B-32: 250,002 tokens, texts of at most 77, random weights
    small            the default study's half of the CLIP teacher, trained to equal pairs (items) from the same start

Both sides train one student (half of the teacher's text layers; the image tower is the teacher's and locked) on the
same images and captions of the default study in the same batches. The other side is open_clip_train's own: the loop
`train_one_epoch`, the loss of `create_loss` for `--distill-model`, AdamW in the groups that its `main` makes. It is
given decoded images and token ids in memory, so that what it is timed for is its step. This side trains as `distil`
does, from embeddings that the teacher made once; what these cost an item is a column of its own.

`--distill-model` refuses models with a bias (its loss knows none), so the SigLIP2 form goes without one. Each
measurement is a process of its own, here and there in turns; medians of steps but the first, of CPU time (one
thread, so other processes hardly matter) and of wall time, and the peak VmHWM.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.material import ROOT, Material, declared

if TYPE_CHECKING:
    import numpy as np
    from torch import Tensor

    from study.data.prepared import PreparedCorpus
    from study.models.dual_encoder import DualEncoder
    from study.models.open_clip.pretrained import OpenClip

FORMS = ("siglip2-b16", "xlm-roberta-b32", "small")
ITEMS, BATCH = 32, 16
PIXELS: Mapping[str, Any] = {"mode": "RGB", "interpolation": "bicubic", "fill_color": 0}
HALF = [0.5] * 3
CLIP = {"mean": [0.48145466, 0.4578275, 0.40821073], "std": [0.26862954, 0.26130258, 0.27577711]}


class Clock:
    """Wall and CPU seconds of each step: `tick` at the start of each, and at the end of the last."""

    def __init__(self) -> None:
        self._ticks: list[tuple[float, float]] = []

    def tick(self, *_: object) -> None:
        self._ticks.append((time.perf_counter(), time.process_time()))

    def medians(self) -> dict[str, float]:
        steps = [(b[0] - a[0], b[1] - a[1]) for a, b in zip(self._ticks, self._ticks[1:], strict=False)][1:]
        return {"wall": statistics.median(s[0] for s in steps), "cpu": statistics.median(s[1] for s in steps)}


def tokens(pieces: list[tuple[str, float]], names: list[str], rows: int, ends: str) -> Any:
    """A tokenizer of `rows` tokens that spells as the pieces do; the others are words that nobody writes."""
    from tokenizers import Tokenizer, models, pre_tokenizers, processors

    from study.models.tokenizers.handling import Handling
    from study.models.tokenizers.pretrained import PretrainedTokenizer

    known = list(dict.fromkeys(pieces))[: rows - len(names)]
    filler = [(f"unwritten{number}", -99.0) for number in range(rows - len(names) - len(known))]
    unk = names.index("<unk>")
    made = Tokenizer(models.Unigram([*((name, 0.0) for name in names), *known, *filler], unk_id=unk))
    made.add_special_tokens(names)
    made.pre_tokenizer = pre_tokenizers.Metaspace()
    special = [(name, names.index(name)) for name in names]
    made.post_processor = processors.TemplateProcessing(single=ends, special_tokens=special)
    bos, eos = ("<s>", "</s>") if "</s>" in names else ("<bos>", "<eos>")
    return PretrainedTokenizer(made, Handling("open_clip lower", "<pad>", eos, bos, "<unk>"), "made")


def teacher_of(form: str, pieces: list[tuple[str, float]]) -> OpenClip:
    """A model of that form with random weights."""
    import torch

    from study.models.open_clip.files import HF_CONFIGS, open_clip
    from study.models.open_clip.pretrained import OpenClip

    torch.manual_seed(0)
    if form == "siglip2-b16":
        model = open_clip.get_model_config("ViT-B-16-SigLIP2-256")
        model.pop("init_logit_bias")
        preprocess = {**PIXELS, "size": 256, "mean": HALF, "std": HALF, "resize_mode": "squash"}
        config = {"model": model, "preprocess": preprocess}
        vocabulary = tokens(pieces, ["<pad>", "<eos>", "<bos>", "<unk>"], 256_000, "$A <eos>")
    else:
        model = open_clip.get_model_config("xlm-roberta-base-ViT-B-32")
        preprocess = {**PIXELS, **CLIP, "size": 224, "resize_mode": "shortest"}
        text = json.loads((HF_CONFIGS / "xlm-roberta-base.json").read_text())
        config = {"model": model, "preprocess": preprocess, "text": text}
        vocabulary = tokens(pieces, ["<s>", "<pad>", "</s>", "<unk>"], 250_002, "<s> $A </s>")
    from study.models.dropout import without_dropout

    return OpenClip.from_config(without_dropout(config), vocabulary).eval().requires_grad_(False)


def student_of(teacher: DualEncoder) -> DualEncoder:
    """Half of the text layers, all tokens: a student that open_clip's trainer can train too."""
    import numpy as np

    from study.models.shape import Shape
    from study.models.shrink import inherited

    layers, rows = teacher.text_layers // 2, len(teacher.vocabulary)
    student = type(teacher).from_config(
        teacher.resized(layers, teacher.image_layers, teacher.vocabulary), teacher.vocabulary
    )
    student.load_state_dict(inherited(teacher, Shape(layers, teacher.image_layers, rows), np.arange(rows)))
    return student


def few(material: Material, out: Path) -> PreparedCorpus:
    """The first items of the default study's training captions and their images."""
    import numpy as np

    from study.data.base import CorpusSettings, DatasetInfo, Licence
    from study.data.prepared import PreparedCorpus
    from study.data.writer import CorpusWriter

    if not (out / "corpus.json").is_file():
        corpus, writer = material.corpus, CorpusWriter(out)
        chosen = np.random.default_rng(0).permutation(len(corpus.captions("distil")))[:ITEMS]
        rows = corpus.captions("distil").iloc[chosen]
        pictures = corpus.images("distil")
        writer.images("distil", ITEMS, *pictures.shape[1:3])[:] = pictures[rows["image"].to_numpy()]
        columns = {name: rows[name].astype(str).tolist() for name in ("language", "text", "english")}
        writer.captions("distil", {"image": list(range(ITEMS)), **columns})
        part = (Licence("all", "see the default study", "the default study"),)
        record = DatasetInfo("few", "Some items.", "the default study", "1", part, (), (), "", "")
        writer.finish(record, CorpusSettings(), sorted(set(columns["language"])), [], {})
    return PreparedCorpus(out)


def there(
    student: DualEncoder,
    teacher: DualEncoder,
    corpus: PreparedCorpus,
    chosen: Callable[[int], np.ndarray],
    steps: int,
    rate: float,
    clock: Clock,
) -> float:
    """Train `student` with open_clip_train; the first loss."""
    import open_clip
    import torch
    from open_clip_train.data import DataInfo
    from open_clip_train.params import parse_args
    from open_clip_train.scheduler import cosine_lr
    from open_clip_train.train import train_one_epoch

    captions, pictures = corpus.captions("distil"), corpus.pictures("distil")
    texts, images = captions["text"].tolist(), captions["image"].to_numpy()
    batches: list[tuple[Tensor, Tensor]] = []
    for step in range(steps):
        rows = chosen(step)
        pixels = torch.from_numpy(pictures.read(images[rows], student.fit))
        ids = student.tokenize([texts[row] for row in rows])
        batches.append((_normalised(student, pixels), ids))

    class Loader(list[Any]):
        num_batches, num_samples = steps, steps * len(batches[0][1])

    args = parse_args(["--batch-size", str(len(batches[0][1])), "--lr", str(rate), "--precision", "fp32"])
    args.device, args.distill, args.rank, args.local_rank, args.world_size = "cpu", True, 0, 0, 1
    args.horovod = args.distributed = args.siglip = args.wandb = False
    models: list[Any] = [student.model, teacher.model]
    for model in models:
        model.output_dict = True
    models[0].requires_grad_(True)
    for parameter in student.image_module().parameters():  # --lock-image
        parameter.requires_grad_(False)
    named = [(name, p) for name, p in models[0].named_parameters() if p.requires_grad]
    parts = ("bn", "ln", "bias", "logit_scale")
    gains = [p for name, p in named if p.ndim < 2 or any(part in name for part in parts)]
    rest = [p for name, p in named if p.ndim >= 2 and not any(part in name for part in parts)]
    groups = [{"params": gains, "weight_decay": 0.0}, {"params": rest, "weight_decay": args.wd}]
    optimizer = torch.optim.AdamW(groups, lr=args.lr, betas=(args.beta1, args.beta2), eps=args.eps)
    schedule, losses = cosine_lr(optimizer, args.lr, max(1, steps // 10), steps), []
    made = open_clip.create_loss(args)

    def begin(step: int) -> None:
        clock.tick()
        schedule(step)

    def loss(**outputs: Any) -> Any:
        terms = made(**outputs)
        losses.append(float(sum(terms.values()).detach()))
        return terms

    train_one_epoch(models[0], {"train": DataInfo(Loader(batches))}, loss, 0, optimizer, None, begin, models[1], args)
    clock.tick()
    student.eval()
    return losses[0]


def _normalised(model: DualEncoder, pixels: Tensor) -> Tensor:
    from study.models.dual_encoder import standardised
    from study.models.open_clip.model import OpenClipTowers

    assert isinstance(model, OpenClipTowers)
    return standardised(pixels, model.mean, model.std)


def here(
    student: DualEncoder,
    teacher: DualEncoder,
    corpus: PreparedCorpus,
    embeddings: Path,
    corner: Any,
    clock: Clock,
) -> DualEncoder:
    """Train `student` as the study does."""
    from unittest.mock import patch

    import torch

    from study.distill import student as distillation
    from study.distill import training

    rate = training.learning_rate

    def begin(step: int, schedule: Any) -> float:
        clock.tick()
        return rate(step, schedule)

    with (
        patch.object(training, "learning_rate", begin),
        patch.object(distillation, "initial_student", lambda *_: student),
    ):
        trained, _, _ = distillation.distil(corner, teacher, corpus, embeddings, torch.device("cpu"))
    clock.tick()
    return trained


def measure(form: str, side: str, folder: Path, work: Path, steps: int, method: str) -> dict[str, Any]:
    """One side's figures, in this process."""
    import torch

    from study.distill.batches import Batches
    from study.distill.embeddings import write_embeddings
    from study.distill.student import StudentConfig
    from study.eval.evaluation import average_precision, images_of
    from study.models.tokenizers.vocabulary import Vocabulary

    torch.set_num_threads(1)
    material, params, clock, cpu = Material(folder), declared(), Clock(), torch.device("cpu")
    spec = params.students.model_copy(
        update={"training": params.students.training.model_copy(update={"steps": steps, "batch": BATCH})}
    )
    found: dict[str, Any] = {}
    if form == "small":
        spec, teacher, corpus, embeddings = (
            params.students,
            material.teacher("clip"),
            material.corpus,
            material.embeddings("clip"),
        )
        corner = StudentConfig("clip", "half", params.sizes["half"], 0, params.methods[method], spec)
        captions = corpus.captions("distil")
        # Tokens stay as they are: open_clip's trainer gives the teacher the student's ids.
        student, steps = student_of(teacher), spec.training.steps
    else:
        pieces = Vocabulary.load(folder / "teachers" / "clip").pieces()
        teacher, corpus, embeddings = teacher_of(form, pieces), few(material, work / "few"), work / form
        corner, student = StudentConfig("b", "half", 0.5, 0, params.methods[method], spec), student_of(teacher)
        if side == "here":
            started = time.process_time()
            write_embeddings(teacher, corpus, embeddings, cpu, layers=False)
            found["embedding"] = (time.process_time() - started) / ITEMS
        captions = corpus.captions("distil")
    batches = Batches(len(captions), corner.spec.training.batch, "batches", corner.arch, corner.size, corner.seed)
    if side == "here":
        student = here(student, teacher, corpus, embeddings, corner, clock)
    else:
        there(student, teacher, corpus, batches, steps, spec.training.learning_rate if form == "small" else 5e-4, clock)
    if form == "small":
        found["score"] = average_precision(
            student, corpus, images_of(teacher, corpus, "validation", cpu), "validation", cpu
        )
    status = Path("/proc/self/status").read_text().splitlines()
    peak = next(int(line.split()[1]) for line in status if line.startswith("VmHWM"))
    return {**clock.medians(), "peak": peak / 2**20, **found}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("forms", nargs="*", default=list(FORMS))
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--steps", type=int, default=4, help="of the large forms")
    parser.add_argument("--methods", nargs="+", default=["fd"], help="of the study")
    parser.add_argument("--child", nargs=4, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.child:
        form, side, work, method = given.child
        print(json.dumps(measure(form, side, given.folder, Path(work), given.steps, method)))
        return
    if unknown := set(given.forms).difference(FORMS):
        parser.error(f"unknown: {', '.join(sorted(unknown))}; there are {', '.join(FORMS)}")
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT), "MKL_NUM_THREADS": "1"}
    print("form             side             CPU s/step  wall s/step  peak GiB   other")
    with tempfile.TemporaryDirectory() as work:
        for form in given.forms:
            sides = ["open_clip", *given.methods]
            runs: dict[str, list[dict[str, float]]] = {side: [] for side in sides}
            for _ in range(given.rounds):
                for side in sides:
                    who = "there" if side == "open_clip" else "here"
                    command = [sys.executable, "-m", "benchmarks.versus_open_clip", str(given.folder), "--steps"]
                    command += [str(given.steps), "--child", form, who, work, side]
                    if side == "open_clip":
                        command[-1] = "fd"
                    done = subprocess.run(
                        command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True, check=True
                    )
                    runs[side].append(json.loads(done.stdout.splitlines()[-1]))
            middle = {
                side: {key: statistics.median(run[key] for run in own) for key in own[0]} for side, own in runs.items()
            }
            for side, row in middle.items():
                ratios = {key: middle["open_clip"][key] / row[key] for key in ("cpu", "wall", "peak")}
                other = ", ".join(f"{key} {row[key]:.4g}" for key in ("score", "embedding") if key in row)
                shown = f"{row['cpu']:10.3f}  {row['wall']:11.3f}  {row['peak']:8.2f}   {other}"
                print(f"{form:16} {side:16} {shown}", flush=True)
                if side != "open_clip":
                    faster = ", ".join(f"{key} {ratio:.2f}" for key, ratio in ratios.items())
                    print(f"{'':16} open_clip / {side}: {faster}", flush=True)


if __name__ == "__main__":
    main()
