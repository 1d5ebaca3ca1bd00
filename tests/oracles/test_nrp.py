"""The generators of NRP against outputs of the official code, and the official files.

``tests/data/nrp.json`` says how weights and images are made, and holds outputs, and hashes of official names and
shapes. Official and our outputs are in double precision.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.random import RandomState
from torch import Tensor, nn

from tests.support.projects import one_sentence
from tests.support.recorded import official_state
from trigger_activation.errors import UserError
from trigger_activation.run.stages import training
from trigger_activation.science.helpers._nrp import full_generator, light_generator
from trigger_activation.science.helpers.nrp import PretrainedNRP
from trigger_activation.store import external
from trigger_activation.store.records import hash_file

DATA: dict[str, Any] = json.loads((Path(__file__).parents[1] / "data/nrp.json").read_text("utf-8"))
PARAMETERS = {"full": 16_550_275, "light": 1_702_211}
BUILDERS: dict[str, Any] = {"full": full_generator, "light": light_generator}

Record = dict[str, Any]


def fingerprint(network: nn.Module) -> dict[str, Any]:
    lines = [f"{name} {tuple(tensor.shape)}" for name, tensor in network.state_dict().items()]
    return {"tensors": len(lines), "sha256": hashlib.sha256("\n".join(lines).encode()).hexdigest()}


@pytest.fixture(params=DATA["networks"], ids=lambda record: record["generator"])
def record(request: pytest.FixtureRequest) -> Record:
    return dict(request.param)


@pytest.fixture
def official(record: Record) -> nn.Module:
    """The generator of the size that its authors trained, without weights."""
    with torch.device("meta"):
        return PretrainedNRP(file="NRP.pth", sha256=None, generator=record["generator"]).build(32)


class TestGenerators:
    def test_outputs_are_the_official_ones(self, record: Record) -> None:
        network = BUILDERS[record["generator"]](**record["size"])
        assert fingerprint(network) == record["small"]
        shapes = {name: tensor.shape for name, tensor in network.state_dict().items()}
        network.load_state_dict(official_state(shapes, record["seed"], 0.2))
        images = RandomState(1000 + record["seed"]).uniform(size=(2, 3, 5, 4)).astype(np.float32)
        with torch.no_grad():
            outputs = network.double()(torch.from_numpy(images).double())
        expected = torch.tensor(record["outputs"], dtype=torch.float64)
        torch.testing.assert_close(outputs.flatten(), expected, atol=1e-6, rtol=0)

    def test_the_default_has_the_official_tensors_in_their_order(self, record: Record, official: nn.Module) -> None:
        assert fingerprint(official) == record["official"]

    def test_the_default_has_as_many_parameters_as_the_official_one(self, record: Record, official: nn.Module) -> None:
        assert sum(parameter.numel() for parameter in official.parameters()) == PARAMETERS[record["generator"]]

    @pytest.mark.parametrize("size", [(32, 32), (38, 38), (224, 224), (31, 45)])
    def test_the_size_stays(self, size: tuple[int, int], official: nn.Module) -> None:
        images = torch.empty(2, 3, *size, device="meta")
        assert official(images).shape == images.shape


@pytest.fixture
def state() -> dict[str, Tensor]:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return light_generator().state_dict()


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(external, "EXTERNAL", tmp_path)
    return tmp_path


def imported(folder: Path, **changes: Any) -> nn.Module:
    parameters = {"file": "NRP.pth", "sha256": hash_file(folder / "NRP.pth"), "generator": "light", **changes}
    return training._imported(PretrainedNRP(**parameters), 32)


class TestFile:
    @pytest.mark.parametrize("archive", [True, False], ids=["zip", "of PyTorch before 1.6"])
    def test_becomes_the_network(self, archive: bool, state: dict[str, Tensor], folder: Path) -> None:
        torch.save(state, folder / "NRP.pth", _use_new_zipfile_serialization=archive)
        loaded = imported(folder).state_dict()
        assert loaded.keys() == state.keys()
        assert all(torch.equal(loaded[name], state[name]) for name in state)

    def test_of_the_other_generator_is_refused(self, state: dict[str, Tensor], folder: Path) -> None:
        torch.save(state, folder / "NRP.pth")
        with pytest.raises(UserError, match="holds another network") as refusal:
            imported(folder, generator="full")
        assert "get it again from the pretrained purifiers of Muzammal-Naseer/NRP" in one_sentence(str(refusal.value))

    def test_of_another_shape_is_refused(self, state: dict[str, Tensor], folder: Path) -> None:
        torch.save({**state, "conv_last.bias": torch.zeros(4)}, folder / "NRP.pth")
        with pytest.raises(UserError, match=r"1 of another shape \(first conv_last\.bias\)") as refusal:
            imported(folder)
        one_sentence(str(refusal.value))

    def test_with_another_hash_is_refused(self, state: dict[str, Tensor], folder: Path) -> None:
        torch.save(state, folder / "NRP.pth")
        with pytest.raises(UserError, match=f"asks for {'0' * 64}") as refusal:
            imported(folder, sha256="0" * 64)
        one_sentence(str(refusal.value))

    def test_of_something_else_is_refused(self, folder: Path) -> None:
        torch.save([torch.zeros(1)], folder / "NRP.pth")
        with pytest.raises(UserError, match="something else than named tensors"):
            imported(folder)
