"""The networks in config, and the layers at the ends of their first two stages."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from trigger_activation.science.networks import NETWORKS, NetworkFamily

CONFIG = Path(__file__).resolve().parents[2] / "config" / "networks"
FULL: dict[str, Any] = yaml.safe_load((CONFIG / "full.yaml").read_text("utf-8"))
MINIATURE: dict[str, Any] = yaml.safe_load((CONFIG / "miniature.yaml").read_text("utf-8"))
ENTRIES = FULL | MINIATURE

FIRST_STAGE = {  # module, shape at 32 px, shape at 224 px
    "resnet18": ("layer1", (64, 32, 32), (64, 56, 56)),
    "resnet50": ("layer1", (256, 32, 32), (256, 56, 56)),
    "vgg19": ("features.12", (128, 16, 16), (128, 112, 112)),
    "mobilenet_v2": ("features.3", (24, 32, 32), (24, 56, 56)),
    "densenet121": ("features.denseblock1", (256, 32, 32), (256, 56, 56)),
    "inception_v4": ("features.5", None, (384, 25, 25)),
    "resnet18-xs": ("layer1", (8, 32, 32), None),
    "resnet50-xs": ("layer1", (32, 32, 32), None),
    "vgg-s": ("features.6", (24, 16, 16), None),
    "mobilenet-xs": ("features.2", (8, 32, 32), None),
    "densenet-xs": ("features.denseblock1", (32, 32, 32), None),
    "vgg-m": ("features.6", (32, 16, 16), None),
    "resnet18-s": ("layer1", (12, 32, 32), None),
    "densenet-s": ("features.denseblock1", (24, 32, 32), None),
}
SECOND_STAGE = {  # module, shape at 32 px, shape at 224 px
    "resnet18": ("layer2", (128, 16, 16), (128, 28, 28)),
    "resnet50": ("layer2", (512, 16, 16), (512, 28, 28)),
    "vgg19": ("features.25", (256, 8, 8), (256, 56, 56)),
    "mobilenet_v2": ("features.6", (32, 16, 16), (32, 28, 28)),
    "densenet121": ("features.denseblock2", (512, 16, 16), (512, 28, 28)),
    "inception_v4": ("features.9", None, (384, 25, 25)),
    "resnet18-xs": ("layer2", (16, 16, 16), None),
    "resnet50-xs": ("layer2", (64, 16, 16), None),
    "vgg-s": ("features.13", (48, 8, 8), None),
    "mobilenet-xs": ("features.4", (8, 16, 16), None),
    "densenet-xs": ("features.denseblock2", (32, 16, 16), None),
    "vgg-m": ("features.13", (64, 8, 8), None),
    "resnet18-s": ("layer2", (24, 16, 16), None),
    "densenet-s": ("features.denseblock2", (36, 16, 16), None),
}


def family(name: str) -> NetworkFamily:
    return NETWORKS[ENTRIES[name]["class"]](**ENTRIES[name]["parameters"])
