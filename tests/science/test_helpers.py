"""Helper networks: files that others trained, read without trusting them, and how the plan asks for helpers."""

from __future__ import annotations

import os
import pickle
from pathlib import Path
from typing import Any, ClassVar
from zipfile import ZipFile

import numpy as np
import pytest
import torch
from pydantic import ValidationError
from torch import Tensor, nn

from tests.support.projects import Project, one_sentence, shipped_config, shipped_plan
from trigger_activation.errors import UserError
from trigger_activation.plan.kinds import EXTERNAL
from trigger_activation.run.stages import training
from trigger_activation.science.helpers import HELPERS, ImportedHelper
from trigger_activation.science.helpers._official import named_tensors
from trigger_activation.store.checkpoints import build_helper, load_helper, save_checkpoint
from trigger_activation.store.external import read_external
from trigger_activation.store.records import hash_file

CPU = torch.device("cpu")
PARAMETERS: dict[str, Any] = {"class": "ddpm", "channels": [8], "epochs": 1}
DESCRIPTION = {"helper": PARAMETERS, "image_size": 16}


class Doubling(ImportedHelper):
    """Whose official file calls its one weight ``w`` and holds half of it."""

    registered_name, version = "doubling", 1
    origin: ClassVar[str] = "its authors"

    def build(self, image_size: int) -> nn.Module:
        return nn.Linear(image_size, 1, bias=False)

    def converted(self, content: object, network: nn.Module) -> dict[str, Tensor]:
        state = named_tensors(content)
        if set(state) != {"w"}:
            raise ValueError("it has no w")
        assert set(network.state_dict()) == {"weight"}
        return {"weight": 2 * state["w"]}


@pytest.fixture
def external(folder: Path) -> Path:  # noqa: ARG001
    """``results/external`` of an empty project."""
    EXTERNAL.mkdir(parents=True)
    return EXTERNAL


def refused(sha256: str | None) -> str:
    with pytest.raises(UserError) as caught:
        read_external("model.pt", sha256, "its authors")
    return one_sentence(str(caught.value))


class TestExternalFiles:
    @pytest.mark.parametrize("package", ["numpy._core", "numpy.core"])
    def test_a_known_file_is_read(self, package: str, external: Path) -> None:
        """With a learning rate that NumPy has computed, pickled as NumPy 2 or 1 does."""
        torch.save({"model": {"w": torch.arange(3.0)}, "rates": [np.float64(0.5)], "step": 7}, external / "new.pt")
        with ZipFile(external / "new.pt") as new, ZipFile(external / "model.pt", "w") as file:
            for name in new.namelist():
                file.writestr(name, new.read(name).replace(b"numpy._core", package.encode()))
        content: Any = read_external("model.pt", hash_file(external / "model.pt"), "its authors")
        assert torch.equal(content["model"]["w"], torch.arange(3.0))
        assert (content["rates"], content["step"]) == ([0.5], 7)

    def test_a_missing_file_says_where_to_get_it(self, external: Path) -> None:
        assert refused("0" * 64) == f"{external}/model.pt is missing: get it from its authors and put it there"

    def test_a_file_that_config_has_no_hash_for_is_refused_with_the_line_to_paste(self, external: Path) -> None:
        torch.save({"w": torch.zeros(1)}, external / "model.pt")
        assert f"then write `sha256: {hash_file(external / 'model.pt')}`" in refused(None)

    def test_a_file_with_another_hash_is_refused(self, external: Path) -> None:
        torch.save({"w": torch.zeros(1)}, external / "model.pt")
        assert f"but config/helpers asks for {'0' * 64}" in refused("0" * 64)

    def test_code_in_a_file_is_not_run(self, external: Path) -> None:
        class Malicious:
            def __reduce__(self) -> tuple[Any, ...]:
                return os.mkdir, ("owned",)

        torch.save({"w": Malicious()}, external / "model.pt")
        complaint = refused(hash_file(external / "model.pt"))
        assert f"cannot be read as tensors and numbers alone (it asks for {os.mkdir.__module__}.mkdir)" in complaint
        (external / "model.pt").write_bytes(pickle.dumps(Malicious()))
        assert "cannot be read as tensors and numbers alone" in refused(hash_file(external / "model.pt"))
        assert not Path("owned").exists()

    @pytest.mark.parametrize("share", [0.0, 0.3, 0.9])
    def test_a_truncated_file_is_refused(self, share: float, external: Path) -> None:
        torch.save({"w": torch.arange(1000.0)}, external / "model.pt")
        whole = (external / "model.pt").read_bytes()
        (external / "model.pt").write_bytes(whole[: int(share * len(whole))])
        refused(hash_file(external / "model.pt"))

    def test_a_truncated_file_of_the_format_before_pytorch_1_6_is_refused(self, external: Path) -> None:
        torch.save({"w": torch.arange(10.0)}, external / "model.pt", _use_new_zipfile_serialization=False)
        whole = (external / "model.pt").read_bytes()
        for length in range(0, len(whole), 7):
            (external / "model.pt").write_bytes(whole[:length])
            refused(hash_file(external / "model.pt"))

    @pytest.mark.parametrize("file", ["../model.pt", "/etc/passwd", "sub/model.pt", "", ".."])
    def test_only_files_of_the_folder_can_be_named(self, file: str) -> None:
        with pytest.raises(ValidationError, match="no name of a file in results/external"):
            Doubling(file=file, sha256=None)

    @pytest.mark.parametrize("sha256", ["", "abc", "G" * 64])
    def test_a_hash_that_is_none_is_refused(self, sha256: str) -> None:
        with pytest.raises(ValidationError):
            Doubling(file="model.pt", sha256=sha256)


class TestImport:
    def test_the_file_is_converted_and_loaded(self, external: Path) -> None:
        torch.save({"w": torch.ones(1, 4)}, external / "model.pt")
        network = training._imported(Doubling(file="model.pt", sha256=hash_file(external / "model.pt")), 4)
        assert network(torch.ones(1, 4)).item() == 8

    @pytest.mark.parametrize(
        ("content", "reason"),
        [
            ({"v": torch.ones(1, 4)}, "it has no w"),
            ({"w": torch.ones(1, 5)}, "size mismatch"),
            ([torch.ones(1, 4)], "named tensors"),
            ({"w": 1}, "named tensors"),
            ({"model": {"w": torch.ones(1, 4)}}, "named tensors"),
        ],
    )
    def test_another_network_is_refused(self, content: object, reason: str, external: Path) -> None:
        torch.save(content, external / "model.pt")
        with pytest.raises(UserError, match="holds another network") as caught:
            training._imported(Doubling(file="model.pt", sha256=hash_file(external / "model.pt")), 4)
        assert reason in one_sentence(str(caught.value))


class TestHelperFiles:
    def test_come_back_as_they_were_written(self, tmp_path: Path) -> None:
        network = build_helper(DESCRIPTION).eval()
        save_checkpoint(tmp_path / "helper.safetensors", network, None, DESCRIPTION)
        loaded = load_helper(tmp_path / "helper.safetensors", CPU, PARAMETERS)
        images = torch.rand(2, 3, 16, 16)
        assert torch.equal(loaded(images, 5).sample, network(images, 5).sample)
        assert not loaded.training
        assert not any(parameter.requires_grad for parameter in loaded.parameters())

    def test_of_another_helper_are_refused(self, tmp_path: Path) -> None:
        save_checkpoint(tmp_path / "helper.safetensors", build_helper(DESCRIPTION), None, DESCRIPTION)
        with pytest.raises(UserError, match="cannot be used as a checkpoint"):
            load_helper(tmp_path / "helper.safetensors", CPU, {**PARAMETERS, "channels": [16]})

    def test_a_classifier_is_no_helper(self, tmp_path: Path) -> None:
        save_checkpoint(tmp_path / "network.safetensors", nn.Linear(2, 2), None, {"network": {}})
        with pytest.raises(UserError, match="cannot be used as a checkpoint"):
            load_helper(tmp_path / "network.safetensors", CPU, PARAMETERS)


@pytest.mark.parametrize(("name", "parameters"), [("ddpm-xs", 40_611), ("nrp-xs", 14_803)])
def test_the_shipped_miniatures_have_the_parameters_that_config_says(name: str, parameters: int) -> None:
    variant = shipped_config().helpers[name]
    with torch.device("meta"):
        network = HELPERS[variant.class_](**variant.parameters).build(32)
    assert sum(parameter.numel() for parameter in network.parameters()) == parameters


class TestPlan:
    def test_only_what_consults_a_helper_depends_on_it(self) -> None:
        plan = shipped_plan()
        helper = "results/checkpoints/photos32/ddpm-xs__denoising/seed0.safetensors"
        asking = {path for path, artifact in plan.artifacts.items() if helper in artifact.input_paths}
        asking.remove("paper_tables/demo/run.json")  # which reads the records of all artifacts
        attacked = {path for path in asking if path.startswith("results/taes/")}
        assert attacked == {
            f"results/taes/photos32/{network}__standard/seed0/diffpgd.npz" for network in ("vgg-s", "resnet50-xs")
        }
        assert {Path(path).stem.split("__")[-1] for path in asking - attacked} == {"diffpure"}

    def test_a_trained_helper_sees_training_images_only(self) -> None:
        artifact = shipped_plan()["results/checkpoints/photos32/ddpm-xs__denoising/seed0.safetensors"]
        assert artifact.input_paths == ("results/datasets/photos32/train.npz",)

    def test_a_trained_purifier_sees_an_undefended_network_too(self) -> None:
        artifact = shipped_plan()["results/checkpoints/fashion16/nrp-xs__purification/seed0.safetensors"]
        assert artifact.inputs == {
            "train": ("results/datasets/fashion16/train.npz",),
            "teacher": ("results/checkpoints/fashion16/vgg-s__standard/seed0.safetensors",),
        }

    def test_purified_sets_rest_on_the_generator_of_their_protocol(self) -> None:
        helpers = {
            path.split("/")[2]: artifact.inputs["helper"]
            for path, artifact in shipped_plan().artifacts.items()
            if path.endswith("nrp.npz")
        }
        full = dict.fromkeys(("cifar10", "cifar100", "imagenet100"), "nrp-full__pretrained")
        small = dict.fromkeys(
            (
                "fashion16",
                "fashion16-again",
                "fashion16-ablation",
                "digit-pairs",
                "digit-pairs-again",
                "photos32",
                "photos32-again",
                "smoke",
                "cifar10-small",
            ),
            "nrp-xs__purification",
        )
        assert helpers == {
            protocol: (f"results/checkpoints/{protocol}/{name}/seed0.safetensors",)
            for protocol, name in (full | small).items()
        }

    def test_an_imported_helper_needs_nothing(self) -> None:
        path = "results/checkpoints/imagenet100/guided-diffusion-256__pretrained/seed0.safetensors"
        assert shipped_plan()[path].input_paths == ()

    def test_a_row_that_rests_on_a_substitute_says_so(self) -> None:
        labels = {
            experiment: [
                row["label"]
                for row in shipped_plan()[f"paper_tables/{experiment}/table4.tex"].settings["rows"]
                if row["attack"] == "diffpgd"
            ]
            for experiment in ("demo", "paper")
        }
        assert labels == {"demo": ["Diff-PGD (substitute)"], "paper": ["Diff-PGD"]}

    def test_a_column_that_rests_on_a_substitute_says_so(self) -> None:
        labels = {
            experiment: [
                column["label"]
                for column in shipped_plan()[f"paper_tables/{experiment}/table2.tex"].settings["columns"]
                if column["name"] == "nrp"
            ]
            for experiment in ("demo", "paper")
        }
        assert labels == {"demo": ["NRP (substitute)"], "paper": ["NRP"]}

    def test_a_protocol_without_the_role_is_told_to_fill_it(self, project: Project) -> None:
        project.replace("protocols/photos32.yaml", "  diffusion: ddpm-xs\n", "")
        complaint = project.complaint()
        assert "protocols/photos32.yaml" in complaint
        assert "add `diffusion: <one of config/helpers>`" in complaint
