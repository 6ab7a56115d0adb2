"""Models are the same bytes however many workers made them and in whatever order; `verify` makes one anew."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from pipeline import paths, pool, stage, verify
from pipeline.engines.local import LocalEngine
from study.names import UnknownNameError
from tests.pipeline.grids import cell_names, contents, deliver, write_grid

SEEDS = [0]


def made(folder: Path, monkeypatch: pytest.MonkeyPatch, workers: int, *, backwards: bool) -> dict[str, bytes]:
    """The results of a study whose jobs are carried out by so many workers."""
    folder.mkdir()
    monkeypatch.chdir(folder)
    write_grid(folder, seeds=SEEDS)
    jobs = pool.jobs("students")
    pool.run_jobs("students", jobs[::-1] if backwards else jobs, LocalEngine(["cpu"] * workers, 1))
    deliver()
    return contents(paths.RUNS, paths.SCORES)


@pytest.mark.timeout(300)
def test_the_bytes_do_not_depend_on_workers_or_order_and_can_be_verified(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    one = made(tmp_path / "one", monkeypatch, 1, backwards=False)
    two = made(tmp_path / "two", monkeypatch, 2, backwards=True)
    assert {name for name in one if name.endswith(".safetensors")} == {
        f"runs/{cell}/model.safetensors" for cell in cell_names(seeds=SEEDS)
    }
    assert one == two

    cell = cell_names(seeds=SEEDS)[1]
    verify.run(cell)
    assert f"verify: {cell} is the same, byte for byte: runs/{cell} and scores/{cell}" in capsys.readouterr().out
    assert not (stage.SCRATCH / "verify" / cell).exists()

    weights = paths.RUNS / cell / "model.safetensors"
    tensors = load_file(weights)
    changed = sorted(name for name in tensors if tensors[name].dtype == torch.float32)[0]
    tensors[changed].view(-1)[0] += 0.5
    weights.unlink()  # it is a link to the scratch's
    save_file(tensors, weights)
    (paths.SCORES / cell / "more.csv").write_text("")
    with pytest.raises(stage.StageError) as caught:
        verify.run(cell)
    text = str(caught.value)
    assert text.startswith(f"{cell} is not the same:\n  {weights} differs in 1 of {len(tensors)} tensors, by 0.5")
    assert f"at most: {changed}" in text
    assert f"{paths.SCORES / cell / 'more.csv'} is not made anew" in text

    (paths.RUNS / cell / "fingerprint").write_text("another\n")
    with pytest.raises(stage.StageError, match=f"runs/{cell} is of another declaration"):
        verify.run(cell)
    with pytest.raises(UnknownNameError, match=f"did you mean '{cell}'"):
        verify.run(cell.replace("fd", "fdd"))


def test_verify_ends_with_1_and_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from typer.testing import CliRunner

    from pipeline.__main__ import app

    monkeypatch.chdir(tmp_path)
    write_grid(tmp_path)
    monkeypatch.setattr(sys, "argv", ["small-polyglots"])
    done = CliRunner().invoke(app, ["verify", cell_names(seeds=SEEDS)[0]])
    assert done.exit_code == 1
    assert "verify: runs/clip-half-none-s0 is not there" in str(done.exception) + done.output
