"""The Square attack, which asks for logits alone."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pydantic import PositiveInt

from trigger_activation.lazy import torch
from trigger_activation.science.attacks import ATTACKS
from trigger_activation.science.attacks.engine import Attack, check_finite, check_images, check_labels, seed_from

if TYPE_CHECKING:
    from torch import Generator, Tensor, nn


@ATTACKS.register("square", version=1)
class Square(Attack):
    """Square (Andriushchenko et al. 2020): random squares are kept where they lower the margin; no gradients.

    Run by pyautoattack, as in AutoAttack. Meant for victims that can be asked, not for surrogates.
    """

    queries: PositiveInt = 5000
    """For each image; AutoAttack takes 5,000."""

    @property
    def passes(self) -> float:
        """A query goes forward alone, which is half a gradient pass."""
        return self.queries / 2

    def perturb(self, network: nn.Module, images: Tensor, labels: Tensor, generator: Generator) -> Tensor:
        """See :meth:`Attack.perturb`; images that are misclassified anyway get stripes."""
        from pyautoattack.square import SquareAttack

        from trigger_activation.science.freezing import frozen

        check_images(images)
        with frozen(network), torch.no_grad(), seed_from(generator) as seed:
            check_labels(network, images, labels)
            made_by: Any = SquareAttack
            attack = made_by(network, n_queries=self.queries, eps=float(self.eps), device=images.device)
            attack.init_hyperparam(images)
            torch.manual_seed(seed)
            _, adversarial = attack.attack_single_run(images.contiguous(), labels)
            check_finite(network(adversarial).isfinite())
        result: Tensor = adversarial
        return result
