"""What several stages do."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

import torch

from trigger_activation.errors import UserError
from trigger_activation.registry import Registry
from trigger_activation.run.job import Job
from trigger_activation.science.attacks import Attack
from trigger_activation.science.helpers import ConsultsHelper
from trigger_activation.science.images import largest_change

C = TypeVar("C", bound=ConsultsHelper)


def equipped(registry: Registry[C], recipe: Mapping[str, Any], job: Job[Any]) -> C:
    """The attack or preprocessing that a recipe names, with the helper network that it consults, if any."""
    tool, helper = registry.instance(recipe), job.helper()
    return tool if helper is None else tool.with_helper(helper)


def check_budget(adversarial: torch.Tensor, clean: torch.Tensor, attack: Attack, path: str) -> float:
    """The largest change of the stored bytes in percent of the budget.

    Raises:
        UserError: it is above 100 though the attack keeps its budget.
    """
    largest = largest_change(adversarial, clean)
    if attack.keeps_budget and largest > attack.eps * 255:
        raise UserError(
            f"{path} changes a pixel by {largest}/255, more than its budget of {float(attack.eps * 255):g}/255: "
            "delete it and run again"
        )
    return 100 * largest / float(attack.eps * 255)
