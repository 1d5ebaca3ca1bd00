"""Builders of studies of one protocol's networks: triggers, flipped triggers, examples, theorems, costs, attacks."""

from __future__ import annotations

from trigger_activation.errors import UserError
from trigger_activation.plan import kinds, recipes
from trigger_activation.plan.artifacts import STUDY_BLOCKS
from trigger_activation.plan.config.values import CLEAN, STANDARD, WHITE_BOX
from trigger_activation.plan.graph import Inputs
from trigger_activation.plan.informed import InformedStudies
from trigger_activation.plan.kind import Kind
from trigger_activation.plan.layouts import KindParameters, ShownColumn


class ProtocolStudies(InformedStudies):
    """The artifacts of a protocol, and studies of its networks."""

    def shown_cell(self, surrogates: str, attack: str, column: ShownColumn) -> str:
        """The cell of a column: its surrogates are those of a paradigm or ensemble, or ``same`` as its victims'."""
        trained_by = {"standard": STANDARD, "same": column.victim}.get(surrogates, surrogates)
        paradigm = CLEAN if attack == CLEAN else trained_by
        return self.cell(paradigm, attack, column.name, column.victim, column.preprocessing)

    def trigger(self, paradigm: str) -> str:
        """Magnitudes and pictures of the triggers of one paradigm (Table XI, Figure 3)."""
        seeds = list(self.protocol.seeds.of(paradigm))
        parameters = recipes.TriggerParameters(paradigm=paradigm, networks=self.protocol.networks, seeds=seeds)
        inputs = {"checkpoints": self._checkpoints(self.protocol.networks, paradigm, seeds)}
        return self._study(kinds.TRIGGER, paradigm, parameters, inputs)

    def flip(self, paradigm: str) -> str:
        """Accuracy and loss while entries of the trigger are flipped (Figure 2)."""
        settings = self.protocol.flip
        if settings is None:
            raise UserError(
                f"config/protocols/{self.name}.yaml has no `flip` settings, which the trigger-flipping figure needs: "
                "add network, fractions and masks"
            )
        parameters = recipes.FlipParameters(paradigm=paradigm, **settings.model_dump(mode="json"), **self._evaluation())
        inputs = {
            "victim": (self.checkpoint(settings.network, paradigm, 0),),
            "test": (self.dataset("test"),),
        }
        return self._study(kinds.FLIP, paradigm, parameters, inputs)

    def concept(self, paradigm: str, attack: str, examples: int) -> str:
        """Examples of what a trigger does (Figure 1): the first network attacked by way of the second."""
        if len(self.protocol.networks) < 2:
            raise UserError(
                f"config/protocols/{self.name}.yaml has a single network, but the figure of the concept shows a "
                "transfer between two: add one to networks, or leave the figure out"
            )
        network, surrogate = self.protocol.networks[:2]
        parameters = recipes.ConceptParameters(
            paradigm=paradigm,
            network=network,
            surrogate=surrogate,
            attack=attack,
            examples=examples,
            **self._evaluation(),
        )
        inputs = {
            "victim": (self.checkpoint(network, paradigm, 0),),
            "undefended": (self.checkpoint(network, STANDARD, 0),),
            "adversarial": (self.tae(surrogate, STANDARD, attack),),
            "test": (self.dataset("test"),),
        }
        return self._study(kinds.CONCEPT, paradigm, parameters, inputs)

    def theory(self, paradigm: str, attack: str) -> str:
        """What Theorems 1 and 2 assume and conclude, on all networks of the first seed."""
        networks = self.protocol.networks
        parameters = recipes.TheoryParameters(
            paradigm=paradigm,
            networks=networks,
            attack=attack,
            eps=str(self.protocol.attack.eps),
            classes=self.config.datasets[self.protocol.dataset].classes,
            **self._evaluation(),
        )
        inputs = {
            "victims": tuple(self.checkpoint(network, paradigm, 0) for network in networks),
            "adversarial": tuple(self.tae(network, STANDARD, attack) for network in networks),
            "train": (self.dataset("train"),),
            "test": (self.dataset("test"),),
        }
        return self._study(kinds.THEORY, paradigm, parameters, inputs)

    def cost(self, column: str, victim: str, preprocessing: str | None) -> str:
        """Seconds to train one network and milliseconds to classify with it (Table V)."""
        settings = self.protocol.cost
        if settings is None:
            raise UserError(
                f"config/protocols/{self.name}.yaml has no `cost` settings, which the table of costs needs: add "
                "network and batch_sizes"
            )
        method = preprocessing and self.variants.resolve("preprocessing", preprocessing, self.name)
        parameters = recipes.CostParameters(
            column=column,
            **settings.model_dump(mode="json"),
            preprocessing=method.parameters if method else None,
            threads=self.protocol.threads,
        )
        inputs = {
            "victim": (self.checkpoint(settings.network, victim, 0),),
            "test": (self.dataset("test"),),
            **(self._helper_input("preprocessing", preprocessing) if preprocessing else {}),
        }
        algorithms = {"preprocessing": method} if method else {}
        names = {"protocol": self.name, "column": column}
        return self._add(kinds.COST, names, parameters, inputs, algorithms)

    def white_box(self, paradigm: str) -> str:
        """Accuracy of one paradigm's victims under attacks on their own gradients."""
        settings = self.protocol.white_box
        if settings is None:
            raise UserError(
                f"config/protocols/{self.name}.yaml has no `white_box` settings, which white-box rows need: add "
                "`white_box: {images: ...}`"
            )
        seeds = list(self.protocol.seeds.of(paradigm)[: settings.seeds])
        attack = self.variants.resolve("attacks", WHITE_BOX, self.name)
        parameters = recipes.WhiteBoxParameters(
            paradigm=paradigm,
            networks=self.protocol.networks,
            seeds=seeds,
            attack=attack.parameters,
            **settings.model_dump(exclude={"seeds"}),
            batch_size=self.protocol.attack.batch_size,
            block=max(settings.images // STUDY_BLOCKS, 1),
            threads=self.protocol.threads,
        )
        inputs = {
            "victims": self._checkpoints(self.protocol.networks, paradigm, seeds),
            "test": (self.dataset("test"),),
        }
        names = {"protocol": self.name, "paradigm": paradigm}
        return self._add(kinds.WHITE_BOX, names, parameters, inputs, {"attack": attack})

    def _study(self, kind: Kind, paradigm: str, parameters: KindParameters, inputs: Inputs) -> str:
        return self._add(kind, {"protocol": self.name, "paradigm": paradigm}, parameters, inputs, {})
