"""What artifacts will cost before there are any: hours of a GPU within a factor of two, memory, bytes."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping

from trigger_activation.plan import recipes
from trigger_activation.plan.config.schema import Config, DatasetVariant
from trigger_activation.plan.graph import Artifact, Plan
from trigger_activation.science.attacks import ATTACKS
from trigger_activation.science.preprocessing import PREPROCESSING
from trigger_activation.science.training.known_trigger import KnownTrigger
from trigger_activation.science.training.paradigms import PARADIGMS

GPU = "RTX 3090"
"""What hours are counted in: the paper's."""
TRAINING_PASS_MS = {32: 0.6, 224: 1.54}
"""Of one image through ResNet-18, forward and back to the parameters: the paper's Table V has 0.5 hours for 60 epochs
of 50,000 images of 32 px, and 5.5 hours for 100 epochs of about 129,000 of 224 px."""
JOB_HOURS = 0.006
"""Of every job, to start Snakemake, PyTorch and a GPU."""
JOB_MIB, IMAGE_COPIES = 4096, 6
"""Memory of a job with small images; how many copies of its images, as uint8, a job may hold on top."""
SAFETY = 3
"""Time asked for over the estimate."""
SHORTEST_MINUTES = 20


class CostModel:
    """Estimates for the artifacts of a plan."""

    def __init__(self, config: Config, plan: Plan) -> None:
        self.config = config
        self.plan = plan

    def gpu_hours(self, artifact: Artifact) -> float:
        """Hours of one GPU (see :data:`GPU`); 0 for what runs without one."""
        if not artifact.kind.runs_networks or artifact.obstacle:
            return 0.0
        return self._milliseconds(artifact) / 3.6e6 + JOB_HOURS

    def minutes(self, artifact: Artifact) -> int:
        """Time to ask a cluster for."""
        return max(SHORTEST_MINUTES, math.ceil(60 * SAFETY * self.gpu_hours(artifact)))

    def memory_mib(self, artifact: Artifact) -> int:
        """Memory to ask a cluster for."""
        if artifact.kind.is_rendered:
            return JOB_MIB // 2
        count = _images(artifact) * (len(artifact.inputs.get("images", ())) or 1)
        return JOB_MIB + IMAGE_COPIES * count * self._bytes_of_image(artifact) // 2**20

    def bytes(self, artifact: Artifact) -> int:
        """Size of the arrays in it; 0 for networks, whose sizes only building them tells, and for what is small."""
        match artifact.parameters:
            case recipes.TaeParameters() | recipes.PurifiedParameters():
                return _images(artifact) * self._bytes_of_image(artifact)
            case recipes.DatasetParameters():
                return self._training_images(artifact) * self._bytes_of_image(artifact)
            case _:
                return 0

    def _milliseconds(self, artifact: Artifact) -> float:
        """Of the passes through networks; 0 for what has few."""
        match artifact.parameters:
            case recipes.CheckpointParameters() as given:
                count = given.images or self._training_images(artifact)
                passes = PARADIGMS.instance(given.paradigm).passes
                return given.training.epochs * count * passes * self._own_pass_ms(artifact)
            case recipes.TaeParameters() as given:
                attack = ATTACKS.instance(given.attack)
                members = len(artifact.inputs["surrogate"])
                own = attack.passes * members * self._own_pass_ms(artifact) * 2 / 3
                return given.images * (own + attack.helper_calls * self._call_ms(artifact))
            case recipes.PurifiedParameters() as given:
                calls = PREPROCESSING.instance(given.purifier).helper_calls
                return given.images * calls * self._call_ms(artifact)
            case recipes.CellParameters() as given:
                forward = self._pass_ms(given.victims or given.networks, artifact) * len(given.seeds) / 3
                return forward * len(artifact.inputs["images"]) * given.images
            case recipes.WhiteBoxParameters() as given:
                attacked = ATTACKS.instance(given.attack).passes + 19 * given.iterations
                own = self._pass_ms(given.networks, artifact) * len(given.seeds)
                return given.images * own * (attacked * 2 + given.queries) / 3
            case recipes.InformedParameters() as given:
                return self._informed_ms(given, artifact)
            case _:
                return 0.0

    def _informed_ms(self, given: recipes.InformedParameters, artifact: Artifact) -> float:
        """Of attacks on each victim, or by way of each other architecture; of trainings for each such pair."""
        own = self._pass_ms(given.networks, artifact) * len(given.seeds)
        pairs = 1 if given.knows == "victim" else len(given.networks) - 1
        trained = 0.0
        if given.training is not None:
            count = given.training.images or self._training_images(artifact)
            trained = given.training.training.epochs * count * KnownTrigger().passes * own * pairs
        calls = 0.0
        if given.preprocessing is not None:
            asked = PREPROCESSING.instance(given.preprocessing).helper_calls * len(given.networks) * len(given.seeds)
            calls = asked * self._call_ms(artifact) * (1 if given.bpda else 3)
        passes = ATTACKS.instance(given.algorithm).passes
        return trained + given.images * passes * (own * pairs * 2 / 3 + calls)

    def _own_pass_ms(self, artifact: Artifact) -> float:
        return self._pass_ms([artifact.names["network"]], artifact)

    def _pass_ms(self, networks: Iterable[str], artifact: Artifact) -> float:
        """Milliseconds of a training pass of one image through each of some networks."""
        side = self._side(artifact)
        costs = (_by_side(self.config.networks[name].relative_cost, side, 1.0) for name in networks)
        return _by_side(TRAINING_PASS_MS, side) * sum(costs)

    def _call_ms(self, artifact: Artifact) -> float:
        """Milliseconds of one call of the helper network, if there is one."""
        names = [self.plan[path].names["helper"] for path in artifact.inputs.get("helper", ())]
        return sum(_by_side(self.config.helpers[name].call_ms, self._side(artifact)) for name in names)

    def _side(self, artifact: Artifact) -> int:
        return self._dataset(artifact).image_size

    def _training_images(self, artifact: Artifact) -> int:
        return self._dataset(artifact).training_images or 0

    def _bytes_of_image(self, artifact: Artifact) -> int:
        return 3 * self._side(artifact) ** 2

    def _dataset(self, artifact: Artifact) -> DatasetVariant:
        names = artifact.names
        own = names["dataset"] if "dataset" in names else self.config.protocols[names["protocol"]].dataset
        return self.config.datasets[own]


def _images(artifact: Artifact) -> int:
    """How many images a job reads of each image set, as far as its parameters say so."""
    return getattr(artifact.parameters, "images", None) or 0


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
