"""Heavy libraries that load on first use.

The plan reads every algorithm's parameters and version from its class, and must not pay the five seconds that
importing torch and torchvision costs. Algorithm modules therefore write ``from trigger_activation.lazy import
torch`` and use it like the real module; type checkers see the real one.
"""

from __future__ import annotations

import importlib
from types import ModuleType
from typing import TYPE_CHECKING, Any


class LazyModule(ModuleType):
    """A stand-in that imports its module when an attribute is first read."""

    def __getattr__(self, attribute: str) -> Any:
        value = getattr(importlib.import_module(self.__name__), attribute)
        setattr(self, attribute, value)
        return value


if TYPE_CHECKING:
    import diffusers as diffusers
    import numpy as numpy
    import torch as torch
    import torchvision as torchvision
    from scipy import special as special
    from torch.nn import functional as functional
else:
    diffusers = LazyModule("diffusers")
    numpy = LazyModule("numpy")
    special = LazyModule("scipy.special")
    torch = LazyModule("torch")
    functional = LazyModule("torch.nn.functional")
    torchvision = LazyModule("torchvision")
