"""The guided-diffusion network against outputs of the official code, for weights that a formula makes.

``tests/data/guided_diffusion.json`` says how weights and images are made, and holds the official names, shapes and
outputs. The official code ran in single precision, where its outputs are up to 2e-5 off and as large as 7. Ours runs
in double precision, so that the difference is the same on all machines.
"""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from tests.support.recorded import official_state, relative_error
from trigger_activation.science.helpers._guided_diffusion import build_unet, from_official, official_shapes

DATA: dict[str, Any] = json.loads((Path(__file__).parents[1] / "data/guided_diffusion.json").read_text("utf-8"))

Record = dict[str, Any]
State = dict[str, Tensor]


def made_up(record: Record) -> State:
    return official_state(record["shapes"], record["seed"], 0.2)


@pytest.fixture(params=DATA["networks"], ids=["two-levels", "three-levels"])
def record(request: pytest.FixtureRequest) -> Record:
    return dict(request.param)


@pytest.fixture
def unet(record: Record) -> Any:
    return build_unet(**record["size"])


@pytest.fixture(scope="module")
def full_size() -> Any:
    with torch.device("meta"):
        return build_unet()


def test_outputs_are_the_official_ones(record: Record, unet: Any) -> None:
    assert relative_error(unet, from_official(made_up(record), unet), record, DATA["timesteps"]) < 1e-5


def test_the_new_order_of_queries_keys_and_values_gives_other_outputs(record: Record, unet: Any) -> None:
    """Plain thirds, in the middle block only, are far outside the tolerance."""
    official = made_up(record)
    state = from_official(official, unet)
    for kind in ("weight", "bias"):
        for part, third in zip("qkv", official[f"middle_block.1.qkv.{kind}"].chunk(3), strict=True):
            name = f"mid_block.attentions.0.to_{part}.{kind}"
            state[name] = third.reshape(state[name].shape)
    assert relative_error(unet, state, record, DATA["timesteps"]) > 0.01


def test_small_networks_have_the_official_tensors(record: Record, unet: Any) -> None:
    assert official_shapes(unet) == {name: tuple(shape) for name, shape in record["shapes"].items()}


def test_the_default_network_has_the_tensors_of_the_checkpoint(full_size: Any) -> None:
    lines = sorted(f"{name} {shape}" for name, shape in official_shapes(full_size).items())
    assert len(lines) == DATA["full_size"]["tensors"]
    assert hashlib.sha256("\n".join(lines).encode()).hexdigest() == DATA["full_size"]["sha256"]


def test_the_default_network_has_552_814_086_parameters(full_size: Any) -> None:
    assert sum(parameter.numel() for parameter in full_size.parameters()) == 552_814_086


def test_a_state_of_full_size_loads(full_size: Any) -> None:
    official = {name: torch.empty(shape, device="meta") for name, shape in official_shapes(full_size).items()}
    full_size.load_state_dict(from_official(official, full_size), strict=True, assign=True)


def test_misfits_are_refused_in_one_sentence(record: Record, unet: Any) -> None:
    state = made_up(record)
    del state["out.0.bias"]
    state["time_embed.0.bias"] = state["time_embed.0.bias"][:-1]
    state |= {"label_emb.weight": torch.zeros(1), "later": torch.zeros(1)}
    with pytest.raises(ValueError, match="official") as refusal:
        from_official(state, unet)
    assert str(refusal.value) == (
        "the tensors are not those of the official network of this size: 1 missing (first out.0.bias), "
        "2 surplus (first label_emb.weight), 1 of another shape (first time_embed.0.bias)"
    )


@pytest.mark.parametrize("kind", ["missing", "surplus", "of another shape"])
def test_one_misfit_suffices(kind: str, record: Record, unet: Any) -> None:
    state = made_up(record)
    bias = state.pop("out.2.bias")
    state |= {
        "missing": {},
        "surplus": {"out.2.bias": bias, "out.3.bias": bias},
        "of another shape": {"out.2.bias": bias[:3]},
    }[kind]
    with pytest.raises(ValueError, match=rf": 1 {kind} \(first out\.\d\.bias\)$"):
        from_official(state, unet)


def test_importing_the_module_loads_neither_torch_nor_diffusers() -> None:
    code = (
        "import sys; import trigger_activation.science.helpers._guided_diffusion;"
        "print(*{'numpy', 'torch', 'diffusers'} & set(sys.modules))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout == "\n"
