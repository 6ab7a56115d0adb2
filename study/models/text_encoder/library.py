"""A published text encoder compared with what transformers makes of it. Shape legend: N texts, L tokens, E width."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from study.models import probe, torchvision_ops
from study.models.dual_encoder import normalise
from study.models.errors import PretrainedError
from study.models.padding import without_padding
from study.models.siglip.library import LIBRARY
from study.models.text_encoder.files import Loaded
from study.models.tokenizers.loading import reading

torchvision_ops.ensure()

from transformers import AutoTokenizer  # noqa: E402 (needs torchvision's operators)

Pool = Callable[[Tensor, Tensor], Tensor]


def compare(loaded: Loaded, context: int, pool: Pool) -> str:
    """What was compared, in words, once ids and pooled states are found to be the library's.

    Args:
        loaded: the encoder as the library loaded it, and its tokens as they are kept here.
        context: L, to which texts are cut.
        pool: of states [N, L, E] and a mask [N, L], [N, E].

    Raises:
        PretrainedError: a part differs, or the encoder reads a padded text otherwise than a bare one.
    """
    where, encoder, tokens = loaded.folder, loaded.encoder.eval(), loaded.tokens
    kind: Any = AutoTokenizer
    with reading(where, "transformers"):
        read = kind.from_pretrained(where, trust_remote_code=False, local_files_only=True)
    fixed = {"truncation": True, "max_length": context, "return_tensors": "pt"}

    def pooled(ids: Tensor, mask: Tensor) -> Tensor:
        states: Any = encoder(input_ids=ids, attention_mask=mask.long())
        return normalise(pool(states.last_hidden_state, mask.bool()))

    with torch.inference_mode(), torch.autocast("cpu", enabled=False), probe.failing(where, LIBRARY):
        whole = read(list(probe.TEXTS), padding="max_length", **fixed)
        own = torch.from_numpy(tokens.encode(probe.TEXTS, context))
        probe.check_ids(where, LIBRARY, own, whole.input_ids)
        ids = own[: probe.READ]
        batch = pooled(*without_padding(ids, tokens.mask(ids)))
        bare = [read([text], **fixed) for text in probe.TEXTS[: probe.READ]]
        alone = torch.cat([pooled(one.input_ids, one.attention_mask) for one in bare])
    side = tokens.handling.padding_side
    if side == "left" and not torch.allclose(alone, batch, atol=probe.TOLERANCE, rtol=0):
        raise PretrainedError(
            f"{where}: its tokenizer pads on the left, which moves the positions of a {loaded.config['model_type']}: "
            "the same text is embedded otherwise beside a longer one. Set padding_side to right in "
            "tokenizer_config.json"
        )
    probe.check_close(where, LIBRARY, "features of a text", batch, alone)
    return f"{LIBRARY}: ids of {len(probe.TEXTS)} texts and features of {probe.READ} of them {probe.SAME}"
