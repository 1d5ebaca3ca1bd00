"""Builders of studies of one protocol's networks: triggers, flipped triggers, examples, theorems, costs, attacks."""

from __future__ import annotations

from trigger_activation.errors import UserError
from trigger_activation.plan import paths
from trigger_activation.plan.artifacts import ProtocolArtifacts
from trigger_activation.plan.config.schema import STANDARD, WHITE_BOX


class ProtocolStudies(ProtocolArtifacts):
    """The artifacts of a protocol, and studies of its networks."""

    def trigger(self, paradigm: str) -> str:
        """Magnitudes and pictures of the triggers of one paradigm (Table XI, Figure 3)."""
        seeds = list(self.protocol.seeds.of(paradigm))
        parameters = {"paradigm": paradigm, "networks": self.protocol.networks, "seeds": seeds}
        path = paths.measured(self.name, "trigger", paradigm)
        return self._add(
            path, "trigger", parameters, {"checkpoints": self._checkpoints(self.protocol.networks, paradigm, seeds)}, {}
        )

    def flip(self, paradigm: str) -> str:
        """Accuracy and loss while entries of the trigger are flipped (Figure 2)."""
        settings = self.protocol.flip
        if settings is None:
            raise UserError(
                f"config/protocols/{self.name}.yaml has no `flip` settings, which the trigger-flipping figure needs: "
                "add network, fractions and masks"
            )
        parameters = {
            "paradigm": paradigm,
            **settings.model_dump(mode="json"),
            **self._evaluation(),
        }
        inputs = {
            "victim": (self.checkpoint(settings.network, paradigm, 0),),
            "test": (self.dataset("test"),),
        }
        return self._add(paths.measured(self.name, "flip", paradigm), "flip", parameters, inputs, {})

    def concept(self, paradigm: str, attack: str, examples: int) -> str:
        """Examples of what a trigger does (Figure 1): the first network attacked by way of the second."""
        if len(self.protocol.networks) < 2:
            raise UserError(
                f"config/protocols/{self.name}.yaml has a single network, but the figure of the concept shows a "
                "transfer between two: add one to networks, or leave the figure out"
            )
        network, surrogate = self.protocol.networks[:2]
        parameters = {
            "paradigm": paradigm,
            "network": network,
            "surrogate": surrogate,
            "attack": attack,
            "examples": examples,
            **self._evaluation(),
        }
        inputs = {
            "victim": (self.checkpoint(network, paradigm, 0),),
            "undefended": (self.checkpoint(network, STANDARD, 0),),
            "adversarial": (self.tae(surrogate, STANDARD, attack),),
            "test": (self.dataset("test"),),
        }
        return self._add(paths.measured(self.name, "concept", paradigm), "concept", parameters, inputs, {})

    def theory(self, paradigm: str, attack: str) -> str:
        """What Theorems 1 and 2 assume and conclude, on all networks of the first seed."""
        networks = self.protocol.networks
        parameters = {
            "paradigm": paradigm,
            "networks": networks,
            "attack": attack,
            "eps": str(self.protocol.attack.eps),
            "classes": self.config.datasets[self.protocol.dataset].classes,
            **self._evaluation(),
        }
        inputs = {
            "victims": tuple(self.checkpoint(network, paradigm, 0) for network in networks),
            "adversarial": tuple(self.tae(network, STANDARD, attack) for network in networks),
            "train": (self.dataset("train"),),
            "test": (self.dataset("test"),),
        }
        return self._add(paths.measured(self.name, "theory", paradigm), "theory", parameters, inputs, {})

    def cost(self, column: str, victim: str, preprocessing: str | None) -> str:
        """Seconds to train one network and milliseconds to classify with it (Table V)."""
        settings = self.protocol.cost
        if settings is None:
            raise UserError(
                f"config/protocols/{self.name}.yaml has no `cost` settings, which the table of costs needs: add "
                "network and batch_sizes"
            )
        method = preprocessing and self.variants.resolve("preprocessing", preprocessing, self.name)
        parameters = {
            "column": column,
            **settings.model_dump(mode="json"),
            "preprocessing": method.parameters if method else None,
            "threads": self.protocol.threads,
        }
        inputs = {
            "victim": (self.checkpoint(settings.network, victim, 0),),
            "test": (self.dataset("test"),),
            **(self._helper_input("preprocessing", preprocessing) if preprocessing else {}),
        }
        algorithms = {"preprocessing": method} if method else {}
        return self._add(paths.measured(self.name, "cost", column), "cost", parameters, inputs, algorithms)

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
        parameters = {
            "paradigm": paradigm,
            "networks": self.protocol.networks,
            "seeds": seeds,
            "attack": attack.parameters,
            **settings.model_dump(exclude={"seeds"}),
            "batch_size": self.protocol.attack.batch_size,
            "bootstrap": self.protocol.evaluation.bootstrap,
            "threads": self.protocol.threads,
        }
        inputs = {
            "victims": self._checkpoints(self.protocol.networks, paradigm, seeds),
            "test": (self.dataset("test"),),
        }
        path = paths.measured(self.name, "whitebox", paradigm)
        return self._add(path, "whitebox", parameters, inputs, {"attack": attack})
