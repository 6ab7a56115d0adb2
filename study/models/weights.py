"""Published weights: read from safetensors, and fitted strictly to what they are for."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from study.models.errors import PretrainedError
from study.models.tokenizers.pretrained import PretrainedTokenizer

SHOWN = 3
"""Weights that an error names."""
SPARE_ROWS = 1024
"""Rows that a token table may have beyond its tokens, or a fiftieth of them if that is more: tables are padded
to round numbers, and a larger rest is another tokenizer's."""


def read_weights(*files: Path) -> dict[str, Tensor]:
    """The tensors of a safetensors file, or of all shards of one, in single precision.

    Raises:
        PretrainedError: a file is not whole, a weight is not finite, or in two shards.
    """
    found: dict[str, Tensor] = {}
    for file in files:
        try:
            state = load_file(file)
        except (OSError, SafetensorError) as error:
            raise PretrainedError(f"{file} is not whole: {error}") from None
        if twice := sorted(state.keys() & found.keys()):
            raise PretrainedError(f"{file}: in another shard, too: {', '.join(twice[:SHOWN])}{more(twice)}")
        check_finite(state, file)
        found |= {name: tensor.float() if tensor.is_floating_point() else tensor for name, tensor in state.items()}
    return found


def check_finite(state: Mapping[str, Tensor], where: object) -> None:
    """Refuse weights that are NaN or infinite; raises PretrainedError, which names the first of them."""
    broken = [name for name, tensor in state.items() if tensor.is_floating_point() and not tensor.isfinite().all()]
    if broken:
        raise PretrainedError(f"{where}: not all finite: {', '.join(broken[:SHOWN])}{more(broken)}")


def load_weights(model: nn.Module, state: Mapping[str, Tensor], where: object) -> None:
    """Fill `model` with `state`, exactly.

    Raises:
        PretrainedError: a weight is missing, unknown or of another shape; it names the first of them.
    """
    own = model.state_dict()
    shapes = [
        f"{name} is {list(state[name].shape)} and must be {list(own[name].shape)}"
        for name in own
        if name in state and state[name].shape != own[name].shape
    ]
    problems = {
        "missing": [name for name in own if name not in state],
        "unknown": [name for name in state if name not in own],
        "of another shape": shapes,
    }
    told = [f"{what}: {', '.join(names[:SHOWN])}{more(names)}" for what, names in problems.items() if names]
    if told:
        raise PretrainedError(f"{where}: weights do not fit the configuration beside them; {'; '.join(told)}")
    model.load_state_dict(state, strict=True)


def more(names: list[str]) -> str:
    """Says how many names an error leaves out."""
    return f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""


def check_vocabulary(tokens: PretrainedTokenizer, rows: int, where: object) -> None:
    """Refuse a tokenizer that is not the one of a token table with `rows` rows; raises PretrainedError."""
    tokens.check_fits(rows)
    if rows - len(tokens) > max(SPARE_ROWS, len(tokens) // 50):
        raise PretrainedError(
            f"{where}: tokenizer and weights do not match: the tokenizer has {len(tokens)} tokens, "
            f"the token table {rows} rows"
        )


def own_memory(model: nn.Module) -> None:
    """Copy tensors out of a mapped file, where they lie at odd addresses, so that equal weights give equal bits."""
    for tensor in (*model.parameters(), *model.buffers()):
        tensor.data = tensor.data.clone()


@contextmanager
def quietly() -> Iterator[None]:
    """Leave out transformers' progress bars and reports while it loads: what matters of them is checked."""
    from transformers.utils import logging

    level, bars = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        logging.set_verbosity(level)
        if bars:
            logging.enable_progress_bar()
