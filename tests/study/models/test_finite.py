"""Weights that are no numbers are found by the check, whatever their type."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from study.models import finite, hub
from study.models.errors import PretrainedError


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.float16, torch.bfloat16])
@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
def test_a_value_that_is_no_number_is_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, dtype: torch.dtype, value: float
) -> None:
    monkeypatch.setattr(finite, "TOGETHER", 4)
    good = torch.arange(9).reshape(3, 3).to(dtype)
    bad = good.clone()
    bad[2, 2] = value
    file = tmp_path / "model.safetensors"
    save_file({"a": good, "b": bad, "ids": torch.arange(3), "none": torch.zeros(0)}, file)
    assert list(finite.not_finite(file)) == ["b"]
    save_file({"a": good}, file, metadata={"format": "pt"})
    assert list(finite.not_finite(file)) == []


def test_json_that_lies_too_deep_is_named(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text("[" * 200_000)
    with pytest.raises(PretrainedError, match=r"config\.json is no JSON that people write"):
        hub.read_json(tmp_path / "config.json")
    (tmp_path / "folder.json").mkdir()
    with pytest.raises(PretrainedError, match=r"folder\.json cannot be read: Is a directory"):
        hub.read_json(tmp_path / "folder.json")
