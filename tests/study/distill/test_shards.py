"""Oracles: numpy's own reader, torch's rounding, the array that was written."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from pipeline.sources import ROOT
from study.config.embedding import Dtype
from study.distill.shards import STORED, ShardedArray, ShardError, ShardSource, digest, write_array
from tests.study.distill import killed as killed_script

DTYPES: list[Dtype] = ["float32", "float16", "bfloat16"]


def values(rows: int, *shape: int) -> Tensor:
    return torch.randn(rows, *shape, generator=torch.Generator().manual_seed(rows))


def parts(array: Tensor, shard: int, block: int = 3, made: list[int] | None = None) -> Iterator[ShardSource]:
    """Shards of `array`; which of them were really made is noted in `made`."""

    def blocks(number: int, rows: Tensor) -> Iterable[Tensor]:
        if made is not None:
            made.append(number)
        return rows.split(block)

    for number, rows in enumerate(array.split(shard)):
        yield ShardSource(digest(rows.tolist()), len(rows), lambda number=number, rows=rows: blocks(number, rows))  # type: ignore[misc]


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", [(5,), (2, 3)])
def test_what_is_read_is_what_was_written_rounded_as_torch_rounds(
    dtype: Dtype, shape: tuple[int, ...], tmp_path: Path
) -> None:
    array = values(23, *shape)
    write_array(tmp_path, dtype, 23, parts(array, 10))
    expected = array.to(STORED[dtype][0]).float()
    read = ShardedArray(tmp_path)
    assert torch.equal(read.whole(), expected)
    rows = np.array([22, 0, 10, 9, 0, 19, 20])
    assert torch.equal(read.take(rows), expected[torch.from_numpy(rows)])
    assert (len(read), read.nbytes) == (23, array.numel() * 4)
    first = np.load(tmp_path / "00000.npy", allow_pickle=False)
    assert first.shape == (10, *shape)
    if dtype != "bfloat16":
        np.testing.assert_array_equal(first, expected[:10].numpy().astype(dtype))


@settings(max_examples=30, deadline=None)
@given(
    rows=st.integers(1, 40),
    shard=st.integers(1, 50),
    block=st.integers(1, 7),
    seed=st.integers(0, 2**16),
)
def test_any_rows_from_any_shards(rows: int, shard: int, block: int, seed: int) -> None:
    array = values(rows, 2)
    chosen = np.random.default_rng(seed).integers(0, rows, 11)
    with tempfile.TemporaryDirectory() as folder:
        write_array(Path(folder), "float32", rows, parts(array, shard, block))
        assert torch.equal(ShardedArray(Path(folder)).take(chosen), array[torch.from_numpy(chosen)])


def test_what_is_finished_is_kept_and_only_what_changed_is_made_again(tmp_path: Path) -> None:
    array, made = values(20, 4), list[int]()
    write_array(tmp_path, "float32", 20, parts(array, 5, made=made))
    write_array(tmp_path, "float32", 20, parts(array, 5, made=made))
    assert made == [0, 1, 2, 3]
    array[7] += 1.0
    write_array(tmp_path, "float32", 20, parts(array, 5, made=made))
    assert made == [0, 1, 2, 3, 1]
    assert torch.equal(ShardedArray(tmp_path).whole(), array)
    write_array(tmp_path, "float32", 12, parts(array[:12], 5, made=made))
    assert made == [0, 1, 2, 3, 1, 2]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["00000.npy", "00001.npy", "00002.npy", "index.json"]


def test_a_damaged_shard_is_refused_by_name_and_made_again(tmp_path: Path) -> None:
    array, made = values(20, 4), list[int]()
    write_array(tmp_path, "float32", 20, parts(array, 5))
    content = bytearray((tmp_path / "00002.npy").read_bytes())
    content[-3] ^= 1
    (tmp_path / "00002.npy").write_bytes(content)
    with pytest.raises(ShardError, match=r"00002\.npy has changed since it was written: embed again"):
        ShardedArray(tmp_path)
    (tmp_path / "00003.npy").unlink()
    with pytest.raises(ShardError, match=r"00002\.npy has changed.*00003\.npy is not there"):
        ShardedArray(tmp_path)
    write_array(tmp_path, "float32", 20, parts(array, 5, made=made))
    assert made == [2, 3]
    assert torch.equal(ShardedArray(tmp_path).whole(), array)


def test_an_array_that_is_not_whole_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ShardError, match=r"has no index\.json"):
        ShardedArray(tmp_path)
    array = values(20, 4)
    report = dict.fromkeys([10], KeyboardInterrupt)

    def stop(done: int) -> None:
        if done in report:
            raise report[done]

    with pytest.raises(KeyboardInterrupt):
        write_array(tmp_path, "float32", 20, parts(array, 5), stop)
    with pytest.raises(ShardError, match="is not whole: 10 of 20 rows"):
        ShardedArray(tmp_path)
    index = json.loads((tmp_path / "index.json").read_text())
    (tmp_path / "index.json").write_text(json.dumps({**index, "rows": 10, "dtype": "float16"}))
    with pytest.raises(ShardError, match=r"00000\.npy: float32 \(5, 4\), not as index\.json says"):
        ShardedArray(tmp_path)
    (tmp_path / "index.json").write_text("{")
    with pytest.raises(ShardError, match=r"index\.json cannot be read"):
        ShardedArray(tmp_path)


def test_values_that_do_not_fit_are_refused(tmp_path: Path) -> None:
    array = values(20, 4)
    array[13, 2] = 70_000.0
    with pytest.raises(ShardError, match=r"00002\.npy, rows 3 to 4: 7e\+04 is more than float16 .* bfloat16"):
        write_array(tmp_path, "float16", 20, parts(array, 5))
    write_array(tmp_path, "bfloat16", 20, parts(array, 5))
    array[13, 2] = torch.nan
    with pytest.raises(ShardError, match="output is not finite"):
        write_array(tmp_path, "float32", 20, parts(array, 5))


def test_a_process_that_is_killed_within_a_shard_loses_that_shard_only(tmp_path: Path) -> None:
    killed, whole = tmp_path / "killed", tmp_path / "whole"
    command = [sys.executable, "-m", killed_script.__name__, str(killed)]
    assert subprocess.run(command, cwd=ROOT).returncode == -signal.SIGKILL
    made: list[int] = []
    write_array(killed, "bfloat16", 20, killed_script.parts(made))
    assert made == [2, 3]
    write_array(whole, "bfloat16", 20, killed_script.parts([]))
    files = sorted(path.name for path in whole.iterdir())
    assert files == sorted(path.name for path in killed.iterdir())
    assert all((killed / name).read_bytes() == (whole / name).read_bytes() for name in files)
