"""placeholder until the branch is merged"""

from typing import Any


def build_unet() -> Any: ...
def from_official(state: Any, network: Any) -> Any: ...
