"""Work that was interrupted after any epoch or batch ends with the same bits, and bad scratch files are not used."""

from __future__ import annotations

import copy
import shutil
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any, TypeVar

import pytest
import torch
from torch import Tensor, nn

from tests.support.crafting import attack, seeded, short
from tests.support.trainings import recipe, streams, vgg_s
from trigger_activation.errors import UserError
from trigger_activation.run.stages.attacks import _batch_by_batch
from trigger_activation.science.attacks import ATTACKS
from trigger_activation.science.deployment import DeployedNetwork
from trigger_activation.science.helpers import HELPERS
from trigger_activation.science.images import to_float
from trigger_activation.science.snapshots import NO_SNAPSHOTS, Snapshots
from trigger_activation.science.training.loop import EpochReport, train
from trigger_activation.science.training.paradigms import PARADIGMS
from trigger_activation.store import scratch
from trigger_activation.store.environment import Stopwatch
from trigger_activation.store.scratch import Scratch

R = TypeVar("R")
EPOCHS = 4
CPU = torch.device("cpu")
RECIPE = "a" * 64
FILE = Path(f"results/scratch/{RECIPE}/state.pt")
TRAININGS: dict[str, dict[str, dict[str, Any]]] = {
    "adversarial": {"": {"eps": "8/255", "steps": 2, "step_size": "4/255"}},
    "ensemble_adversarial": {"": {"eps": "8/255", "surrogate_seeds": [100]}},
    "noise_augmentation": {"": {"noise_eps": "64/255"}},
    "rat": {"": {"eps": "8/255", "steps": 1, "step_size": "4/255"}},
    "standard": {"": {}},
    "tdat": {
        momentum: {"eps": "8/255", "gamma_min": 0.15, "regularisation": 0.6, "momentum": momentum}
        for momentum in ("official", "intended")
    },
    "trigger_fixed": {"": {"trigger_eps": "64/255"}},
    "trigger_learnable": {
        "": {"alpha": "4/255"},
        "random": {"alpha": "4/255", "direction": "random"},
        "train": {"alpha": "4/255", "trigger_pass": "train"},
    },
}
QUICK: dict[str, dict[str, Any]] = {
    "pgd": {"random_start": True},
    "naa": {"path_points": 2, "layer": "features.3"},
    "rpa": {"copies": 2, "layer": "features.3"},
    "gra": {"neighbours": 2},
    "vmifgsm": {"neighbours": 2},
    "bsr": {"copies": 2},
    "l2t": {"paths": 1},
}


class Killed(Exception):  # noqa: N818
    """In the place of a signal."""


class OneSave(Scratch):
    """Its process dies when it has saved once."""

    def save(self, state: dict[str, Any], place: str) -> None:
        super().save(state, place)
        raise Killed


def opened(recipe: str = RECIPE, kind: type[Scratch] = Scratch, **changes: Any) -> Scratch:
    given = {"inputs": {"train.npz": "0" * 64}, "device": lambda: CPU, "stopwatch": Stopwatch()}
    return kind(recipe, **given | changes)


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An empty working folder, in which every state is saved."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(scratch, "INTERVAL", 0.0)


def with_interruptions(work: Callable[[Any], R], count: int) -> R:
    """The result after being killed at every one of ``count`` steps, the last one included."""
    for _ in range(count):
        with pytest.raises(Killed):
            work(opened(kind=OneSave))
    return work(opened())


def with_dropout() -> nn.Module:
    """A small network whose layers draw from the global generator."""
    features = [nn.Conv2d(3, 8, 3, stride=2), nn.BatchNorm2d(8), nn.ReLU(), nn.Dropout(0.3)]
    return nn.Sequential(*features, nn.Flatten(), nn.Linear(8 * 7 * 7, 10))


def trained(paradigm: Any, data: tuple[Tensor, Tensor], snapshots: Snapshots) -> dict[str, Any]:
    """All that a training gives, from its beginning or from where an earlier one was killed."""
    reports: list[EpochReport] = []
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        network = with_dropout()
        trigger = train(network, paradigm, *data, recipe(EPOCHS), streams(), reports.append, snapshots)
        after = torch.get_rng_state()
    return {**network.state_dict(), "trigger": trigger, "reports": reports, "global generator": after}


def assert_same(found: dict[str, Any], expected: dict[str, Any]) -> None:
    assert found.keys() == expected.keys()
    for name, value in expected.items():
        assert torch.equal(found[name], value) if isinstance(value, Tensor) else found[name] == value, name


@pytest.mark.parametrize(
    ("name", "variant"), [(name, variant) for name in PARADIGMS.names() for variant in TRAININGS[name]]
)
def test_a_training_killed_after_every_epoch_ends_alike(
    name: str, variant: str, fashion16_train: tuple[Tensor, Tensor]
) -> None:
    paradigm = PARADIGMS[name](**TRAININGS[name][variant])
    data = fashion16_train[0][:150], fashion16_train[1][:150]
    expected = trained(paradigm, data, NO_SNAPSHOTS)
    assert_same(trained(paradigm, data, opened()), expected)  # saving disturbs nothing
    FILE.unlink()
    assert_same(with_interruptions(lambda snapshots: trained(paradigm, data, snapshots), EPOCHS), expected)


HELPER_PARAMETERS: dict[str, dict[str, Any]] = {
    "ddpm": {"channels": (8,), "average": 0.9},
    "nrp_ssp": {"channels": 4, "blocks": 1, "features_of": "vgg-s", "ssp_iterations": 2},
}


@pytest.mark.parametrize("name", HELPER_PARAMETERS)
def test_a_helper_killed_after_every_epoch_ends_alike(name: str, fashion16_train: tuple[Tensor, Tensor]) -> None:
    helper: Any = HELPERS[name](epochs=3, batch_size=8, **HELPER_PARAMETERS[name])
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        fresh, teacher = helper.build(16), DeployedNetwork(vgg_s().build(16, 10).eval(), None)

    def fitted(snapshots: Snapshots) -> dict[str, Any]:
        network, losses = copy.deepcopy(fresh), []
        images = fashion16_train[0][:20]
        helper.fit(network, images, seeded(), lambda *report: losses.append(report), teacher, snapshots)
        return {**network.state_dict(), "losses": losses}

    assert_same(with_interruptions(fitted, 3), fitted(NO_SNAPSHOTS))


@pytest.mark.parametrize("name", ATTACKS.names())
def test_an_attack_killed_after_every_batch_gives_the_same_images(
    name: str, trained_network: nn.Module, fashion16_test: tuple[Tensor, Tensor]
) -> None:
    attacker, (images, labels) = attack(name, **short(name, steps=2), **QUICK.get(name, {})), fashion16_test

    def crafted(snapshots: Snapshots) -> tuple[Tensor, int]:
        job: Any = SimpleNamespace(parameters=SimpleNamespace(images=5, batch_size=2), scratch=snapshots)
        generator, passed = seeded(), [0]

        def change(chosen: slice) -> Tensor:
            passed.append(1)
            adversarial: Tensor = attacker.perturb(trained_network, to_float(images[chosen]), labels[chosen], generator)
            return adversarial

        return _batch_by_batch(job, change, passed, generator)[0], sum(passed)

    found, expected = with_interruptions(crafted, 3), crafted(NO_SNAPSHOTS)
    assert torch.equal(found[0], expected[0])
    assert found[1] == expected[1] == 3
    assert not torch.equal(expected[0], images[:5])


def test_what_another_network_left_is_refused_in_one_sentence(fashion16_train: tuple[Tensor, Tensor]) -> None:
    data = fashion16_train[0][:64], fashion16_train[1][:64]
    with pytest.raises(Killed):
        trained(PARADIGMS["standard"](), data, opened(kind=OneSave))
    with pytest.raises(UserError, match=r"does not fit this one .*: remove results/scratch and run again") as caught:
        train(nn.Conv2d(3, 10, 16), PARADIGMS["standard"](), *data, recipe(1), streams(), snapshots=opened())
    assert "\n" not in str(caught.value)


STATE = {"weights": torch.rand(2, 3, 4, 4).to(memory_format=torch.channels_last), "losses": [0.5, 1 / 3], "none": None}


class Unsafe:
    """Creates a file when it is unpickled by a reader that executes what it reads."""

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (Path("executed"),)


class TestScratch:
    def ignored(self, capsys: pytest.CaptureFixture[str], recipe: str = RECIPE) -> str:
        """The line that says why a file is not used."""
        assert opened(recipe).load() is None
        (line,) = capsys.readouterr().out.splitlines()
        assert line.startswith(f"results/scratch/{recipe}/state.pt is ignored (")
        return str(line)

    def test_is_empty_at_first(self, capsys: pytest.CaptureFixture[str]) -> None:
        assert opened().load() is None
        assert capsys.readouterr().out == ""

    def test_gives_back_values_and_memory_layout(self, capsys: pytest.CaptureFixture[str]) -> None:
        opened().save(STATE, "epoch 7 of 60")
        found = opened().load()
        assert capsys.readouterr().out == "continued from epoch 7 of 60\n"
        assert found is not None
        assert_same(found, STATE)
        assert found["weights"].stride() == STATE["weights"].stride()

    def test_is_removed_with_its_folder(self) -> None:
        opened().save(STATE, "")
        opened().discard()
        assert not FILE.parent.exists()
        opened().discard()

    def test_writes_now_and_then(self, monkeypatch: pytest.MonkeyPatch) -> None:
        seconds = 1000.0
        monkeypatch.setattr(scratch.time, "monotonic", lambda: seconds)
        monkeypatch.setattr(scratch, "INTERVAL", 30.0)
        kept, saved = opened(), []
        for later, place in ((29, "a"), (31, "b"), (59, "c"), (62, "d")):
            seconds = 1000.0 + later
            kept.save(STATE, place)
            saved.append(torch.load(FILE)["place"] if FILE.exists() else None)
        assert saved == [None, "b", "b", "d"]

    def test_writes_less_often_where_writing_is_slow(self, monkeypatch: pytest.MonkeyPatch) -> None:
        clock = iter([0, 31, 41, 340, 342, 343])  # created; written in ten seconds; not due; due again
        monkeypatch.setattr(scratch.time, "monotonic", lambda: float(next(clock)))
        monkeypatch.setattr(scratch, "INTERVAL", 30.0)
        kept = opened()
        for place in ("a", "b", "c"):
            kept.save(STATE, place)
        assert torch.load(FILE)["place"] == "c"
        assert next(clock, None) is None

    def test_counts_the_time_of_interrupted_runs(self) -> None:
        earlier, later = Stopwatch(), Stopwatch()
        earlier.add({"seconds": 100.0, "cpu_seconds": 50.0, "peak_memory_mib": 1e6})
        opened(stopwatch=earlier).save(STATE, "")
        opened(stopwatch=later).load()
        reading = later.reading()
        assert 100 <= reading["seconds"] < 110
        assert 50 <= reading["cpu_seconds"] < 60
        assert reading["peak_memory_mib"] == 1e6

    def test_that_cannot_be_written_stops_nothing(self, capsys: pytest.CaptureFixture[str]) -> None:
        Path("results").write_text("no folder")
        opened().save(STATE, "")
        assert "was not written" in capsys.readouterr().out

    def test_of_another_recipe_is_not_used(self, capsys: pytest.CaptureFixture[str]) -> None:
        opened().save(STATE, "")
        shutil.copytree(FILE.parent, FILE.parents[1] / ("b" * 64))
        assert "another recipe" in self.ignored(capsys, "b" * 64)

    def test_of_other_inputs_is_not_used(self, capsys: pytest.CaptureFixture[str]) -> None:
        opened(inputs={"train.npz": "1" * 64}).save(STATE, "")
        assert "another set of inputs)" in self.ignored(capsys)

    def test_of_another_version_of_torch_is_not_used(
        self, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        opened().save(STATE, "")
        monkeypatch.setattr(scratch.torch, "__version__", "0.4.0")
        assert "version of PyTorch" in self.ignored(capsys)

    def test_of_another_kind_of_device_is_not_used(self, capsys: pytest.CaptureFixture[str]) -> None:
        opened(device=lambda: torch.device("cuda")).save(STATE, "")
        assert "kind of device" in self.ignored(capsys)

    def test_of_which_any_byte_changed_is_not_used_or_still_the_same(self, capsys: pytest.CaptureFixture[str]) -> None:
        opened().save(STATE, "")
        whole, refused = FILE.read_bytes(), 0
        for position in range(0, len(whole), 7):
            FILE.write_bytes(whole[:position] + bytes([whole[position] ^ 0x55]) + whole[position + 1 :])
            found = opened().load()
            refused += found is None
            if found is not None:
                assert_same(found, STATE)
        assert refused > len(whole) / 7 / 4
        capsys.readouterr()

    @pytest.mark.parametrize("share", [0, 0.5, 0.99])
    def test_that_was_cut_off_is_not_used(self, share: float, capsys: pytest.CaptureFixture[str]) -> None:
        opened().save(STATE, "")
        FILE.write_bytes(FILE.read_bytes()[: int(share * FILE.stat().st_size)])
        self.ignored(capsys)

    def test_that_would_execute_something_is_not_used(self, capsys: pytest.CaptureFixture[str]) -> None:
        opened().save({"harm": Unsafe()}, "")
        assert FILE.exists()
        self.ignored(capsys)
        assert not Path("executed").exists()
