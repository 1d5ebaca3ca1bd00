"""Wrong parameters and wrong layers are refused in one sentence."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from pydantic import ValidationError
from torch import Tensor, nn

from tests.support.architectures import family
from tests.support.crafting import attack, craft, curved, random_batch
from tests.support.projects import one_sentence
from trigger_activation.errors import UserError
from trigger_activation.science.attacks import ATTACKS
from trigger_activation.science.attacks._copies import CopyingAttack

WRONG: list[tuple[str, dict[str, Any], str]] = [
    ("naa", {"path_points": 0}, "greater than 0"),
    ("naa", {"path_points": 2.5}, "valid integer"),
    ("naa", {"noise": -0.1}, "greater than or equal to 0"),
    ("naa", {"noise": float("inf")}, "finite number"),
    ("naa", {"path_end": "white"}, "'image' or 'black'"),
    ("naa", {"score": "margin"}, "'logit' or 'probability'"),
    ("rpa", {"score": "margin"}, "'logit' or 'probability'"),
    ("rpa", {"copies": 0}, "greater than 0"),
    ("rpa", {"copies": -3}, "greater than 0"),
    ("rpa", {"keep": -0.1}, "greater than or equal to 0"),
    ("rpa", {"keep": 1.1}, "less than or equal to 1"),
    ("rpa", {"patch_sizes": []}, "at least 1 item"),
    ("rpa", {"patch_sizes": [1, 0]}, "greater than 0"),
    ("gra", {"neighbours": 0}, "greater than 0"),
    ("gra", {"radius": -3.5}, "greater than or equal to 0"),
    ("vmifgsm", {"neighbours": 0}, "greater than 0"),
    ("vmifgsm", {"radius": -1.5}, "greater than or equal to 0"),
    ("gra", {"decay": 0}, "greater than 0"),
    ("gra", {"decay": 1.01}, "less than or equal to 1"),
    ("l2t", {"paths": 0}, "greater than 0"),
    ("l2t", {"operations": 0}, "greater than 0"),
    ("l2t", {"policy_learning_rate": -0.01}, "greater than or equal to 0"),
    ("l2t", {"families": []}, "at least 1 item"),
    ("l2t", {"families": ["identity", "blur"]}, "'identity', 'rotate', .* or 'translate'"),
    ("l2t", {"spectrum_copies": 7}, "5 or 10"),
    ("bsr", {"blocks": 0}, "greater than 0"),
    ("bsr", {"copies": 0}, "greater than 0"),
    ("bsr", {"degrees": -24}, "greater than or equal to 0"),
    ("bsr", {"rotate": "pixel"}, "'block' or 'strip'"),
    ("bsr", {"shortest": -1}, "greater than or equal to 0"),
]
COPYING = [name for name in ATTACKS.names() if issubclass(ATTACKS[name], CopyingAttack)]
by_features = pytest.mark.parametrize("name", ["naa", "rpa"])


@pytest.mark.parametrize(("name", "changes", "remedy"), WRONG)
def test_a_wrong_parameter(name: str, changes: dict[str, Any], remedy: str) -> None:
    with pytest.raises(ValidationError, match=remedy) as caught:
        attack(name, **changes)
    (error,) = caught.value.errors()
    assert error["loc"][0] == next(iter(changes))
    one_sentence(error["msg"])


@pytest.mark.parametrize("name", COPYING)
@pytest.mark.parametrize("memory", [0, -1, 0.5])
def test_memory_for_nothing(name: str, memory: float) -> None:
    with pytest.raises(ValidationError, match=r"greater than 0|valid integer"):
        attack(name, memory_mib=memory)


@pytest.mark.parametrize(
    ("name", "changes"), [("rpa", {"keep": 0}), ("rpa", {"keep": 1}), ("gra", {"decay": 1}), ("bsr", {"shortest": 0})]
)
def test_the_ends_of_the_ranges_are_allowed(name: str, changes: dict[str, Any]) -> None:
    attack(name, **changes)


@by_features
class TestLayers:
    def refused(self, name: str, network: nn.Module, layer: str) -> str:
        images, labels = random_batch()
        with pytest.raises(UserError) as caught:
            craft(name, network, images, labels, layer=layer)
        return one_sentence(str(caught.value))

    @pytest.mark.parametrize(
        ("layer", "closest"), [("layer_2", "layer2"), ("layer2.O", "layer2.0"), ("layr3", "layer3")]
    )
    def test_a_misspelt_layer(self, name: str, layer: str, closest: str) -> None:
        sentence = self.refused(name, family("resnet18-xs").build(16, 10).double(), layer)
        assert sentence == f"the network has no layer {layer!r} to attack: did you mean {closest!r}?"

    @pytest.mark.parametrize("layer", ["stage2", "", "xyz"])
    def test_a_layer_unlike_any(self, name: str, layer: str) -> None:
        sentence = self.refused(name, curved(), layer)
        assert sentence.startswith(f"the network has no layer {layer!r} to attack: choose one of body, body.0")

    def test_a_layer_that_the_network_never_uses(self, name: str) -> None:
        network = curved()
        network.body.unused = nn.Linear(1, 1)
        network.body.forward = lambda images: network.body[1](network.body[0](images))  # type: ignore[method-assign]
        sentence = self.refused(name, network, "body.unused")
        assert sentence == "the network never uses its layer Linear: attack another layer"

    def test_a_layer_that_is_no_longer_used_after_the_weights_are_taken(self, name: str) -> None:
        class Fickle(nn.Module):
            def __init__(self) -> None:
                super().__init__()
                self.body, self.head, self.calls = curved().body, curved().head, 0

            def forward(self, images: Tensor) -> Tensor:
                self.calls += 1
                features = self.body(images) if self.calls < 5 else torch.zeros(len(images), 4, 8, 8).to(images)
                logits: Tensor = self.head(features + 0 * images.mean())
                return logits

        assert "never uses its layer" in self.refused(name, Fickle(), "body")
