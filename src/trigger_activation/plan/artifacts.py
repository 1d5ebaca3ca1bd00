"""Builders of the artifacts of one protocol: data set, checkpoint, TAE set, purified set, cell, measurement."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product
from typing import Any

from trigger_activation.errors import UserError, suggest
from trigger_activation.plan import kinds, recipes
from trigger_activation.plan.config.schema import Config, EnsembleSettings, Protocol, Variant
from trigger_activation.plan.config.values import CLEAN, STANDARD
from trigger_activation.plan.graph import Artifact, Inputs, Plan
from trigger_activation.plan.kind import Kind, Names
from trigger_activation.plan.layouts import Change, Facts, KindParameters
from trigger_activation.plan.variants import Resolved, Variants
from trigger_activation.science.datasets import Split
from trigger_activation.science.helpers import HELPERS, TrainedHelper
from trigger_activation.science.networks import NETWORKS
from trigger_activation.science.training.paradigms import SurrogateParadigm

STUDY_BLOCKS = 10
"""Into which the few images of attackers who know more than a surrogate are parted."""


class ProtocolArtifacts:
    """Adds one protocol's artifacts to a plan, each with all it depends on, and returns their paths."""

    def __init__(self, config: Config, name: str, plan: Plan, variants: Variants) -> None:
        self.config = config
        self.name = name
        self.protocol: Protocol = config.protocols[name]
        self.plan = plan
        self.variants = variants

    def dataset(self, split: Split) -> str:
        """One split of the protocol's data set."""
        name = self.protocol.dataset
        names = {"dataset": name, "split": split}
        if (path := kinds.DATASET.path(names)) in self.plan.artifacts:
            return path
        declared = self.config.datasets[name]
        source = self.variants.resolve("datasets", name)
        parameters = recipes.DatasetParameters(
            source=source.parameters, split=split, classes=declared.classes, image_size=declared.image_size
        )
        return self._add(kinds.DATASET, names, parameters, {}, {"source": source})

    def checkpoint(self, network: str, paradigm: str, seed: int) -> str:
        """A network trained here, or the one that ``config/victims`` declares under the name of the paradigm."""
        if paradigm in self.config.victims:
            return self._imported(paradigm)
        names = {"protocol": self.name, "network": network, "paradigm": paradigm, "seed": str(seed)}
        if (path := kinds.CHECKPOINT.path(names)) in self.plan.artifacts:
            return path
        declared = self.config.datasets[self.protocol.dataset]
        architecture = self.variants.resolve("networks", network)
        self._refuse_small_images(network, f"config/protocols/{self.name}.yaml: networks")
        training = self.variants.resolve("paradigms", paradigm, self.name)
        parameters = recipes.CheckpointParameters(
            network=architecture.parameters,
            paradigm=training.parameters,
            training=self.protocol.training,
            images=self.protocol.training_images,
            classes=declared.classes,
            image_size=declared.image_size,
            seed=seed,
            threads=self.protocol.threads,
        )
        inputs: Inputs = {"train": (self.dataset("train"),), **self._static_surrogates(paradigm, training)}
        kind = kinds.ENSEMBLE if "surrogates" in inputs else kinds.CHECKPOINT
        return self._add(kind, names, parameters, inputs, {"network": architecture, "paradigm": training})

    def _static_surrogates(self, paradigm: str, training: Resolved) -> Inputs:
        """The undefended networks that a paradigm trains against, none of which the evaluation knows."""
        if training.obstacle or not issubclass(self.variants.class_of("paradigms", paradigm), SurrogateParadigm):
            return {}
        seeds, known = training.parameters["surrogate_seeds"], self.protocol.seeds.of(STANDARD)
        if taken := [seed for seed in seeds if seed in known]:
            raise UserError(
                f"{self.config.paradigms[paradigm].file}: {paradigm}.parameters.surrogate_seeds names the seed "
                f"{taken[0]}, whose undefended networks the protocol {self.name} evaluates with: choose seeds from "
                f"{len(known)} on"
            )
        return {"surrogates": self._checkpoints(self.protocol.networks, STANDARD, seeds)}

    def _imported(self, victim: str) -> str:
        declared, dataset = self.config.victims[victim], self.config.datasets[self.protocol.dataset]
        self.variants.used.add(("victims", victim))
        self._refuse_small_images(declared.network, f"{declared.file}: {victim}.network")
        architecture = self.variants.resolve("networks", declared.network)
        parameters = recipes.ImportedParameters(
            network=architecture.parameters,
            file=declared.checkpoint,
            sha256=declared.sha256,
            classes=dataset.classes,
            image_size=dataset.image_size,
        )
        names = {"protocol": self.name, "network": declared.network, "victim": victim}
        return self._add(kinds.IMPORTED, names, parameters, {}, {"network": architecture})

    def networks_and_seeds(self, victim: str) -> tuple[list[str], list[int]]:
        """Of a column's victims: the protocol's, or the one network that was trained elsewhere."""
        if victim in self.config.victims:
            return [self.config.victims[victim].network], [0]
        return self.protocol.networks, list(self.protocol.seeds.of(victim))

    def tae(self, network: str, paradigm: str, attack: str, seed: int = 0) -> str:
        """The adversarial images of one attack on one seed's surrogate, or on an ensemble of that name."""
        names = self._crafted(network, paradigm, attack, seed)
        if (path := kinds.TAE.path(names)) in self.plan.artifacts:
            return path
        variant = self.config.networks[network]
        family = NETWORKS[variant.class_](**variant.parameters)
        method = self.variants.resolve("attacks", attack, self.name, lambda attack: attack.for_network(family))
        parameters = recipes.TaeParameters(
            attack=method.parameters,
            batch_size=self.protocol.attack.batch_size,
            images=self._images(attack),
            threads=self.protocol.threads,
            **({"without_trigger": True} if self.config.attacks[attack].without_trigger else {}),
        )
        return self._add(
            kinds.TAE,
            names,
            parameters,
            {
                "surrogate": self._attacked(network, paradigm, seed),
                "test": (self.dataset("test"),),
                **self._helper_input("attacks", attack),
            },
            {"attack": method},
        )

    def _attacked(self, network: str, paradigm: str, seed: int) -> tuple[str, ...]:
        """The surrogate of a seed, or the members of the ensemble of that name: of that seed and those after it."""
        if (ensemble := self.protocol.ensembles.get(paradigm)) is None:
            return (self.checkpoint(network, paradigm, seed),)
        return tuple(
            self.checkpoint(network, name, member % len(self.protocol.seeds.of(name)))
            for name in self._members(paradigm)
            for member in range(seed, seed + ensemble.seeds)
        )

    def _members(self, ensemble: str) -> list[str]:
        return [self.protocol.roles.get(name, name) for name in self.protocol.ensembles[ensemble].paradigms]

    def _images(self, attack: str) -> int:
        """On how many test images an attack is tried."""
        return self.protocol.attack.images.get(attack, self.protocol.evaluation.images)

    def ensemble(self, name: str) -> EnsembleSettings:
        """The surrogates of that name that are attacked as one.

        Raises:
            UserError: the protocol has no such ensemble.
        """
        if name not in self.protocol.ensembles:
            known = [*self.protocol.ensembles, *self.config.paradigms]
            raise UserError(
                f"config/protocols/{self.name}.yaml has no ensemble {name!r}, nor is there such a paradigm, but a "
                f"supplementary row has it as surrogates: {suggest(name, ['standard', 'same', *known])}"
            )
        return self.protocol.ensembles[name]

    def _crafted(self, network: str, paradigm: str, attack: str, seed: int) -> dict[str, str]:
        """The names of a TAE set."""
        return {"protocol": self.name, "network": network, "paradigm": paradigm, "seed": str(seed), "attack": attack}

    def helper_of(self, kind: str, name: str) -> str | None:
        """The variant of the helper network that an attack or a purifier consults in this protocol."""
        variant: Variant = getattr(self.config, kind)[name]
        role = self.variants.class_of(kind, name).helper_role if variant.implemented else None
        return role and self.variant_of_role("helpers", role)

    def substitutes(self, names: Sequence[tuple[str, str]]) -> dict[str, list[str]]:
        """For captions: label of a helper network that stands in for another -> labels of those that consult it.

        Args:
            names: kind and name of attacks and preprocessing.
        """
        found: dict[str, list[str]] = {}
        for kind, name in names:
            helper = self.helper_of(kind, name)
            if helper and self.config.helpers[helper].substitute:
                found.setdefault(self.config.helpers[helper].label, []).append(getattr(self.config, kind)[name].label)
        return found

    def _helper_input(self, kind: str, name: str) -> Inputs:
        helper = self.helper_of(kind, name)
        return {"helper": (self.helper(helper),)} if helper else {}

    def helper(self, name: str) -> str:
        """A helper network, trained on the protocol's images or imported from a file."""
        method = self.variants.resolve("helpers", name, self.name)
        helper = HELPERS.instance(method.parameters)
        self._refuse_odd_images(name, helper.side_multiple)
        inputs: dict[str, tuple[str, ...]] = {}
        shown: dict[str, int | None] = {}
        if isinstance(helper, TrainedHelper):
            shown["images"] = self.protocol.training_images
            inputs["train"] = (self.dataset("train"),)
            if helper.teacher is not None:
                inputs["teacher"] = (self._teacher(name, helper.teacher),)
        parameters = recipes.HelperParameters(
            helper=method.parameters,
            image_size=self.config.datasets[self.protocol.dataset].image_size,
            threads=self.protocol.threads,
            **shown,
        )
        names = {"protocol": self.name, "helper": name, "objective": helper.objective}
        return self._add(kinds.HELPER, names, parameters, inputs, {"helper": method})

    def _teacher(self, helper: str, network: str) -> str:
        if network not in self.config.networks:
            raise UserError(
                f"{self.config.helpers[helper].file}: {helper} learns from the network {network!r}, which does not "
                f"exist: {suggest(network, self.config.networks)}"
            )
        return self.checkpoint(network, STANDARD, 0)

    def _purified(self, kind: Kind, names: Names, source: str, images: int) -> str:
        """A TAE set, or the clean test set, after an expensive purifier."""
        if (path := kind.path(names)) in self.plan.artifacts:
            return path
        purifier = names["purifier"]
        method = self.variants.resolve("preprocessing", purifier, self.name)
        parameters = recipes.PurifiedParameters(
            purifier=method.parameters,
            batch_size=self.protocol.attack.batch_size,
            images=images,
            threads=self.protocol.threads,
        )
        inputs = {
            "images": (source,),
            **({"test": (self.dataset("test"),)} if kind is kinds.PURIFIED else {}),
            **self._helper_input("preprocessing", purifier),
        }
        return self._add(kind, names, parameters, inputs, {"purifier": method})

    def cell(self, surrogates: str, attack: str, column: str, victim: str, preprocessing: str | None) -> str:
        """One table cell: the accuracy of every victim on every surrogate's TAE set (Eq. 5-7)."""
        stored = preprocessing is not None and self._is_stored(preprocessing)
        cheap = None
        if preprocessing is not None and not stored:
            cheap = self.variants.resolve("preprocessing", preprocessing, self.name)
        evaluation = self.protocol.evaluation
        networks, seeds = self.networks_and_seeds(victim)
        if attack != CLEAN:
            seeds = self._matched(seeds, surrogates)
        parameters = recipes.CellParameters(
            surrogates=surrogates,
            attack=attack,
            column=column,
            networks=self.protocol.networks,
            seeds=seeds,
            preprocessing=cheap.parameters if cheap else None,
            images=self._images(attack),
            batch_size=evaluation.batch_size,
            block=self.protocol.attack.batch_size,
            threads=self.protocol.threads,
            **({"victims": networks} if networks != self.protocol.networks else {}),
        )
        inputs = {
            "victims": self._checkpoints(networks, victim, seeds),
            "images": self._image_sets(surrogates, attack, preprocessing if stored else None, seeds),
            "test": (self.dataset("test"),),
        }
        names = {"protocol": self.name, "surrogates": surrogates, "attack": attack, "column": column}
        return self._add(kinds.CELL, names, parameters, inputs, {"preprocessing": cheap} if cheap else {})

    def _matched(self, victims: Sequence[int], surrogates: str) -> list[int]:
        """The seeds that both have: surrogates of a seed attack victims of that seed, as in the paper, where undefended
        victims are the surrogates."""
        trained = self._members(surrogates) if surrogates in self.protocol.ensembles else [surrogates]
        fewest = min(len(self.protocol.seeds.of(paradigm)) for paradigm in trained)
        return [seed for seed in victims if seed < fewest]

    def _evaluation(self) -> dict[str, Any]:
        evaluation = self.protocol.evaluation
        return {
            "images": evaluation.images,
            "batch_size": evaluation.batch_size,
            "threads": self.protocol.threads,
        }

    def variant_of_role(self, kind: str, name: str) -> str:
        """The variant of a kind that a role stands for in this protocol; other names stand for themselves."""
        variant = self.protocol.roles.get(name, name)
        if variant not in getattr(self.config, kind):
            raise UserError(
                f"config/protocols/{self.name}.yaml: roles has no {name}, which tables of this protocol ask for: add "
                f"`{name}: <one of config/{kind}>`"
            )
        return variant

    def changes(self, kind: str, names: Sequence[str]) -> list[Change]:
        """What the protocol's overrides change in some variants, for captions."""
        declared = getattr(self.config, kind)
        overrides = getattr(self.protocol.overrides, kind)
        return [
            Change(
                label=declared[name].label,
                parameter=parameter,
                declared=declared[name].parameters.get(parameter),
                value=value,
            )
            for name in dict.fromkeys(names)
            for parameter, value in sorted(overrides.get(name, {}).items())
        ]

    def facts(self) -> Facts:
        """What captions and comparisons say about the protocol."""
        dataset = self.config.datasets[self.protocol.dataset]
        return Facts(
            name=self.name,
            dataset=dataset.label,
            note=dataset.note,
            classes=dataset.classes,
            networks={name: self.config.networks[name].label for name in self.protocol.networks},
            eps=str(self.protocol.attack.eps),
            steps=self.protocol.attack.steps,
            images=self.protocol.evaluation.images,
            fewer_images=self.protocol.attack.images,
            epochs=self.protocol.training.epochs,
            sanity=self.protocol.sanity,
        )

    def _is_stored(self, preprocessing: str) -> bool:
        implemented = self.config.preprocessing[preprocessing].implemented
        return implemented and bool(self.variants.class_of("preprocessing", preprocessing).stored)

    def _checkpoints(self, networks: Sequence[str], paradigm: str, seeds: Sequence[int]) -> tuple[str, ...]:
        return tuple(self.checkpoint(network, paradigm, seed) for seed in seeds for network in networks)

    def _image_sets(self, surrogates: str, attack: str, purifier: str | None, seeds: Sequence[int]) -> tuple[str, ...]:
        """The test images, or those of every surrogate, seed by seed."""
        if attack == CLEAN:
            test, count = self.dataset("test"), self.protocol.evaluation.images
            if purifier is None:
                return (test,)
            return (self._purified(kinds.PURIFIED_CLEAN, {"protocol": self.name, "purifier": purifier}, test, count),)
        sets = []
        for seed, network in product(seeds, self.protocol.networks):
            tae = self.tae(network, surrogates, attack, seed)
            if purifier is not None:
                names = {**self._crafted(network, surrogates, attack, seed), "purifier": purifier}
                tae = self._purified(kinds.PURIFIED, names, tae, self._images(attack))
            sets.append(tae)
        return tuple(sets)

    def _refuse_small_images(self, network: str, asker: str) -> None:
        variant = self.config.networks[network]
        size = self.config.datasets[self.protocol.dataset].image_size
        smallest = NETWORKS[variant.class_].smallest_image if variant.implemented else 0
        if size < smallest:
            raise UserError(
                f"{asker}: {network} needs images of at least {smallest} px, but {self.protocol.dataset} has {size} "
                "px: choose another network"
            )

    def _refuse_odd_images(self, helper: str, side_multiple: int) -> None:
        size = self.config.datasets[self.protocol.dataset].image_size
        if size % side_multiple:
            raise UserError(
                f"config/protocols/{self.name}.yaml: {helper} takes images whose side is a multiple of {side_multiple} "
                f"px, but {self.protocol.dataset} has {size} px: let roles name another helper network"
            )

    def _add(
        self, kind: Kind, names: Names, parameters: KindParameters, inputs: Inputs, algorithms: dict[str, Resolved]
    ) -> str:
        versions = {"stage": kind.version}
        for role, algorithm in algorithms.items():
            versions |= {role: algorithm.version, **{f"{role}.{k}": v for k, v in algorithm.components.items()}}
        obstacles = [a.obstacle for a in algorithms.values() if a.obstacle]
        obstacle = obstacles[0] if obstacles else None
        return self.plan.add(Artifact(kind, names, parameters, versions, inputs, obstacle=obstacle))
