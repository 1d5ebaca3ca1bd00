"""The score-SDE network against outputs of the official code, and the official file with its averaged weights.

``tests/data/score_sde.json`` says how weights and images are made, and holds outputs, and hashes of official names and
shapes. Official and our outputs are in double precision but for the embedding of the time, whose single precision makes
a difference of 3e-7.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from tests.support.recorded import official_state, relative_error
from trigger_activation.run.stages import training
from trigger_activation.science.helpers import score_sde
from trigger_activation.science.helpers._score_sde import averaged_weights, build_unet, from_official, official_shapes
from trigger_activation.science.helpers.ddpm import DDPM
from trigger_activation.science.helpers.diffusion import predicted_noise, takes_continuous_time
from trigger_activation.science.helpers.score_sde import ScoreSDE
from trigger_activation.store import external
from trigger_activation.store.records import hash_file

DATA: dict[str, Any] = json.loads((Path(__file__).parents[1] / "data/score_sde.json").read_text("utf-8"))
TINY: dict[str, Any] = {"multipliers": [1], "blocks_per_level": 1, "attention_levels": [0]}

Record = dict[str, Any]
State = dict[str, Tensor]


def made_up(unet: Any, seed: int) -> State:
    return official_state(official_shapes(unet), seed, 0.05)


def fingerprint(unet: Any) -> dict[str, Any]:
    lines = [f"{name} {shape}" for name, shape in official_shapes(unet).items()]
    return {"tensors": len(lines), "sha256": hashlib.sha256("\n".join(lines).encode()).hexdigest()}


@pytest.fixture(params=DATA["networks"], ids=["three-levels", "two-levels"])
def record(request: pytest.FixtureRequest) -> Record:
    return dict(request.param)


@pytest.fixture
def unet(record: Record) -> Any:
    return build_unet(**record["size"])


@pytest.fixture(scope="module")
def full_size() -> Any:
    with torch.device("meta"):
        return build_unet()


@pytest.fixture
def tiny() -> Any:
    return build_unet(**TINY)


class TestNetwork:
    def test_outputs_are_the_official_ones(self, record: Record, unet: Any) -> None:
        state = from_official(made_up(unet, record["seed"]), unet)
        assert relative_error(unet, state, record, DATA["steps"]) < 1e-5

    @pytest.mark.parametrize("exchanged", [("to_q", "to_k"), ("to_v", "to_out.0")])
    def test_an_exchange_within_one_attention_gives_other_outputs(
        self, exchanged: tuple[str, str], record: Record, unet: Any
    ) -> None:
        state = from_official(made_up(unet, record["seed"]), unet)
        one, other = (f"mid_block.attentions.0.{name}.weight" for name in exchanged)
        state[one], state[other] = state[other], state[one]
        assert relative_error(unet, state, record, DATA["steps"]) > 1e-3

    def test_small_networks_have_the_official_tensors_in_their_order(self, record: Record, unet: Any) -> None:
        assert fingerprint(unet) == {key: record[key] for key in ("tensors", "sha256")}

    def test_the_default_network_has_the_official_tensors_in_their_order(self, full_size: Any) -> None:
        assert fingerprint(full_size) == DATA["full_size"]

    def test_the_default_network_has_106_632_579_parameters(self, full_size: Any) -> None:
        assert sum(parameter.numel() for parameter in full_size.parameters()) == 106_632_579

    def test_it_takes_times_between_whole_steps(self, tiny: Any) -> None:
        assert takes_continuous_time(tiny)
        assert not takes_continuous_time(DDPM(channels=[8], epochs=1).build(8))
        noisy = torch.randn(1, 3, 8, 8)
        with torch.no_grad():
            below, between, above = (predicted_noise(tiny, noisy, step) for step in (49, 49.95, 50))
            assert torch.equal(between, predicted_noise(tiny, noisy, torch.tensor([49.95])))
        assert 0 < (between - above).norm() < (between - below).norm()


class TestMisfits:
    def test_are_refused_in_one_sentence(self, tiny: Any) -> None:
        state = made_up(tiny, 0)
        del state["all_modules.0.bias"]
        state["all_modules.1.bias"] = state["all_modules.1.bias"][:-1]
        state |= {"all_modules.99.weight": torch.zeros(1), "later": torch.zeros(1)}
        with pytest.raises(ValueError, match="official") as refusal:
            from_official(state, tiny)
        assert str(refusal.value) == (
            "the tensors are not those of the official network of this size: 1 missing (first all_modules.0.bias), "
            "2 surplus (first all_modules.99.weight), 1 of another shape (first all_modules.1.bias)"
        )

    @pytest.mark.parametrize("kind", ["missing", "surplus", "of another shape"])
    def test_one_suffices(self, kind: str, tiny: Any) -> None:
        state = made_up(tiny, 0)
        bias = state.pop("all_modules.2.bias")
        state |= {
            "missing": {},
            "surplus": {"all_modules.2.bias": bias, "all_modules.2.gain": bias},
            "of another shape": {"all_modules.2.bias": bias[:3]},
        }[kind]
        with pytest.raises(ValueError, match=rf": 1 {kind} \(first all_modules\.2\.(bias|gain)\)$"):
            from_official(state, tiny)


def official_file(averages: State) -> dict[str, Any]:
    """What the official training loop saves: with the optimiser, whose rate NumPy computed, and the last weights."""
    parameter = torch.nn.Parameter(torch.zeros(3))
    optimizer = torch.optim.Adam([parameter])
    optimizer.param_groups[0]["lr"] = 2e-4 * np.minimum(7 / 5000, 1.0)
    parameter.sum().backward()
    optimizer.step()
    last = {f"module.{name}": torch.zeros(1).expand(average.shape) for name, average in averages.items()}
    return {
        "optimizer": optimizer.state_dict(),
        "model": {"module.sigmas": torch.ones(1000, dtype=torch.float64), **last},
        "ema": {"decay": 0.9999, "num_updates": 7, "shadow_params": list(averages.values())},
        "step": 7,
    }


class TestFile:
    def test_its_averaged_weights_become_the_network(
        self, tiny: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        shapes = official_shapes(tiny)
        made = made_up(tiny, 3)
        torch.save(official_file({name: made[name] for name in shapes}), tmp_path / "checkpoint_8.pth")
        monkeypatch.setattr(external, "EXTERNAL", tmp_path)
        monkeypatch.setattr(score_sde, "build_unet", lambda: build_unet(**TINY))
        helper = ScoreSDE(file="checkpoint_8.pth", sha256=hash_file(tmp_path / "checkpoint_8.pth"))
        state = training._imported(helper, 32).state_dict()
        expected = from_official(made, tiny)
        assert state.keys() == expected.keys()
        assert all(torch.equal(state[name], expected[name]) for name in expected)

    def test_other_files_are_refused(self, tiny: Any) -> None:
        whole = official_file({"all_modules.0.weight": torch.zeros(2), "all_modules.0.bias": torch.zeros(2)})
        assert list(averaged_weights(whole)) == ["all_modules.0.weight", "all_modules.0.bias"]
        others: dict[str, object] = {
            "no `model` with averages": {**whole, "ema": {}},
            "`ema`$": whole["model"],
            "in `ema`": [whole],
            "has 2 weights, but it holds averages of 1": {**whole, "ema": {"shadow_params": [torch.zeros(2)]}},
            "named tensors": {**whole, "ema": {"shadow_params": [1, 2]}},
            "missing": whole,
        }
        for reason, content in others.items():
            with pytest.raises(ValueError, match=reason):
                ScoreSDE(file="checkpoint_8.pth", sha256=None).converted(content, tiny)
