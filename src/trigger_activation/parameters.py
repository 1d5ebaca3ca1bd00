"""Base class of everything that takes parameters from config, and the types those parameters use."""

from __future__ import annotations

from fractions import Fraction
from typing import Annotated, Any, ClassVar

from pydantic import BaseModel, BeforeValidator, ConfigDict, PlainSerializer


class Parameters(BaseModel):
    """Immutable, strictly checked parameters; an unknown key is an error."""

    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)

    registered_name: ClassVar[str]
    """The class's name in config, set by its registry."""
    version: ClassVar[int]
    """Raised whenever the class computes something else from the same parameters."""


def parse_fraction(value: object) -> Fraction:
    """Parse ``"8/255"``, ``"0.6"`` or a number exactly.

    Raises:
        ValueError: the value is no number.
    """
    if isinstance(value, bool) or not isinstance(value, str | int | float | Fraction):
        raise ValueError(f"{value!r} is not a fraction such as 8/255")
    numerator, _, denominator = str(value).partition("/")
    try:
        return Fraction(numerator.strip()) / Fraction(denominator.strip() or "1")
    except (ValueError, ZeroDivisionError):
        raise ValueError(f"{value!r} is not a fraction such as 8/255") from None


def _parse_pixel_fraction(value: object) -> Fraction:
    fraction = parse_fraction(value)
    if not 0 <= fraction <= 1:
        raise ValueError(f"{value} is outside [0, 1], the range of a pixel: write {value}/255 if you mean grey levels")
    return fraction


PixelFraction = Annotated[Fraction, BeforeValidator(_parse_pixel_fraction), PlainSerializer(str)]
"""A distance in the pixel range [0, 1], exact; written ``8/255`` in config and recipes."""


def grey_levels(fraction: Fraction | str) -> str:
    """Format a pixel fraction as papers print it: ``8/255``, ``0.5/255``."""
    levels = parse_fraction(fraction) * 255
    return f"{float(levels):g}/255"


def resolved(parameters: Parameters) -> dict[str, Any]:
    """All parameters, defaults included, as JSON values for a recipe."""
    return parameters.model_dump(mode="json", by_alias=True)
