"""Victims of one's own: what config may say, what the plan makes of it, and which files are taken."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import safetensors.torch
import torch
from torch import Tensor, nn

from tests.support.projects import Project, one_sentence
from trigger_activation.errors import UserError
from trigger_activation.plan import Plan
from trigger_activation.plan.kinds import EXTERNAL
from trigger_activation.store.checkpoints import build_network, save_checkpoint
from trigger_activation.store.external import STATE_KEYS, fill, read_network
from trigger_activation.store.records import hash_file

VICTIMS = "victims/all.yaml"
TABLE, EXPERIMENT = "tables/table1.yaml", "experiments/small.yaml"
CHECKPOINT = "results/checkpoints/mini/vgg-s__mine/seed0.safetensors"
CELL = "results/cells/mini/standard/pgd/mine.json"
DESCRIPTION: dict[str, Any] = {
    "network": {"class": "vgg", "configuration": [4, "M", 6, "M", 8, "M"]},
    "image_size": 16,
    "classes": 10,
}
State = dict[str, Tensor]


class TestConfig:
    @pytest.mark.parametrize(
        ("old", "new", "says"),
        [
            ("network: vgg-s", "network: vgg-x", "mine.network names the network 'vgg-x', which does not exist: did"),
            ("network: vgg-s", "paradigm: at", "mine.paradigm"),
            ("  network: vgg-s\n", "", "mine.network is missing: add it"),
            ("file: mine.pt", "file: ../mine.pt", "no name of a file in results/external: give the name alone"),
            ("file: mine.pt", "flie: mine.pt", "did you mean 'file'?"),
            ("0" * 64, "0" * 63 + "G", "is no sha256: give the 64 digits that `sha256sum` prints, or null"),
            ("mine:", "Mine:", "use lower-case letters"),
            (
                "mine:",
                "learn_4:",
                "learn_4 is the name of a paradigm, a preprocessing or a role already: choose another",
            ),
            ("mine:", "nrp:", "nrp is the name of a paradigm"),
            ("mine:", "purifier:", "purifier is the name of a paradigm"),
            ("mine:", "none:", "the name 'none' stands for something else"),
        ],
    )
    def test_a_mistake_is_refused(self, old: str, new: str, says: str, small: Project) -> None:
        small.replace(VICTIMS, old, new)
        sentence = small.complaint()
        assert f"config/{VICTIMS}" in sentence
        assert says in sentence

    def test_a_misspelt_column_is_told_the_name(self, small: Project) -> None:
        small.replace(TABLE, "victim: mine", "victim: mien")
        assert "did you mean 'mine'?" in small.complaint()

    def test_a_victim_that_no_table_shows_is_told(self, small: Project) -> None:
        small.replace(TABLE, "- victim: mine\n", "")
        assert any("declares mine, which no experiment uses: name it in" in notice for notice in small.plan().notices)

    def test_preprocessing_is_not_put_in_front(self, small: Project) -> None:
        small.replace(TABLE, "victim: mine", "victim: mine\n  preprocessing: nrp")
        assert "drop one of them" in small.complaint()

    @pytest.mark.parametrize("file", ["tables/table11.yaml", "figures/figure2.yaml"])
    def test_triggers_are_not_asked_for(self, file: str, small: Project) -> None:
        small.replace(file, "learnable", "mine")
        self.check_refusal(file, small)

    def test_an_adaptive_table_has_no_such_column(self, small: Project) -> None:
        small.replace(TABLE, "surrogates: standard", "surrogates: same")
        self.check_refusal(TABLE, small)

    def test_an_experiment_does_not_select_it_for_an_adaptive_table(self, small: Project) -> None:
        small.replace("tables/table2.yaml", "number: II", "number: II\nsurrogates: same")
        small.replace(EXPERIMENT, "victim: learnable", "victim: mine")
        self.check_refusal(EXPERIMENT, small)

    @staticmethod
    def check_refusal(file: str, project: Project) -> None:
        sentence = project.complaint()
        assert f"config/{file}" in sentence
        assert "mine of config/victims, but only accuracy tables with `surrogates: standard`" in sentence

    def test_a_network_for_larger_images_is_refused(self, project: Project) -> None:
        victim = f"{{label: Mine, network: inception_v4, file: mine.pt, sha256: {'a' * 64}}}"
        project.write("victims/mine.yaml", f"mine: {victim}\n")
        project.replace("experiments/demo.yaml", "- {victim: learn_1,", "- {victim: mine}\n      - {victim: learn_1,")
        sentence = project.complaint()
        assert "config/victims/mine.yaml: mine.network: inception_v4 needs images of at least 75 px" in sentence


def recipes(plan: Plan) -> dict[str, str]:
    return {path: artifact.recipe for path, artifact in plan.artifacts.items()}


class TestPlan:
    def test_its_cells_attack_one_network_from_every_surrogate(self, small: Project) -> None:
        plan = small.plan()
        assert plan[CELL].inputs["victims"] == (CHECKPOINT,)
        others = plan["results/cells/mini/standard/pgd/none.json"].inputs["images"]
        assert plan[CELL].inputs["images"] == tuple(path for path in others if "/seed0/" in path)
        assert plan[CELL].settings["victims"] == ["vgg-s"]
        assert plan[CELL].settings["seeds"] == [0]
        clean = plan["results/cells/mini/clean/clean/mine.json"]
        assert clean.inputs["images"] == ("results/datasets/digit-pairs/test.npz",)

    def test_its_checkpoint_needs_no_other_artifact(self, small: Project) -> None:
        assert small.plan()[CHECKPOINT].input_paths == ()

    def test_everything_else_stays_as_it_was(self, small: Project) -> None:
        after = recipes(small.plan())
        small.replace(TABLE, "- victim: mine\n", "")
        (small.config / VICTIMS).unlink()
        before = recipes(small.plan())
        assert {path for path in after if "mine" not in path and after[path] != before[path]} == {
            "paper_tables/small/table1.tex"
        }

    @pytest.mark.parametrize(
        ("old", "new", "changed"), [("0" * 64, "1" * 64, True), ("label: Mine", "label: Ours", False)]
    )
    def test_another_file_makes_its_cells_anew_and_another_label_does_not(
        self, old: str, new: str, changed: bool, small: Project
    ) -> None:
        before = small.plan()
        small.replace(VICTIMS, old, new)
        after = small.plan()
        assert (after[CELL].recipe != before[CELL].recipe) == changed
        table = "paper_tables/small/table1.tex"
        assert after[table].recipe != before[table].recipe

    def test_the_seeds_of_the_protocol_are_not_its_own(self, small: Project) -> None:
        with small.edited("protocols/mini.yaml") as protocol:
            protocol["seeds"] = {"default": 3}
        plan = small.plan()
        (column,) = (c for c in plan["paper_tables/small/table1.tex"].settings["columns"] if c["name"] == "mine")
        assert column["seeds"] == len(plan[CELL].inputs["victims"]) == 1


@pytest.fixture
def external(folder: Path) -> Path:  # noqa: ARG001
    """``results/external`` of an empty project."""
    EXTERNAL.mkdir(parents=True)
    return EXTERNAL


def network(seed: int = 0, **changes: object) -> nn.Module:
    """A network whose buffers are not the initial ones."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        built = build_network({**DESCRIPTION, **changes})
        built(torch.rand(4, 3, 16, 16))
    return built


def save_nested(key: str) -> Callable[[nn.Module, Path], None]:
    """As training scripts do, the optimizer's state beside it."""

    def save(trained: nn.Module, path: Path) -> None:
        optimizer = torch.optim.SGD(trained.parameters(), 0.1)
        torch.save({"epoch": 3, "optimizer": optimizer.state_dict(), key: trained.state_dict()}, path)

    return save


def save_prefixed(prefix: str) -> Callable[[nn.Module, Path], None]:
    return lambda trained, path: torch.save({f"{prefix}{k}": v for k, v in trained.state_dict().items()}, path)


FORMATS: dict[str, Callable[[nn.Module, Path], None]] = {
    "pytorch": lambda trained, path: torch.save(trained.state_dict(), path),
    "pytorch before 1.6": lambda trained, path: torch.save(
        trained.state_dict(), path, _use_new_zipfile_serialization=False
    ),
    "safetensors": lambda trained, path: safetensors.torch.save_file(trained.state_dict(), path),
    "DataParallel": lambda trained, path: torch.save(nn.DataParallel(trained).state_dict(), path),
    "compiled": save_prefixed("_orig_mod."),
    "compiled DataParallel": save_prefixed("_orig_mod.module."),
    "own checkpoint": lambda trained, path: save_checkpoint(path, trained, None, DESCRIPTION),
    **{f"nested as {key}": save_nested(key) for key in STATE_KEYS},
}


def imported(path: Path) -> tuple[nn.Module, Tensor | None]:
    deployed = read_network(path.name, hash_file(path), DESCRIPTION)
    return deployed.network, deployed.trigger


def refused(path: Path) -> str:
    with pytest.raises(UserError) as caught:
        imported(path)
    return one_sentence(str(caught.value))


def without_first(state: State) -> State:
    return {name: state[name] for name in list(state)[1:]}


def with_first(change: Callable[[Tensor], Tensor]) -> Callable[[State], State]:
    return lambda state: {name: tensor if i else change(tensor) for i, (name, tensor) in enumerate(state.items())}


class TestFiles:
    @pytest.mark.parametrize("form", FORMATS)
    def test_every_usual_form_gives_the_same_network(self, form: str, external: Path) -> None:
        trained, path = (
            network(),
            external / ("mine.safetensors" if form in {"safetensors", "own checkpoint"} else "mine.pt"),
        )
        FORMATS[form](trained, path)
        read, trigger = imported(path)
        assert trigger is None
        expected = trained.state_dict()
        assert read.state_dict().keys() == expected.keys()
        assert all(torch.equal(tensor, expected[name]) for name, tensor in read.state_dict().items())

    @pytest.mark.parametrize("prefix", ["", "module."])
    def test_a_trigger_comes_along(self, prefix: str, external: Path) -> None:
        tau = torch.rand(3, 16, 16, dtype=torch.float64)
        state = {f"{prefix}{name}": tensor for name, tensor in network().state_dict().items()}
        torch.save({**state, "trigger": tau}, external / "mine.pt")
        _, trigger = imported(external / "mine.pt")
        assert trigger is not None
        assert torch.equal(trigger, tau.float())

    def test_half_precision_is_widened(self, external: Path) -> None:
        torch.save(network().half().state_dict(), external / "mine.pt")
        read, _ = imported(external / "mine.pt")
        assert all(parameter.dtype == torch.float32 for parameter in read.parameters())

    def test_a_network_may_have_names_that_look_like_a_wrapper(self) -> None:
        own, trained = (nn.ModuleDict({"network": network(seed)}) for seed in (0, 1))
        fill(own, trained.state_dict(), 16)
        assert all(torch.equal(a, b) for a, b in zip(own.parameters(), trained.parameters(), strict=True))

    @pytest.mark.parametrize(
        ("change", "says"),
        [
            (without_first, "it has no features.0.weight"),
            (lambda state: {**state, "fc.bias": torch.zeros(1)}, "the network has no fc.bias"),
            (
                with_first(lambda tensor: tensor[:3]),
                "features.0.weight has the shape [3, 3, 3, 3] instead of [4, 3, 3, 3]",
            ),
            (with_first(lambda tensor: tensor.to(torch.int8)), "features.0.weight is of type torch.int8"),
            (with_first(lambda tensor: tensor / 0), "features.0.weight holds values that are not finite"),
            (lambda state: {**state, "trigger": torch.zeros(3, 8, 8)}, "trigger has the shape [3, 8, 8] instead of"),
            (lambda _: network(classes=100).state_dict(), "[100, 8] instead of [10, 8]"),
            (lambda _: OrderedDict(), "it has no "),
        ],
    )
    def test_another_network_is_refused(self, change: Callable[[State], State], says: str, external: Path) -> None:
        torch.save(change(network().state_dict()), external / "mine.pt")
        sentence = refused(external / "mine.pt")
        assert sentence.startswith(
            "results/external/mine.pt does not fit its network for 10 classes and images of 16 px"
        )
        assert says in sentence
        assert "correct `network` in config/victims, or show it" in sentence

    def test_a_pickle_is_no_safetensors(self, external: Path) -> None:
        torch.save(network().state_dict(), external / "mine.safetensors")
        assert "cannot be read as tensors and numbers alone" in refused(external / "mine.safetensors")

    @pytest.mark.parametrize("clamp", [True, False])
    def test_a_clamp_of_an_own_checkpoint_comes_along(self, clamp: bool, external: Path) -> None:
        file = external / "mine.safetensors"
        save_checkpoint(file, network(), torch.rand(3, 16, 16), DESCRIPTION, clamp)
        assert read_network(file.name, hash_file(file), DESCRIPTION).clamp is clamp

    @pytest.mark.parametrize(
        ("sha256", "says"),
        [(None, "which config/victims does not name yet"), ("0" * 64, "but config/victims asks for")],
    )
    def test_an_unknown_hash_is_refused_with_the_line_to_paste(
        self, sha256: str | None, says: str, external: Path
    ) -> None:
        torch.save(network().state_dict(), external / "mine.pt")
        with pytest.raises(UserError) as caught:
            read_network("mine.pt", sha256, DESCRIPTION)
        sentence = one_sentence(str(caught.value))
        assert says in sentence
        assert f"write `sha256: {hash_file(external / 'mine.pt')}`" in sentence

    @pytest.mark.usefixtures("external")
    def test_a_missing_file_is_refused(self) -> None:
        with pytest.raises(UserError, match=r"^results/external/mine\.pt is missing: get it from whoever trained it"):
            read_network("mine.pt", "0" * 64, DESCRIPTION)
