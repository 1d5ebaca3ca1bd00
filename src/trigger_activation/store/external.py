"""Files that the user supplies: networks that others trained."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any
from zipfile import is_zipfile

import numpy as np
import safetensors.torch
import torch
from torch import Tensor, nn

from trigger_activation.errors import UserError
from trigger_activation.plan.kinds import EXTERNAL
from trigger_activation.science.deployment import DeployedNetwork
from trigger_activation.store.checkpoints import TRIGGER, build_network, clamps
from trigger_activation.store.records import hash_file

STATE_KEYS = ("state_dict", "model_state_dict", "model", "net")
"""Under which training scripts put the weights, beside the epoch and the optimizer's state."""
WRAPPERS = re.compile(r"(?:(?:module|_orig_mod|network)\.)+")
"""What DataParallel, torch.compile and this project's own checkpoints put in front of all names."""

_SCALAR: Any = np.float64().__reduce__()[0]
NUMPY_NUMBERS: list[Any] = [
    (_SCALAR, "numpy.core.multiarray.scalar"),
    (_SCALAR, "numpy._core.multiarray.scalar"),
    np.dtype,
    *(type(np.dtype(kind)) for kind in ("float32", "float64", "int32", "int64")),
]
"""What makes a number of NumPy (before and since 2.0), such as a learning rate in the state of an optimiser."""


def read_network(file: str, sha256: str | None, description: dict[str, Any]) -> DeployedNetwork:
    """A victim that others trained, with its trigger (3, H, W) if the file has one.

    Args:
        file: its name under ``results/external``.
        sha256: what its bytes must have.
        description: the network that it must hold, as for :func:`build_network`.

    Raises:
        UserError: the file cannot be read (see :func:`read_external`) or does not fit the network.
    """
    content = read_external(file, sha256, "whoever trained it", "config/victims")
    network = build_network(description)
    try:
        trigger = fill(network, _named_tensors(content), description["image_size"])
    except ValueError as error:
        raise UserError(
            f"{EXTERNAL / file} does not fit its network for {description['classes']} classes and images of "
            f"{description['image_size']} px ({error}): correct `network` in config/victims, or show it in tables "
            "of the data that it was trained for"
        ) from None
    path = EXTERNAL / file
    return DeployedNetwork(network, trigger, path.suffix == ".safetensors" and clamps(path))


def fill(network: nn.Module, state: Mapping[str, Tensor], image_size: int) -> Tensor | None:
    """Load named tensors into a network.

    Args:
        network: whose weights are replaced.
        state: all its weights and buffers, perhaps as a wrapper names them, perhaps with a ``trigger``.
        image_size: side of the images in pixels.

    Returns:
        The trigger (3, H, W), or None.

    Raises:
        ValueError: a tensor is missing, unknown, of another shape or type, or not finite.
    """
    own = network.state_dict()
    given = _unwrapped(state, own)
    trigger = None if TRIGGER in own else given.pop(TRIGGER, None)
    _check_fit(given, own)
    if trigger is not None:
        _check_fit({TRIGGER: trigger}, {TRIGGER: torch.empty(3, image_size, image_size)})
    network.load_state_dict(given)
    return None if trigger is None else trigger.float()


def _unwrapped(state: Mapping[str, Tensor], own: Mapping[str, Tensor]) -> dict[str, Tensor]:
    wrapped = all(name == TRIGGER or WRAPPERS.match(name) for name in state)
    if not wrapped or any(WRAPPERS.match(name) for name in own):
        return dict(state)
    return {WRAPPERS.sub("", name, count=1): tensor for name, tensor in state.items()}


def _check_fit(given: Mapping[str, Tensor], expected: Mapping[str, Tensor]) -> None:
    if missing := expected.keys() - given.keys():
        raise ValueError(f"it has no {min(missing)}")
    if unknown := given.keys() - expected.keys():
        raise ValueError(f"the network has no {min(unknown)}")
    for name, tensor in expected.items():
        if given[name].shape != tensor.shape:
            raise ValueError(f"{name} has the shape {list(given[name].shape)} instead of {list(tensor.shape)}")
        if given[name].is_floating_point() != tensor.is_floating_point():
            raise ValueError(f"{name} is of type {given[name].dtype} instead of {tensor.dtype}")
        if not given[name].isfinite().all():
            raise ValueError(f"{name} holds values that are not finite")


def read_external(file: str, sha256: str | None, origin: str, declared: str = "config/helpers") -> object:
    """What a safetensors or PyTorch file holds, of tensors, numbers and text in mappings and lists.

    Nothing in it is executed.

    Args:
        file: its name under ``results/external``; PyTorch's format unless it ends in ``.safetensors``.
        sha256: what its bytes must have; None refuses the file and tells its hash.
        origin: where it comes from.
        declared: the folder of config that names it.

    Raises:
        UserError: it is missing, not the one declared, not declared yet, damaged, or holds something else.
    """
    path = EXTERNAL / file
    if not path.is_file():
        raise UserError(f"{path} is missing: get it from {origin} and put it there")
    actual = hash_file(path)
    if sha256 is None:
        raise UserError(
            f"{path} has the sha256 {actual}, which {declared} does not name yet: make sure that the file is the "
            f"one from {origin}, then write `sha256: {actual}` beside its name"
        )
    if actual != sha256:
        raise UserError(
            f"{path} has the sha256 {actual}, but {declared} asks for {sha256}: get it again from {origin}, or "
            f"write `sha256: {actual}` if this file is meant"
        )
    try:
        if path.suffix == ".safetensors":
            return safetensors.torch.load_file(path)
        with torch.serialization.safe_globals(NUMPY_NUMBERS):
            # Files of PyTorch before 1.6 are no archives and cannot be mapped.
            content: object = torch.load(path, map_location="cpu", weights_only=True, mmap=is_zipfile(path))
    except Exception as error:  # A damaged file may raise nearly anything.
        unsafe = re.search(r"GLOBAL (\S+)", str(error))
        plain = (str(error) or type(error).__name__).split(". ")[0].splitlines()[0][:200]
        reason = f"it asks for {unsafe[1]}" if unsafe else plain
        complaint = f"{path} cannot be read as tensors and numbers alone ({reason})"
        raise UserError(f"{complaint}: get it again from {origin}") from None
    return content


def _named_tensors(content: object) -> dict[str, Tensor]:
    """The weights in what a training script saved."""
    for key in STATE_KEYS:
        if isinstance(content, dict) and isinstance(content.get(key), dict):
            content = content[key]
    if not isinstance(content, dict) or not all(_is_named_tensor(*entry) for entry in content.items()):
        raise ValueError("it holds something else than named tensors")
    return content


def _is_named_tensor(name: object, value: object) -> bool:
    return isinstance(name, str) and isinstance(value, Tensor)
