"""Weights and images made by a formula, for comparison with recorded outputs of other people's code.

The files in ``tests/data`` say the formula; their values came from networks with the same weights and images.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from numpy.random import RandomState
from torch import Tensor


def official_state(shapes: Mapping[str, Sequence[int]], seed: int, scale: float) -> dict[str, Tensor]:
    random = RandomState(seed)
    state = {}
    for name in sorted(shapes):
        values = scale * random.normal(size=shapes[name])
        is_gain = values.ndim == 1 and name.endswith(".weight")
        state[name] = torch.from_numpy((values + is_gain).astype(np.float32))
    return state


def relative_error(unet: Any, state: Mapping[str, Tensor], record: dict[str, Any], steps: Sequence[float]) -> float:
    """The largest difference of a network of diffusers from the recorded outputs over the largest of these."""
    unet.load_state_dict(state, strict=True)
    images = 0.05 * RandomState(1000 + record["seed"]).normal(size=(len(steps), 3, record["side"], record["side"]))
    with torch.no_grad():
        outputs = unet.double()(torch.from_numpy(images.astype(np.float32)).double(), torch.tensor(steps))
    ours = outputs.sample[:, :, :: record["stride"], :: record["stride"]].flatten()
    official = torch.tensor(record["outputs"], dtype=torch.float64)
    return float((ours - official).abs().max() / official.abs().max())
