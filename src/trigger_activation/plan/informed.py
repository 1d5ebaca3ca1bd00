"""Builders of studies of attackers who know more than a surrogate: the victim, or its trigger."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from trigger_activation.errors import UserError
from trigger_activation.plan import kinds, recipes
from trigger_activation.plan.artifacts import STUDY_BLOCKS, ProtocolArtifacts
from trigger_activation.plan.config.schema import InformedSettings
from trigger_activation.plan.config.tables import SupplementaryRow
from trigger_activation.plan.config.values import STANDARD, Knowledge
from trigger_activation.plan.graph import Inputs
from trigger_activation.plan.layouts import ShownColumn
from trigger_activation.plan.variants import Resolved
from trigger_activation.science.attacks import ATTACKS
from trigger_activation.science.networks import NETWORKS
from trigger_activation.science.training.paradigms.fixed_trigger import TriggerActivation


@dataclass(frozen=True)
class Known:
    """What a study needs of what its attacker knows."""

    parameters: dict[str, Any] = field(default_factory=dict)
    inputs: Inputs = field(default_factory=dict)
    algorithms: dict[str, Resolved] = field(default_factory=dict)


class InformedStudies(ProtocolArtifacts):
    """The artifacts of a protocol, and studies of attackers who know more than a surrogate."""

    def informed(self, knows: Knowledge, attack: str, column: ShownColumn) -> str:
        """Accuracy of one column's victims under such an attacker."""
        settings = self._informed_settings()
        method = self._attack_on_any_network(attack)
        seeds = list(self.protocol.seeds.of(column.victim)[: settings.seeds])
        known = self._known(knows, column, seeds)
        images = settings.fewer_images.get(attack, settings.images)
        block = max(images // STUDY_BLOCKS, 1)
        parameters = recipes.InformedParameters(
            knows=knows,
            attack=attack,
            algorithm=method.parameters,
            column=column.name,
            networks=self.protocol.networks,
            seeds=seeds,
            **known.parameters,
            images=images,
            batch_size=min(self.protocol.attack.batch_size, block),
            block=block,
            threads=self.protocol.threads,
        )
        inputs = {
            "victims": self._checkpoints(self.protocol.networks, column.victim, seeds),
            **known.inputs,
            "test": (self.dataset("test"),),
        }
        names = {"protocol": self.name, "knows": knows, "attack": attack, "column": column.name}
        return self._add(kinds.INFORMED, names, parameters, inputs, {"attack": method, **known.algorithms})

    def informed_facts(
        self, rows: Sequence[SupplementaryRow], columns: Sequence[ShownColumn]
    ) -> InformedSettings | None:
        """For captions: the settings as far as a table's rows show them, labels in place of names."""
        attacks = list(dict.fromkeys(row.attack for row in rows if row.attack is not None and row.knows is not None))
        if not attacks:
            return None
        settings, shown = self._informed_settings(), {column.preprocessing for column in columns}
        images = {self.config.attacks[name].label: settings.fewer_images.get(name, settings.images) for name in attacks}
        most = max(images.values())
        return settings.model_copy(
            update={
                "images": most,
                "fewer_images": {label: count for label, count in images.items() if count < most},
                "bpda": [self.config.preprocessing[name].label for name in self._by_bpda() if name in shown],
            }
        )

    def _informed_settings(self) -> InformedSettings:
        settings = self.protocol.informed
        if settings is None:
            raise UserError(
                f"config/protocols/{self.name}.yaml has no `informed` settings, which rows with `knows` need: add "
                "`informed: {images: ...}`"
            )
        return settings

    def _by_bpda(self) -> list[str]:
        """Preprocessing whose gradient counts as the identity's, roles replaced."""
        return [self.protocol.roles.get(name, name) for name in self._informed_settings().bpda]

    def _attack_on_any_network(self, attack: str) -> Resolved:
        method = self.variants.resolve("attacks", attack, self.name)
        if method.obstacle:
            return method
        tool = ATTACKS.instance(method.parameters)
        variants = [self.config.networks[name] for name in self.protocol.networks]
        families = [NETWORKS[variant.class_](**variant.parameters) for variant in variants if variant.implemented]
        if tool.helper_role or any(tool.for_network(family) != tool for family in families):
            raise UserError(
                f"{self.config.attacks[attack].file}: {attack} looks at a helper network or a layer, which rows with "
                "`knows` have no place for: choose another attack"
            )
        return method

    def _known(self, knows: Knowledge, column: ShownColumn, seeds: Sequence[int]) -> Known:
        if knows == "victim":
            return self._preprocessing_of(column)
        self._refuse_known_trigger(column)
        return self._undefended(seeds) if knows == "trigger" else self._trainings()

    def _preprocessing_of(self, column: ShownColumn) -> Known:
        """The preprocessing in front of the victims, if there is one."""
        name = column.preprocessing
        if name is None:
            return Known()
        method = self.variants.resolve("preprocessing", name, self.name)
        given = {"preprocessing": method.parameters, **({"bpda": True} if name in self._by_bpda() else {})}
        return Known(given, self._helper_input("preprocessing", name), {"preprocessing": method})

    def _undefended(self, seeds: Sequence[int]) -> Known:
        """The surrogates of the victims' seeds."""
        return Known(inputs={"surrogates": self._checkpoints(self.protocol.networks, STANDARD, seeds)})

    def _trainings(self) -> Known:
        """How surrogates are trained with a trigger that is known."""
        dataset = self.config.datasets[self.protocol.dataset]
        architectures = {f"network {name}": self.variants.resolve("networks", name) for name in self.protocol.networks}
        training = recipes.KnownTriggerTraining(
            architectures=[architecture.parameters for architecture in architectures.values()],
            training=self.protocol.training,
            images=self.protocol.training_images,
            classes=dataset.classes,
            image_size=dataset.image_size,
        )
        return Known({"training": training}, {"train": (self.dataset("train"),)}, architectures)

    def _refuse_known_trigger(self, column: ShownColumn) -> None:
        """Refuse victims without a trigger, and a protocol without surrogates of another architecture."""
        paradigm = self.variants.class_of("paradigms", column.victim)
        if not issubclass(paradigm, TriggerActivation):
            raise UserError(
                f"config/protocols/{self.name}.yaml: a row knows the trigger of {column.full}, whose networks have "
                "none: leave that column out, or give the row a table of its own"
            )
        if len(self.protocol.networks) < 2:
            raise UserError(
                f"config/protocols/{self.name}.yaml has a single network, but rows that know the trigger attack by way "
                "of another architecture: add one to networks, or leave the rows out"
            )
