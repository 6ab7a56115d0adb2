"""How the teacher's outputs are kept for its students: the `embedding` block of params.yaml."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from study.strict import Strict

Dtype = Literal["float32", "float16", "bfloat16"]


class EmbeddingSpec(Strict):
    """The `embedding` block of params.yaml: how the teacher's outputs are kept for its students."""

    dtype: Dtype = Field(
        default="float32",
        description="two bytes round a value by up to 2^-11 (float16) or 2^-8 (bfloat16) of it",
    )
    shard: int = Field(
        default=65_536, gt=0, le=10**9, description="rows a file; texts are sorted and deduplicated within one"
    )
