"""The plan: config turned into a typed graph of artifacts. Pure Python; it never imports torch."""

from trigger_activation.plan.artifact import Artifact, Plan
from trigger_activation.plan.experiments import build_plan

__all__ = ["Artifact", "Plan", "build_plan"]
