"""What artifacts will cost before there are any: hours of a GPU within a factor of two, memory, bytes."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from pathlib import Path

from trigger_activation.plan.config.schema import Config
from trigger_activation.plan.graph import Artifact, Plan
from trigger_activation.science.attacks import ATTACKS
from trigger_activation.science.preprocessing import PREPROCESSING
from trigger_activation.science.training.paradigms import PARADIGMS

GPU = "RTX 3090"
"""What hours are counted in: the paper's."""
TRAINING_PASS_MS = {32: 0.6, 224: 1.54}
"""Of one image through ResNet-18, forward and back to the parameters: the paper's Table V has 0.5 hours for 60 epochs
of 50,000 images of 32 px, and 5.5 hours for 100 epochs of about 129,000 of 224 px."""
JOB_HOURS = 0.006
"""Of every job, to start Snakemake, PyTorch and a GPU."""
ON_GPU = ("checkpoint", "helper", "tae", "purified", "cell", "whitebox", "flip", "concept", "theory", "cost")
"""Kinds of artifacts whose jobs run networks."""
JOB_MIB, IMAGE_COPIES = 4096, 6
"""Memory of a job with small images; how many copies of its images, as uint8, a job may hold on top."""
SAFETY = 3
"""Time asked for over the estimate."""
SHORTEST_MINUTES = 20


class CostModel:
    """Estimates for the artifacts of a plan."""

    def __init__(self, config: Config) -> None:
        self.config = config

    def gpu_hours(self, artifact: Artifact) -> float:
        """Hours of one GPU (see :data:`GPU`); 0 for what runs without one."""
        if artifact.kind not in ON_GPU or artifact.obstacle:
            return 0.0
        milliseconds = {
            "checkpoint": self._training,
            "tae": self._crafting,
            "purified": self._purifying,
            "cell": self._evaluating,
            "whitebox": self._white_box,
        }.get(artifact.kind, lambda _: 0.0)(artifact)
        return milliseconds / 3.6e6 + JOB_HOURS

    def minutes(self, artifact: Artifact) -> int:
        """Time to ask a cluster for."""
        return max(SHORTEST_MINUTES, math.ceil(60 * SAFETY * self.gpu_hours(artifact)))

    def memory_mib(self, artifact: Artifact) -> int:
        """Memory to ask a cluster for."""
        if artifact.path.startswith("paper_tables/"):
            return JOB_MIB // 2
        count = self._images(artifact) * (len(artifact.inputs.get("images", ())) or 1)
        return JOB_MIB + IMAGE_COPIES * count * self._bytes_of_image(artifact) // 2**20

    def bytes(self, artifact: Artifact) -> int:
        """Size of the arrays in it; 0 for networks, whose sizes only building them tells, and for what is small."""
        if artifact.kind in {"tae", "purified"}:
            return self._images(artifact) * self._bytes_of_image(artifact)
        if artifact.kind == "dataset":
            return self._training_images(artifact) * self._bytes_of_image(artifact)
        return 0

    def _training(self, artifact: Artifact) -> float:
        count = artifact.parameters["images"] or self._training_images(artifact)
        passes = PARADIGMS.instance(artifact.parameters["paradigm"]).passes
        return float(artifact.parameters["training"]["epochs"] * count * passes * self._pass_ms(artifact))

    def _crafting(self, artifact: Artifact) -> float:
        attack = ATTACKS.instance(artifact.parameters["attack"])
        own = attack.passes * self._pass_ms(artifact) * 2 / 3
        return float(self._images(artifact) * (own + attack.helper_calls * self._call_ms(artifact)))

    def _purifying(self, artifact: Artifact) -> float:
        purifier = PREPROCESSING.instance(artifact.parameters["purifier"])
        return float(self._images(artifact) * purifier.helper_calls * self._call_ms(artifact))

    def _evaluating(self, artifact: Artifact) -> float:
        forward = sum(self._network_ms(Path(path).parts[3], artifact) for path in artifact.inputs["victims"]) / 3
        return forward * len(artifact.inputs["images"]) * self._images(artifact)

    def _white_box(self, artifact: Artifact) -> float:
        parameters = artifact.parameters
        attacked = ATTACKS.instance(parameters["attack"]).passes + 19 * parameters["iterations"]
        own = sum(self._network_ms(Path(path).parts[3], artifact) for path in artifact.inputs["victims"])
        return float(self._images(artifact) * own * (attacked * 2 + parameters["queries"]) / 3)

    def _pass_ms(self, artifact: Artifact) -> float:
        return self._network_ms(Path(artifact.path).parts[3], artifact)

    def _network_ms(self, name: str, artifact: Artifact) -> float:
        """Milliseconds of a training pass of one image; the name may go on after the network's."""
        network = self.config.networks[name.partition("__")[0]]
        side = self._side(artifact)
        return _by_side(TRAINING_PASS_MS, side) * _by_side(network.relative_cost, side, 1.0)

    def _call_ms(self, artifact: Artifact) -> float:
        for path in artifact.inputs.get("helper", ()):
            name, _, _ = Path(path).parts[3].partition("__")
            return _by_side(self.config.helpers[name].call_ms, self._side(artifact), 0.0)
        return 0.0

    def _images(self, artifact: Artifact) -> int:
        return int(artifact.parameters.get("images") or 0)

    def _side(self, artifact: Artifact) -> int:
        return self.config.datasets[self._dataset(artifact)].image_size

    def _training_images(self, artifact: Artifact) -> int:
        return self.config.datasets[self._dataset(artifact)].training_images or 0

    def _bytes_of_image(self, artifact: Artifact) -> int:
        return 3 * self._side(artifact) ** 2

    def _dataset(self, artifact: Artifact) -> str:
        group = Path(artifact.path).parts[2]
        return group if artifact.kind == "dataset" else self.config.protocols[group].dataset


def _by_side(numbers: Mapping[int, float], side: int, otherwise: float = 0.0) -> float:
    """The number for images of a side: of the next larger size that has one, or else of the largest."""
    fitting = sorted(numbers, key=lambda size: (size < side, abs(size - side)))
    return numbers[fitting[0]] if fitting else otherwise


def longest_chain(plan: Plan, hours: Mapping[str, float], targets: Iterable[str]) -> float:
    """Hours that no number of GPUs goes below: the dearest chain of artifacts that need each other."""
    finished: dict[str, float] = {}
    for artifact in plan.upstream(targets):
        before = max((finished[path] for path in artifact.input_paths), default=0.0)
        finished[artifact.path] = before + hours.get(artifact.path, 0.0)
    return max(finished.values(), default=0.0)
