"""What a project has to load."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from trigger_activation.api.library import Library, library, names_of


@dataclass(frozen=True)
class VictimName:
    """A network that can be loaded, by what :func:`load_victim` takes."""

    protocol: str
    network: str
    paradigm: str
    seed: int
    here: bool
    """Whether its file is here; others are pulled if they are published."""


@dataclass(frozen=True)
class TaeName:
    """A set of adversarial images that can be loaded, by what :func:`load_taes` takes."""

    protocol: str
    surrogate: str
    attack: str
    paradigm: str
    """How the surrogate was trained, or the name of an ensemble of surrogates."""
    seed: int
    here: bool
    """Whether it or its excerpt is here; others are pulled if they are published."""


def list_victims(protocol: str | None = None, *, project: str | Path | None = None) -> list[VictimName]:
    """The networks that a protocol evaluates.

    Args:
        protocol: one of ``config/protocols``; all of them unless given.
        project: its folder, see :mod:`trigger_activation.api`.

    Raises:
        UserError: there is no such protocol or project.

    >>> from trigger_activation import list_victims
    >>> victims = list_victims("smoke")
    >>> sorted({victim.network for victim in victims})
    ['resnet18-xs', 'vgg-s']
    >>> [victim.seed for victim in victims if victim.network == "vgg-s" and victim.paradigm == "fixed_64"]
    [0, 1]
    """
    found = library(project)
    return [
        VictimName(each.group, names["network"], names["paradigm"], int(names["seed"]), found.is_here(each))
        for name in _protocols(found, protocol)
        for each in found.victims(name)
        for names in [names_of(each)]
    ]


def list_taes(protocol: str | None = None, *, project: str | Path | None = None) -> list[TaeName]:
    """The sets of adversarial images of a protocol.

    Args:
        protocol: one of ``config/protocols``; all of them unless given.
        project: its folder, see :mod:`trigger_activation.api`.

    Raises:
        UserError: there is no such protocol or project.

    >>> from trigger_activation import list_taes
    >>> listed = [taes for taes in list_taes("smoke") if taes.surrogate == "vgg-s" and taes.paradigm == "fixed_64"]
    >>> [(taes.attack, taes.seed) for taes in listed]
    [('pgd', 0), ('pgd', 1)]
    """
    found = library(project)
    return [
        TaeName(each.group, names["network"], names["attack"], names["paradigm"], int(names["seed"]), here)
        for name in _protocols(found, protocol)
        for each in found.taes(name)
        for names, here in [(each.names, found.is_here(found.nearest_set(each)))]
    ]


def _protocols(found: Library, protocol: str | None) -> Iterator[str]:
    if protocol is not None:
        found.protocol(protocol)
    yield from found.config.protocols if protocol is None else (protocol,)
