"""Which layers of a deep tower stand for the layers of a shallower one."""

from __future__ import annotations


def matched_layers(deep: int, shallow: int) -> list[int]:
    """`shallow` evenly spaced layer indices of a tower of `deep` layers, the last one always among them.

    Raises:
        ValueError: `shallow` is not between 1 and `deep`.
    """
    if not 1 <= shallow <= deep:
        raise ValueError(f"cannot take {shallow} layers from {deep}: must be 1 to {deep}")
    return [round((i + 1) * deep / shallow) - 1 for i in range(shallow)]
