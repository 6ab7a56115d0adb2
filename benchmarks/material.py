"""What the benchmarks of training read: the default study's corpus, and teachers of its form that have hardly learnt.

    python -m benchmarks.material FOLDER [--teacher-steps 60]

FOLDER/corpus, FOLDER/teachers/<arch>, FOLDER/embeddings/<arch>; what is there stays. A step costs the same whatever
a teacher has learnt. `POLYGLOTS_CACHE` names the folder of downloads, else .cache in this checkout.
"""

from __future__ import annotations

import argparse
import os
import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from study.config.params import Params, read

if TYPE_CHECKING:
    from study.data.prepared import PreparedCorpus
    from study.models.dual_encoder import DualEncoder

ROOT = Path(__file__).resolve().parent.parent
TEACHER_STEPS = 60


@dataclass(frozen=True)
class Material:
    """A prepared folder."""

    folder: Path

    @property
    def corpus(self) -> PreparedCorpus:
        from study.data.prepared import PreparedCorpus

        return PreparedCorpus(self.folder / "corpus")

    def teacher(self, arch: str) -> DualEncoder:
        from study.models import checkpoint

        return checkpoint.load(self.folder / "teachers" / arch).requires_grad_(False)

    def embeddings(self, arch: str) -> Path:
        return self.folder / "embeddings" / arch


def declared() -> Params:
    """The default study's params.yaml."""
    return read(ROOT / "params.yaml")


def prepare(folder: Path, teacher_steps: int = TEACHER_STEPS, device: str = "cpu") -> Material:
    """Make what is missing of `folder`."""
    import torch

    from study.config.teacher import TeacherSpec
    from study.data import corpus as find_corpus
    from study.data import known_languages
    from study.distill.embeddings import write_embeddings
    from study.distill.teacher import train_teacher

    params, made = declared(), Material(folder)

    def corpus(out: Path) -> None:
        kind, spec = find_corpus(params.corpus.name), params.corpus
        settings = kind.Settings.model_validate(spec.settings)
        known, answered = known_languages(spec.name, settings)
        languages = known if spec.languages == "all" else spec.languages
        asked = [code for code in answered if code in languages]
        cache = Path(os.environ.get("POLYGLOTS_CACHE", ROOT / ".cache"))
        kind.build(settings, languages, asked, out, cache, lambda step, share: None)

    def teacher(arch: str, out: Path) -> None:
        spec = params.teachers[arch]
        assert isinstance(spec, TeacherSpec)  # the default study trains its own
        training = spec.training.model_copy(update={"steps": teacher_steps})
        model, _, _ = train_teacher(spec.model_copy(update={"training": training}), made.corpus, torch.device(device))
        model.save(out)

    def embeddings(arch: str, out: Path) -> None:
        place = torch.device(device)
        write_embeddings(made.teacher(arch).to(place), made.corpus, out, place, layers=True)

    _once(folder / "corpus", corpus)
    for arch in params.grid.archs:
        _once(folder / "teachers" / arch, lambda out, arch=arch: teacher(arch, out))  # type: ignore[misc]
        _once(made.embeddings(arch), lambda out, arch=arch: embeddings(arch, out))  # type: ignore[misc]
    return made


def _once(out: Path, write: Callable[[Path], None]) -> None:
    """A folder, whole or not at all."""
    if out.is_dir():
        return
    started = time.perf_counter()
    working = out.with_name(f"{out.name}.{os.getpid()}.tmp")
    working.parent.mkdir(parents=True, exist_ok=True)
    try:
        write(working)
        working.rename(out)
    except BaseException:
        shutil.rmtree(working, ignore_errors=True)
        raise
    print(f"{out.name}: {time.perf_counter() - started:.0f} s", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--teacher-steps", type=int, default=TEACHER_STEPS)
    parser.add_argument("--device", default="cpu")
    given = parser.parse_args()
    prepare(given.folder, given.teacher_steps, given.device)


if __name__ == "__main__":
    main()
