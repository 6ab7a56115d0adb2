"""Where items lie: sizes that leave no room are refused by the settings, all others are laid out."""

from __future__ import annotations

import numpy as np
import pytest
from pydantic import ValidationError

from study.data.emoji.scenes import place
from study.data.emoji.settings import EmojiSettings


def test_sizes_that_leave_no_room_are_refused() -> None:
    with pytest.raises(ValidationError, match=r"2 items of sizes 0\.6 to 0\.9 hardly fit"):
        EmojiSettings(sizes=((0.45, 0.6), (0.6, 0.9), (0.38, 0.48)))


@pytest.mark.parametrize("items", [1, 2, 3, 4])
def test_the_default_s_scenes_are_laid_out(items: int) -> None:
    settings = EmojiSettings(max_items=4)
    found = place(np.full(2_000, items), settings, np.random.default_rng(1))
    size, centre = found.size[:, :items], found.centre[:, :items]
    assert (centre - size[..., None] / 2 >= 0).all()
    assert (centre + size[..., None] / 2 <= settings.canvas).all()
    assert (np.diff(centre[..., 0], axis=1) >= settings.step * settings.canvas).all()
