"""Networks and adversarial images as tensors."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from trigger_activation.api.library import Library, chosen, library, names_of
from trigger_activation.errors import UserError
from trigger_activation.plan import Artifact
from trigger_activation.plan.config.values import STANDARD
from trigger_activation.plan.recipes import TaeParameters
from trigger_activation.science.attacks import ATTACKS
from trigger_activation.science.deployment import DeployedNetwork
from trigger_activation.science.images import largest_change, middle, to_float
from trigger_activation.store.arrays import load_arrays
from trigger_activation.store.checkpoints import load_checkpoint
from trigger_activation.store.tae_sets import TaeSet as TaeFile


@dataclass(frozen=True)
class TaeSet:
    """Adversarial images of one attack on one surrogate, beside the clean ones that they were crafted from."""

    protocol: str
    surrogate: str
    attack: str
    pixels: Tensor
    """uint8 (N, H, W, 3)."""
    clean_pixels: Tensor
    """The same of the clean images."""
    labels: Tensor
    """The true classes, int64 (N,)."""

    @property
    def images(self) -> Tensor:
        """The adversarial images as float32 (N, 3, H, W) in [0, 1]."""
        return to_float(self.pixels)

    @property
    def clean(self) -> Tensor:
        """The clean images as float32 (N, 3, H, W) in [0, 1]."""
        return to_float(self.clean_pixels)

    def __len__(self) -> int:
        """How many images there are."""
        return len(self.labels)


def load_victim(
    protocol: str,
    network: str,
    paradigm: str,
    seed: int = 0,
    *,
    device: str | torch.device = "cpu",
    project: str | Path | None = None,
) -> DeployedNetwork:
    """A network as it is deployed: f_t(x) = f(x + tau), in evaluation mode.

    Args:
        protocol: one of ``config/protocols``.
        network: an architecture of the protocol.
        paradigm: how it was trained, or the protocol's role for that, such as ``fixed`` or ``learnable``.
        seed: of its training.
        device: where it goes.
        project: its folder, see :mod:`trigger_activation.api`.

    Returns:
        A module from images (B, 3, H, W) in [0, 1] to logits (B, classes). Its ``trigger`` is tau (3, H, W) or None,
        its ``network`` the network f without it.

    Raises:
        UserError: there is no such network, or it is not here and not published, or damaged.

    >>> import torch
    >>> from trigger_activation import load_victim
    >>> victim = load_victim("smoke", "vgg-s", "fixed")
    >>> victim(torch.rand(2, 3, 16, 16)).shape
    torch.Size([2, 10])
    >>> round(255 * float(victim.trigger.abs().max()))
    64
    """
    found = library(project)
    asked = {"network": network, "paradigm": found.paradigm(protocol, paradigm), "seed": str(seed)}
    artifact = chosen(found.victims(protocol), asked, f"trained network of {protocol}")
    found.fetch([artifact])
    return load_checkpoint(found.path(artifact), torch.device(device), artifact.settings["network"])


def load_surrogate(
    protocol: str,
    network: str,
    seed: int = 0,
    *,
    paradigm: str = STANDARD,
    device: str | torch.device = "cpu",
    project: str | Path | None = None,
) -> DeployedNetwork:
    """A network that adversarial images were crafted on; undefended unless ``paradigm`` says otherwise.

    Arguments, result and errors are those of :func:`load_victim`.

    >>> import torch
    >>> from trigger_activation import load_surrogate, load_taes
    >>> from trigger_activation.science.attacks.mifgsm import MIFGSM
    >>> surrogate, taes = load_surrogate("smoke", "vgg-s"), load_taes("smoke", "vgg-s", "pgd")
    >>> attack = MIFGSM(eps="16/255", steps=2)
    >>> crafted = attack.perturb(surrogate, taes.clean[:4], taes.labels[:4], torch.Generator().manual_seed(0))
    >>> bool((crafted - taes.clean[:4]).abs().max() <= 16 / 255 + 1e-6)
    True
    """
    return load_victim(protocol, network, paradigm, seed, device=device, project=project)


def load_taes(
    protocol: str,
    surrogate: str,
    attack: str,
    *,
    paradigm: str = STANDARD,
    seed: int = 0,
    project: str | Path | None = None,
) -> TaeSet:
    """The adversarial images of one attack on one surrogate, in the order of the test images.

    Of a set that is not here but published as an excerpt, they are the first ones.

    Args:
        protocol: one of ``config/protocols``.
        surrogate: an architecture of the protocol.
        attack: one of ``config/attacks`` that the protocol's tables show.
        paradigm: how the surrogate was trained, the protocol's role for that, or the name of an ensemble.
        seed: of the surrogate.
        project: its folder, see :mod:`trigger_activation.api`.

    Raises:
        UserError: there is no such set, or it is not here and not published, damaged, or of other test images.

    >>> from trigger_activation import load_taes
    >>> taes = load_taes("smoke", surrogate="vgg-s", attack="mifgsm")
    >>> taes.images.shape, taes.clean.shape, taes.labels.shape
    (torch.Size([100, 3, 16, 16]), torch.Size([100, 3, 16, 16]), torch.Size([100]))
    >>> bool((taes.images - taes.clean).abs().max() <= 16 / 255 + 1e-6)
    True
    """
    found = library(project)
    asked = {
        "network": surrogate,
        "paradigm": found.paradigm(protocol, paradigm),
        "attack": attack,
        "seed": str(seed),
    }
    artifact = chosen(found.taes(protocol), asked, f"TAE set of {protocol}")
    return load_sets(found, protocol, [artifact])[0]


def load_sets(found: Library, protocol: str, artifacts: Sequence[Artifact]) -> list[TaeSet]:
    """Several TAE sets of one protocol, pulled at once.

    Raises:
        UserError: see :func:`load_taes`.
    """
    whole, kept = found.test_images(protocol), [found.nearest_set(each) for each in artifacts]
    test = found.nearest_test_images(protocol, max(each.parameters.images for each in kept))
    record, *_ = found.fetch([test, *kept])
    clean, labels = _labelled(found.path(test), whole.parameters.image_size)
    # An excerpt's record says what it was cut from.
    data_set = record.inputs.get(whole.path, record.sha256)
    return [
        _tae_set(protocol, tae, each.path, TaeFile(found.path(each)), clean, labels, data_set)
        for tae, each in zip(artifacts, kept, strict=True)
    ]


def _labelled(file: Path, image_size: int) -> tuple[Tensor, Tensor]:
    """Test images as networks see them, uint8 (N, H, W, 3), and their labels (N,)."""
    arrays = load_arrays(file, ("images", "labels"))
    return middle(torch.from_numpy(arrays["images"]), image_size), torch.from_numpy(arrays["labels"])


def _tae_set(
    protocol: str, tae: Artifact, path: str, file: TaeFile, clean: Tensor, labels: Tensor, data_set: str
) -> TaeSet:
    count = len(file)
    pixels = file.images(clean[:count], data_set)
    given = tae.parameters
    assert isinstance(given, TaeParameters)
    attack = ATTACKS.instance(given.attack)
    largest = largest_change(pixels, clean[:count])
    if attack.keeps_budget and largest > attack.eps * 255:
        raise UserError(
            f"{path} differs from the test images by {largest}/255 where {float(attack.eps * 255):g}/255 are "
            "allowed, as if it were of another data set: delete it and pull it or make it again"
        )
    names = names_of(tae)
    return TaeSet(protocol, names["network"], names["attack"], pixels, clean[:count], labels[:count])
