"""ED here and the multilingual MSE distillation of sentence-transformers, of the same encoder in one run.

    python -m benchmarks.versus_sentence_transformers FOLDER [--rounds 3] [--steps 40] [--buckets 4]

FOLDER is what `benchmarks.material` prepares. Needs `requirements/install evaluators`.

Both sides train an encoder in the form of a multilingual MiniLM (mean pooling, a projection to the teacher's width)
on the same captions, in the same batches, from the same weights: both captions of an item go to T(e). There,
`SentenceTransformerTrainer` with `MSELoss`, the steps' data in our order; here, a study's student with method `ed`.
Optimiser (AdamW, fused), learning rates and clipping are made the same: our loss is 2D times theirs, so gradients are
clipped at 1/(2D) there. Then losses have to be equal: that of the first batch, and after training that of 500 items.
Each measurement is a process of its own, here and there in turns; medians of the steps but the first.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.material import ROOT, Material
from benchmarks.versus_open_clip import Clock, here

if TYPE_CHECKING:
    import numpy as np

    from study.distill.student import StudentConfig
    from study.models.dual_encoder import DualEncoder

SEEN = 500
BATCH = 100


def write_encoder(folder: Path, material: Material, layers: int, width: int) -> None:
    """An encoder in the form of MiniLM with random weights, and the pieces of the default study's tokenizer."""
    import torch

    from study.models import torchvision_ops

    torchvision_ops.ensure()
    from transformers import XLMRobertaConfig, XLMRobertaModel, XLMRobertaTokenizer

    from study.models.tokenizers.vocabulary import Vocabulary

    torch.manual_seed(0)
    special = ("<s>", "<pad>", "</s>", "<unk>")
    pieces = Vocabulary.load(material.folder / "teachers" / "clip").pieces()
    vocabulary = [*((token, 0.0) for token in special), *pieces, ("<mask>", 0.0)]
    kind: Any = XLMRobertaTokenizer
    kind(vocab=vocabulary).save_pretrained(folder)
    config = XLMRobertaConfig(
        vocab_size=len(vocabulary),
        hidden_size=width,
        num_hidden_layers=layers,
        num_attention_heads=width // 32,
        intermediate_size=4 * width,
        hidden_dropout_prob=0.0,
        attention_probs_dropout_prob=0.0,
        max_position_embeddings=82,
        type_vocab_size=1,
        pad_token_id=1,
        bos_token_id=0,
        eos_token_id=2,
    )
    XLMRobertaModel(config).save_pretrained(folder)


def corner_of(encoder: Path, steps: int, buckets: int) -> StudentConfig:
    from study.config.schedule import Schedule
    from study.config.size import EncoderSpec
    from study.config.student import StudentSpec
    from study.distill.student import StudentConfig

    schedule = Schedule(steps=steps, batch=BATCH, learning_rate=5e-4, weight_decay=0.0, length_buckets=buckets)
    return StudentConfig(
        "clip", "minilm", EncoderSpec(encoder=str(encoder)), 0, {"ed": {}}, StudentSpec(training=schedule)
    )


def there(
    student: DualEncoder,
    encoder: Path,
    targets: np.ndarray,
    texts: Any,
    corner: StudentConfig,
    batches: Any,
    clock: Clock,
) -> Any:
    """Train with SentenceTransformerTrainer; the model and the loss of the first batch."""
    import numpy as np
    import torch

    from study.models import torchvision_ops

    torchvision_ops.ensure()
    from datasets import Dataset
    from sentence_transformers import (
        SentenceTransformer,
        SentenceTransformerTrainer,
        SentenceTransformerTrainingArguments,
    )
    from sentence_transformers.sentence_transformer.losses import MSELoss
    from sentence_transformers.sentence_transformer.modules import Dense, Normalize, Pooling, Transformer
    from torch.utils.data import BatchSampler, SequentialSampler
    from transformers import TrainerCallback

    from study.distill.training import learning_rate

    schedule = corner.spec.training
    reader: Any = student.text_module()
    weight = reader.projection.weight.detach().clone()
    body = Transformer(str(encoder), max_seq_length=student.context)
    dense = Dense(weight.shape[1], weight.shape[0], bias=False, activation_function=None, init_weight=weight)
    model = SentenceTransformer(modules=[body, Pooling(weight.shape[1], "mean"), dense, Normalize()], device="cpu")
    rows = np.concatenate([batches(step) for step in range(schedule.steps)])
    columns = {"english": texts["english"].iloc[rows].tolist(), "text": texts["text"].iloc[rows].tolist()}
    data = Dataset.from_dict({**columns, "label": targets[rows]})
    optimizer = torch.optim.AdamW(model.parameters(), lr=1.0, betas=(0.9, 0.98), weight_decay=0.0, fused=True)
    rates = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: learning_rate(step, schedule))
    losses: list[float] = []

    class Loss(MSELoss):
        def forward(self, *given: Any) -> Any:
            loss = super().forward(*given)
            losses.append(float(loss.detach()))
            return loss

    class Ticks(TrainerCallback):
        def on_step_begin(self, *_: Any, **__: Any) -> None:
            clock.tick()

        def on_train_end(self, *_: Any, **__: Any) -> None:
            clock.tick()

    in_order: Any = lambda data, batch_size, drop_last, **_: BatchSampler(  # noqa: E731
        SequentialSampler(data), batch_size, drop_last
    )
    with tempfile.TemporaryDirectory() as out:
        arguments = SentenceTransformerTrainingArguments(
            output_dir=out,
            num_train_epochs=1,
            per_device_train_batch_size=schedule.batch,
            max_grad_norm=schedule.clip_norm / (2 * weight.shape[0]),
            batch_sampler=in_order,
            save_strategy="no",
            report_to=[],
            disable_tqdm=True,
            use_cpu=True,
            logging_strategy="no",
        )
        trainer: Any = SentenceTransformerTrainer(
            model, arguments, train_dataset=data, loss=Loss(model), callbacks=[Ticks()], optimizers=(optimizer, rates)
        )
        trainer.train()
    return model, losses[0]


def measure(side: str, folder: Path, encoder: Path, steps: int, buckets: int) -> dict[str, float]:
    import numpy as np
    import torch

    from study.distill.batches import Batches
    from study.distill.shards import ShardedArray
    from study.distill.student import initial_student
    from study.models.embed import embed_texts

    torch.set_num_threads(1)
    material, clock, corner = Material(folder), Clock(), corner_of(encoder, steps, buckets)
    teacher, captions = material.teacher("clip"), material.corpus.captions("distil")
    targets = ShardedArray(material.embeddings("clip") / "distil_e").whole().numpy()
    texts = captions["text"].tolist() + captions["english"].tolist()
    student = initial_student(teacher, corner, texts)
    batches = Batches(len(captions), BATCH, "batches", corner.arch, corner.size, corner.seed)

    def distance(rows: np.ndarray, encode: Any) -> float:
        parts = [encode(captions[column].iloc[rows].tolist()) for column in ("english", "text")]
        return float(np.mean([np.square(part - targets[rows]).mean() for part in parts]))

    def ours(wanted: list[str]) -> np.ndarray:
        return embed_texts(student.eval(), wanted, torch.device("cpu"))

    seen = np.random.default_rng(0).permutation(len(captions))[:SEEN]
    if side == "here":
        first = distance(batches(0), ours)
        student = here(student, teacher, material.corpus, material.embeddings("clip"), corner, clock)
        last = distance(seen, ours)
    else:
        model, first = there(student, encoder, targets, captions, corner, batches, clock)
        last = distance(seen, lambda wanted: model.encode(wanted, batch_size=BATCH))
    status = Path("/proc/self/status").read_text().splitlines()
    peak = next(int(line.split()[1]) for line in status if line.startswith("VmHWM"))
    return {**clock.medians(), "peak": peak / 2**20, "first": first, "last": last}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--steps", type=int, default=40)
    parser.add_argument("--buckets", type=int, default=4, help="training.length_buckets here")
    parser.add_argument("--layers", type=int, default=6)
    parser.add_argument("--width", type=int, default=384)
    parser.add_argument("--child", nargs=2, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.child:
        side, encoder = given.child
        print(json.dumps(measure(side, given.folder, Path(encoder), given.steps, given.buckets)))
        return
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)}
    runs: dict[str, list[dict[str, float]]] = {"there": [], "here": []}
    with tempfile.TemporaryDirectory() as encoder:
        write_encoder(Path(encoder), Material(given.folder), given.layers, given.width)
        for _ in range(given.rounds):
            for side, own in runs.items():
                command = [sys.executable, "-m", "benchmarks.versus_sentence_transformers", str(given.folder)]
                command += ["--steps", str(given.steps), "--buckets", str(given.buckets), "--child", side, encoder]
                done = subprocess.run(command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True, check=True)
                own.append(json.loads(done.stdout.splitlines()[-1]))
    middle = {side: {key: statistics.median(run[key] for run in own) for key in own[0]} for side, own in runs.items()}
    print("side                   CPU s/step  wall s/step  peak GiB  first loss  last loss")
    for side, name in (("there", "sentence-transformers"), ("here", "here (ed)")):
        row = middle[side]
        print(
            f"{name:22} {row['cpu']:10.4f}  {row['wall']:11.4f}  {row['peak']:8.2f}  "
            f"{row['first']:.8f}  {row['last']:.8f}"
        )
    ratios = {key: middle["there"][key] / middle["here"][key] for key in ("cpu", "wall", "peak", "first", "last")}
    print("there / here:         ", ", ".join(f"{key} {ratio:.4g}" for key, ratio in ratios.items()))


if __name__ == "__main__":
    main()
