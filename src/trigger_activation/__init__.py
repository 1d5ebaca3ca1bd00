"""The reproducible paper on trigger activation against transferable adversarial examples.

What can be loaded, and how a model of one's own is judged, is in :mod:`trigger_activation.api`, whose functions can be
imported from here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from trigger_activation.api import evaluate, list_taes, list_victims, load_surrogate, load_taes, load_victim

__version__ = "0.1.0"
__all__ = ["__version__", "evaluate", "list_taes", "list_victims", "load_surrogate", "load_taes", "load_victim"]


def __getattr__(name: str) -> Any:
    """Functions of the API, which is imported when one is asked for: it needs torch."""
    if name in __all__:
        from trigger_activation import api

        return getattr(api, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
