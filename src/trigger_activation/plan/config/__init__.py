"""Config: the YAML files under ``config/``, checked strictly and turned into typed objects."""

from trigger_activation.plan.config.loader import load_config
from trigger_activation.plan.config.schema import Config

__all__ = ["Config", "load_config"]
