"""The plan: config turned into a typed graph of artifacts. Pure Python; it never imports torch."""

from trigger_activation.plan.experiments import build_plan
from trigger_activation.plan.graph import Artifact, Plan

__all__ = ["Artifact", "Plan", "build_plan"]
