"""Judging models that were written elsewhere, against cells and against numbers made by hand."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
import timm
import torch
import torchvision
from pyautoattack.examples import resnet
from pyautoattack.examples.resnet import ResNet18
from torch import Tensor, nn

from tests.support.projects import one_sentence
from tests.support.smoke_project import Project
from trigger_activation import evaluate, load_taes, load_victim
from trigger_activation.api import Evaluation
from trigger_activation.api.judging import judged
from trigger_activation.errors import UserError
from trigger_activation.plan.contents import Cell
from trigger_activation.store.documents import read_document

pytestmark = pytest.mark.workflow

ATTACKS = ["pgd", "mifgsm"]


def test_a_network_of_the_run_gets_the_numbers_of_its_cells(here: Project) -> None:
    found = evaluate(load_victim("smoke", "vgg-s", "fixed"), "smoke", attacks=ATTACKS, family="vgg-s")
    for attack in ATTACKS:
        document = read_document(f"results/cells/smoke/standard/{attack}/fixed_64.json")
        assert document is not None
        cell = document.content
        assert isinstance(cell, Cell)
        counts = dict(zip(cell.surrogates, cell.correct[0][cell.victims.index("vgg-s")], strict=True))
        expected = {surrogate: 100 * count / cell.images for surrogate, count in counts.items()}
        assert found.attacks[attack].per_surrogate == pytest.approx(expected)
        assert found.attacks[attack].all.mean == pytest.approx(np.mean(list(expected.values())))
        others = found.attacks[attack].other_families
        assert others is not None
        assert others.mean == pytest.approx(expected["resnet18-xs"])
    assert found.mean.all.mean == pytest.approx(np.mean([found.attacks[attack].all.mean for attack in ATTACKS]))
    assert here


def test_means_and_intervals_are_those_of_images() -> None:
    random = np.random.default_rng(0)
    clean = random.random(400) < 0.9
    attacked = {attack: {name: random.random(400) < 0.5 for name in ("a", "b")} for attack in ("one", "two")}
    accuracy, each, mean = judged(clean, attacked, ["b"])
    assert accuracy.mean == pytest.approx(100 * clean.mean())
    assert accuracy.margin == pytest.approx(1.966 * 100 * clean.std(ddof=1) / math.sqrt(400), rel=1e-3)
    over_images = np.mean([found for sets in attacked.values() for found in sets.values()], axis=0)
    assert mean.all.mean == pytest.approx(100 * over_images.mean())
    assert mean.all.margin == pytest.approx(1.966 * 100 * over_images.std(ddof=1) / math.sqrt(400), rel=1e-3)
    assert each["one"].other_families is not None
    assert each["one"].other_families.mean == pytest.approx(100 * attacked["one"]["b"].mean())


def test_one_image_has_no_interval() -> None:
    found = judged(np.array([True]), {"one": {"a": np.array([False])}}, None)
    assert found[0].margin is None
    assert found[2].other_families is None


class Upscaled(nn.Module):
    """A network for large images, with what it needs before it."""

    def __init__(self, network: nn.Module, side: int, normalised: bool = True) -> None:
        super().__init__()
        self.network = network
        self.side = side
        self.normalised = normalised

    def forward(self, images: Tensor) -> Tensor:
        large = nn.functional.interpolate(images, size=(self.side, self.side))
        logits: Tensor = self.network((large - 0.5) / 0.25 if self.normalised else large)
        return logits


def shipped_by_pyautoattack() -> nn.Module:
    """Its ResNet-18, trained on CIFAR-10 by its authors."""
    network = ResNet18()
    network.load_state_dict(torch.load(Path(resnet.__file__).with_name("model_test.pt"), "cpu", weights_only=True))
    return Upscaled(network, 32, normalised=False)


ELSEWHERE = {
    "torchvision resnet18": lambda: torchvision.models.resnet18(num_classes=10),
    "torchvision mobilenet_v3": lambda: torchvision.models.mobilenet_v3_small(num_classes=10),
    "torchvision vit": lambda: Upscaled(
        torchvision.models.VisionTransformer(
            image_size=32, patch_size=8, num_layers=2, num_heads=2, hidden_dim=32, mlp_dim=64, num_classes=10
        ),
        32,
    ),
    "timm convnext": lambda: Upscaled(timm.create_model("convnext_atto", num_classes=10), 32),
    "timm efficientnet": lambda: timm.create_model("efficientnet_lite0", num_classes=10),
    "pyautoattack ResNet-18": shipped_by_pyautoattack,
    "a function": lambda: lambda images: images.mean(dim=(2, 3)).repeat(1, 4)[:, :10],
}


@pytest.mark.parametrize("name", ELSEWHERE)
@pytest.mark.usefixtures("fixed_weights")
def test_models_that_others_wrote_are_judged_as_they_are(here: Project, name: str) -> None:
    model = ELSEWHERE[name]()
    modes = [module.training for module in model.modules()] if isinstance(model, nn.Module) else []
    found = evaluate(model, "smoke", attacks=["pgd"], batch_size=64, name=name, family="none")
    taes = load_taes("smoke", "vgg-s", "pgd")
    if isinstance(model, nn.Module):
        assert [module.training for module in model.modules()] == modes
        model.eval()
    with torch.no_grad():
        right = torch.cat([model(batch).argmax(dim=1) for batch in taes.images.split(64)]) == taes.labels
        clean = torch.cat([model(batch).argmax(dim=1) for batch in taes.clean.split(64)]) == taes.labels
    assert found.attacks["pgd"].per_surrogate["vgg-s"] == pytest.approx(100 * float(right.float().mean()))
    assert found.clean.mean == pytest.approx(100 * float(clean.float().mean()))
    assert found.mean.other_families == found.mean.all
    assert here


@pytest.mark.parametrize(
    ("model", "said"),
    [
        (lambda images: images, "returned logits of shape (50, 3, 16, 16) for 50 images: let it return (50, 10)"),
        (lambda images: images.mean(dim=(2, 3)), "the model knows 3 classes, but the data set has 10"),
        (lambda images: images.new_full((len(images), 10), math.nan), "the model returned NaN"),
        (lambda images: images.numpy(), "the model returned a ndarray: let it return a tensor"),
        (lambda images: images.new_zeros(1, 10), "returned logits of shape (1, 10) for 50 images"),
        ("resnet18", "a str cannot be called"),
    ],
)
def test_what_is_no_classifier_of_these_images_is_refused_in_a_sentence(
    here: Project, model: object, said: str
) -> None:
    with pytest.raises(UserError) as refusal:
        evaluate(model, "smoke", attacks=["pgd"], batch_size=50)  # type: ignore[arg-type]
    assert said in one_sentence(str(refusal.value))
    assert here


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"attacks": ["mifgs"]}, "has no attack 'mifgs' on its surrogates: did you mean 'mifgsm'?"),
        ({"attacks": []}, "no attack is asked for"),
        ({"family": "resnt"}, "has no surrogate of the family 'resnt': did you mean 'resnet'?"),
        ({"surrogates": "fxed"}, "with paradigm 'fxed'"),
        ({"seed": 5}, "with seed '5'"),
        ({"batch_size": 0}, "a batch of 0 images is none"),
    ],
)
def test_options_that_do_not_exist_are_refused_in_a_sentence(
    here: Project, options: dict[str, object], said: str
) -> None:
    with pytest.raises(UserError) as refusal:
        evaluate(lambda images: images.new_zeros(len(images), 10), "smoke", **options)  # type: ignore[arg-type]
    assert said in one_sentence(str(refusal.value))
    assert here


def test_a_family_is_a_network_or_its_class(here: Project) -> None:
    model = load_victim("smoke", "resnet18-xs", "standard")
    rows = [evaluate(model, "smoke", attacks=["pgd"], family=family) for family in ("resnet18-xs", "resnet")]
    assert rows[0].mean == rows[1].mean
    assert rows[0].mean.other_families is not None
    assert rows[0].mean.other_families.mean == pytest.approx(rows[0].mean.per_surrogate["vgg-s"])
    unknown = evaluate(model, "smoke", attacks=["pgd"])
    assert unknown.mean.other_families is None
    assert here


def test_a_row_survives_its_file(here: Project, tmp_path: Path) -> None:
    row = evaluate(load_victim("smoke", "vgg-s", "at"), "smoke", name="mine")
    row.write(tmp_path / "mine.json")
    assert Evaluation.read(tmp_path / "mine.json") == row
    assert row.series().name == "mine"
    assert list(row.series().index) == list(row.row())
    (tmp_path / "mine.json").write_text("{}")
    with pytest.raises(UserError, match="is no evaluation"):
        Evaluation.read(tmp_path / "mine.json")
    with pytest.raises(UserError, match="cannot be read"):
        Evaluation.read(tmp_path / "absent.json")
    assert here
