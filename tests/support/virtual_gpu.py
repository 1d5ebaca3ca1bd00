"""A GPU that is not there: tensors that say they are on it, compute on the CPU, and refuse to meet the CPU's.

It finds what a machine without a GPU never notices: a tensor made on the wrong device, a generator of another one, a
result that goes to NumPy before it is brought back. It says nothing of a GPU's kernels, speed, memory and rounding.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, NoReturn

import pytest
import torch
from torch import Generator, Tensor
from torch.overrides import TorchFunctionMode
from torch.utils._pytree import tree_leaves, tree_map

from trigger_activation.science import seeds
from trigger_activation.store import checkpoints

GPU, CPU = torch.device("cuda", 0), torch.device("cpu")
Function = Callable[..., Any]
INDEXING = {torch.ops.aten.index.Tensor, torch.ops.aten.index_put.default, torch.ops.aten.index_put_.default}
"""Operations whose indices may be on the CPU."""


class GpuGenerator(Generator):
    """A generator of the GPU."""

    @property
    def device(self) -> torch.device:
        """The GPU."""
        return GPU


class GpuTensor(Tensor):
    """A tensor of the GPU, around one of the CPU."""

    held: Tensor

    @staticmethod
    def __new__(cls, held: Tensor) -> GpuTensor:
        tensor: GpuTensor = torch.Tensor._make_wrapper_subclass(  # type: ignore[attr-defined]
            cls, held.size(), strides=held.stride(), storage_offset=held.storage_offset(), dtype=held.dtype, device=CPU
        )
        tensor.held = held
        return tensor

    device, is_cuda, is_cpu = GPU, True, False  # type: ignore[assignment]

    def __repr__(self, *, tensor_contents: Any = None) -> str:
        return f"GpuTensor({self.held}, {tensor_contents})"

    def numpy(self, *_: Any, **__: Any) -> NoReturn:
        """What a tensor of a real GPU does."""
        raise TypeError("can't convert cuda:0 device type tensor to numpy")

    __array__ = numpy

    def untyped_storage(self) -> torch.UntypedStorage:
        """Where its values are."""
        return self.held.untyped_storage()

    @classmethod
    def __torch_dispatch__(
        cls, function: Any, types: Any, arguments: Sequence[Any] = (), keywords: Mapping[str, Any] | None = None
    ) -> Any:
        del types
        if function is torch.ops.aten.copy_.default:
            function(held(arguments[0]), held(arguments[1]))
            return arguments[0]
        checked = [arguments[0], *arguments[2:]] if function in INDEXING else arguments
        if any(leaf.dim() and not isinstance(leaf, GpuTensor) for leaf in tensors((checked, keywords))):
            raise RuntimeError(f"{function} got tensors of two devices")
        result = function(*tree_map(held, arguments), **tree_map(held, keywords or {}))
        # What works in place returns the tensor that it got.
        known = {id(leaf.held): leaf for leaf in tensors((arguments, keywords)) if isinstance(leaf, GpuTensor)}
        return tree_map(lambda leaf: known[id(leaf)] if id(leaf) in known else on_gpu(leaf), result)


def tensors(tree: Any) -> Iterable[Tensor]:
    return [leaf for leaf in tree_leaves(tree) if isinstance(leaf, Tensor)]


def held(leaf: Any) -> Any:
    return leaf.held if isinstance(leaf, GpuTensor) else leaf


def device_of(arguments: Sequence[Any]) -> torch.device:
    return GPU if any(isinstance(leaf, GpuTensor) for leaf in arguments) else CPU


def on_gpu(leaf: Any) -> Any:
    return GpuTensor(leaf) if isinstance(leaf, Tensor) and not isinstance(leaf, GpuTensor) else leaf


class Journey(torch.autograd.Function):
    """A tensor on the other device; its gradient goes the way back."""

    @staticmethod
    def forward(_context: Any, tensor: Tensor) -> Tensor:
        """A copy there."""
        return tensor.held.clone() if isinstance(tensor, GpuTensor) else GpuTensor(tensor.detach().clone())

    @staticmethod
    def backward(_context: Any, gradient: Tensor) -> Tensor:  # type: ignore[override]
        """A copy here."""
        return moved(gradient)


def moved(tensor: Tensor) -> Tensor:
    result: Tensor = Journey.apply(tensor)  # type: ignore[no-untyped-call]
    return result


def placed(tensor: Any, device: torch.device) -> Any:
    """What a call returned, on a device."""
    elsewhere = isinstance(tensor, Tensor) and isinstance(tensor, GpuTensor) != (device.type == "cuda")
    return moved(tensor) if elsewhere else tensor


class VirtualGpu(TorchFunctionMode):
    """While it is active, ``cuda`` is a device."""

    def __torch_function__(
        self, function: Function, types: Any, arguments: Sequence[Any] = (), keywords: Mapping[str, Any] | None = None
    ) -> Any:
        """Make and move tensors as they say; everything else goes its way."""
        del types
        keywords = dict(keywords or {})
        if function in (Tensor.to, Tensor.cpu, Tensor.cuda):
            return self._sent(function, arguments, keywords)
        if function is Tensor.pin_memory:
            return arguments[0]
        if function in (Tensor.tolist, Tensor.__format__):
            return function(held(arguments[0].detach()), *arguments[1:])
        given = keywords.get("device")
        on = torch.device(given) if given is not None else device_of(arguments)
        generator = keywords.get("generator")
        if generator is not None and generator.device.type != on.type:
            raise RuntimeError(f"{function} on {on} got a generator of {generator.device}")
        if given is None or on.type not in {"cpu", "cuda"}:
            return function(*arguments, **keywords)
        del keywords["device"]
        made = function(*(tree_map(held, arguments) if on == GPU else arguments), **keywords)
        return tree_map(lambda leaf: placed(leaf, on), made)

    @staticmethod
    def _sent(function: Function, arguments: Sequence[Any], keywords: dict[str, Any]) -> Tensor:
        tensor, *rest = arguments
        target = {Tensor.cpu: CPU, Tensor.cuda: GPU}.get(function) or keywords.pop("device", None)
        others = []
        for argument in rest:
            if isinstance(argument, str | torch.device):
                target = argument
            elif isinstance(argument, Tensor):
                target, others = argument.device, [argument.dtype]
            elif isinstance(argument, torch.dtype):
                others.append(argument)
        keywords.pop("non_blocking", None)
        result: Tensor = placed(tensor, torch.device(target)) if target is not None else tensor
        return result.to(*others, **keywords) if others or keywords else result


@contextmanager
def virtual_gpu() -> Iterator[torch.device]:
    """A machine with one GPU."""
    real, real_open = torch.__future__.get_overwrite_module_params_on_conversion(), checkpoints.safe_open

    def generator(path: str, stream: str, device: torch.device) -> Generator:
        made = GpuGenerator() if device.type == "cuda" else Generator()
        return made.manual_seed(seeds.derive_seed(path, stream))

    with pytest.MonkeyPatch.context() as patch, VirtualGpu():
        patch.setattr(torch.cuda, "default_generators", (GpuGenerator(),))
        patch.setattr(torch.cuda, "get_device_name", lambda _device: "a GPU that is not there")
        for name in ("synchronize", "get_rng_state", "set_rng_state"):
            patch.setattr(torch.cuda, name, lambda *_: torch.zeros(1))
        patch.setattr(seeds, "torch_generator", generator)
        patch.setattr(checkpoints, "safe_open", lambda path, **_: real_open(path, framework="pt", device="cpu"))
        torch.__future__.set_overwrite_module_params_on_conversion(True)
        try:
            yield GPU
        finally:
            torch.__future__.set_overwrite_module_params_on_conversion(real)
