"""Registries: config names a class, a decorator on the class makes the name known.

One algorithm is one module. Importing the module registers it, and a registry imports every module of its package
(those starting with an underscore are shared helpers) the first time it is asked for a name.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Generic, TypeVar

from trigger_activation.errors import UserError, suggest
from trigger_activation.parameters import Parameters

P = TypeVar("P", bound=Parameters)


class Registry(Generic[P]):
    """The classes of one kind, by the name that config uses."""

    def __init__(self, kind: str, package: str) -> None:
        self.kind = kind
        self.package = package
        self._classes: dict[str, type[P]] = {}
        self._loaded = False

    def register(self, name: str, *, version: int) -> Callable[[type[P]], type[P]]:
        """Class decorator: make the class known as ``name``; a name given twice is an error."""

        def decorate(cls: type[P]) -> type[P]:
            if name in self._classes:
                raise ValueError(f"{self.kind} {name!r} is registered twice")
            cls.registered_name, cls.version = name, version
            self._classes[name] = cls
            return cls

        return decorate

    def modules(self) -> Iterator[str]:
        """Dotted names of the package's algorithm modules."""
        package = importlib.import_module(self.package)
        for info in pkgutil.iter_modules(package.__path__):
            if not info.name.startswith("_"):
                yield f"{self.package}.{info.name}"

    def names(self) -> list[str]:
        """All registered names, sorted."""
        self._load()
        return sorted(self._classes)

    def __getitem__(self, name: str) -> type[P]:
        self._load()
        if name not in self._classes:
            raise UserError(f"there is no {self.kind} class {name!r}: {suggest(name, self.names())}")
        return self._classes[name]

    def instance(self, parameters: Mapping[str, Any]) -> P:
        """The class that a recipe names, with its parameters."""
        arguments = dict(parameters)
        return self[arguments.pop("class")](**arguments)

    def _load(self) -> None:
        if not self._loaded:
            for module in self.modules():
                importlib.import_module(module)
            self._loaded = True
