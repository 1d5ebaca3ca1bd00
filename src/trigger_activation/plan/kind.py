"""What one kind of artifact is; the rows are in ``kinds.py``."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from pydantic import TypeAdapter

from trigger_activation.plan.contents import Content

Names = Mapping[str, str]
"""The names in an artifact's path: wildcard -> value."""
EACH_TABLE = "each table"
"""In place of roles: the inputs' roles are the names of the tables that they belong to."""


@dataclass(frozen=True)
class Kind:
    """One kind of artifact."""

    name: str
    """In recipes, records and messages."""
    pattern: str
    """Of its path, with a wildcard for each of its names; each is a slug without double underscores."""
    stage: str
    """``module:function`` that makes it, below the package."""
    version: int
    """Raised when code that its stage shares between algorithms computes something else."""
    parameters: Any
    """The model of its parameters, or a union of models."""
    roles: tuple[str, ...] = ()
    """Of its inputs, in the order in which its rule names them."""
    companions: tuple[str, ...] = ()
    """Patterns of further files that the same job writes and that belong to it."""
    by_products: tuple[str, ...] = ()
    """Patterns of files that the same job writes and that it is complete without."""
    content: type[Content] | None = None
    """The model of what it holds, if it is JSON."""
    plural: str = ""
    """What people call several of them; its name unless given."""
    variant: str = ""
    """Pattern of the part of its names that says what its parameters are."""
    setting: str = ""
    """Pattern of the title under which the page shows its parameters."""
    instance: str = "{network}"
    """Pattern of what tells two settings of one title apart."""
    place: int = 4
    """Among the settings behind a cell: what a reader asks for first comes first."""
    runs_networks: bool = False
    """Whether its job takes a GPU where there is one."""
    weight: float | None = None
    """Roughly how long a job takes beside those of other kinds; of use until some have been timed. Data sets have none:
    they are the first jobs, whose time is mostly that of warming up the workers."""
    watches: tuple[str, ...] = ()
    """Modules of ``science`` that its stage uses for all algorithms; its bytes depend on them and on what they import.
    """
    rule: str = ""
    """Its rule in ``workflow/rules``; named after the kind unless given."""

    @property
    def rule_name(self) -> str:
        """The rule that makes it."""
        return self.rule or self.name

    @cached_property
    def wildcards(self) -> frozenset[str]:
        """The names in its pattern."""
        return frozenset(re.findall(r"{(\w+)}", self.pattern))

    @property
    def group(self) -> str:
        """Its first name: the protocol, data set or experiment that it belongs to."""
        return self.pattern.partition("{")[2].partition("}")[0]

    @property
    def folder(self) -> str:
        """What all its paths begin with, such as ``results/checkpoints``."""
        return self.pattern.partition("/{")[0]

    @property
    def is_rendered(self) -> bool:
        """Whether it is for readers, made of cells alone and without torch."""
        return self.pattern.startswith("paper_tables/")

    @property
    def is_in_git(self) -> bool:
        """Whether git tracks it; such files hold nothing that differs between machines."""
        return self.is_rendered or self.content is not None

    @property
    def outputs(self) -> tuple[str, ...]:
        """Patterns of the outputs of its rule. A record that lies beside what git tracks is one of them."""
        record = (f"{self.pattern}.prov.json",) if self.is_rendered and self.content is None else ()
        return (self.pattern, *self.companions, *self.by_products, *record)

    def has_role(self, role: str) -> bool:
        """Whether it has inputs of a role."""
        return role in self.roles or EACH_TABLE in self.roles

    def path(self, names: Names) -> str:
        """Where the artifact with these names lies."""
        return self.pattern.format(**names)

    def parsed(self, parameters: Mapping[str, Any]) -> Any:
        """The frozen model of parameters that a spec or a record holds."""
        return self._adapter.validate_python(parameters)

    @cached_property
    def _adapter(self) -> TypeAdapter[Any]:
        return TypeAdapter(self.parameters)

    def pattern_regex(self, constraints: Mapping[str, str]) -> re.Pattern[str]:
        """What paths of this kind look like, its wildcards constrained as its rule's are."""
        return _regex(self.pattern, constraints)

    def output_regexes(self, constraints: Mapping[str, str]) -> list[re.Pattern[str]]:
        """The same of all outputs of its rule."""
        return [_regex(pattern, constraints) for pattern in self.outputs]


def _regex(pattern: str, constraints: Mapping[str, str]) -> re.Pattern[str]:
    parts = re.split(r"{(\w+)}", pattern)
    texts = (f"(?:{constraints[part]})" if index % 2 else re.escape(part) for index, part in enumerate(parts))
    return re.compile("".join(texts))
