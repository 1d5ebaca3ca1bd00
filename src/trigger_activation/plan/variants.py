"""Variants resolved: config names turned into complete, checked parameters."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from trigger_activation.errors import UserError
from trigger_activation.parameters import Parameters, resolved
from trigger_activation.plan.config.loader import validate
from trigger_activation.plan.config.schema import Config, Protocol, Variant
from trigger_activation.registry import Registry
from trigger_activation.science.attacks import ATTACKS
from trigger_activation.science.datasets import DATASETS
from trigger_activation.science.helpers import HELPERS
from trigger_activation.science.networks import NETWORKS
from trigger_activation.science.preprocessing import PREPROCESSING
from trigger_activation.science.training.paradigms import PARADIGMS

REGISTRIES: Mapping[str, Registry[Any]] = {
    "datasets": DATASETS,
    "networks": NETWORKS,
    "paradigms": PARADIGMS,
    "attacks": ATTACKS,
    "preprocessing": PREPROCESSING,
    "helpers": HELPERS,
}


@dataclass(frozen=True)
class Resolved:
    """A variant with every parameter filled in."""

    parameters: dict[str, Any]
    """JSON values, the class's name among them."""
    version: int
    obstacle: str | None
    components: Mapping[str, int] = field(default_factory=dict)
    """Versions of the classes that the class computes with."""


class Variants:
    """Resolves variants and remembers which ones were used."""

    def __init__(self, config: Config) -> None:
        self.config = config
        self.used: set[tuple[str, str]] = set()
        self.used_overrides: set[tuple[str, str, str]] = set()
        self._resolved: dict[tuple[str, str, str | None], Resolved] = {}

    def resolve(
        self,
        kind: str,
        name: str,
        protocol_name: str | None = None,
        complete: Callable[[Any], Parameters] | None = None,
    ) -> Resolved:
        """Parameters of a variant: those of its entry, then the protocol's overrides and threat model.

        Args:
            kind: the folder of config that declares it.
            name: the variant.
            protocol_name: whose overrides apply.
            complete: fills in what depends on where the variant is used.

        Raises:
            UserError: the class is unknown, or it does not take these parameters.
        """
        if complete is not None:
            return self._resolve(kind, name, protocol_name, complete)
        key = (kind, name, protocol_name)
        if key not in self._resolved:
            self._resolved[key] = self._resolve(kind, name, protocol_name, lambda parameters: parameters)
        return self._resolved[key]

    def _resolve(
        self, kind: str, name: str, protocol_name: str | None, complete: Callable[[Any], Parameters]
    ) -> Resolved:
        self.used.add((kind, name))
        variant: Variant = getattr(self.config, kind)[name]
        given = dict(variant.parameters)
        protocol = self.config.protocols[protocol_name] if protocol_name else None
        if protocol is not None and protocol_name is not None:
            self.used_overrides.add((protocol_name, kind, name))
            given |= getattr(protocol.overrides, kind, {}).get(name, {})
        if not variant.implemented:
            obstacle = f"{name} is declared in {variant.file} but not implemented yet: leave it out for now"
            return Resolved({"class": variant.class_, **given}, 0, obstacle)
        where = variant.file + (f" (with the overrides of protocol {protocol_name})" if protocol else "")
        cls = self.class_of(kind, name)
        parameters = complete(validate(cls, self._with_threat_model(cls, given, protocol), where, f"{name}.parameters"))
        components = {component.registered_name: component.version for component in cls.components}
        return Resolved({"class": variant.class_, **resolved(parameters)}, cls.version, None, components)

    def class_of(self, kind: str, name: str) -> type[Any]:
        """The registered class of a variant that is implemented.

        Raises:
            UserError: there is no such class.
        """
        variant: Variant = getattr(self.config, kind)[name]
        try:
            return REGISTRIES[kind][variant.class_]
        except UserError as error:
            raise UserError(f"{variant.file}: {name}.class: {error}") from None

    @staticmethod
    def _with_threat_model(cls: type[Parameters], given: dict[str, Any], protocol: Protocol | None) -> dict[str, Any]:
        if protocol is None:
            return given
        given_by_protocol = protocol.attack.model_dump(include={"eps", "steps", "memory_mib"})
        shared = {key: value for key, value in given_by_protocol.items() if key in cls.model_fields}
        return {**shared, **given}

    def unused(self) -> list[str]:
        """A sentence about each declared variant and victim that takes part in no experiment and is not offered."""
        return [
            f"{declared.file} declares {name}, which no experiment uses: name it in a protocol or a table, under "
            "`offered` in config/config.yaml, or remove it"
            for kind in (*REGISTRIES, "victims")
            for name, declared in getattr(self.config, kind).items()
            if (kind, name) not in self.used and name not in self.config.offered.get(kind, ())
        ]

    def check_overrides(self) -> None:
        """Every override takes part in some experiment.

        Raises:
            UserError: naming the first that does not.
        """
        for protocol_name, protocol in self.config.protocols.items():
            for kind in type(protocol.overrides).model_fields:
                for name in getattr(protocol.overrides, kind):
                    if (protocol_name, kind, name) not in self.used_overrides:
                        raise UserError(
                            f"config/protocols/{protocol_name}.yaml: overrides.{kind}.{name} changes a variant "
                            "that this protocol never uses: remove it"
                        )
