"""Base class of everything that takes parameters from config, and the types those parameters use."""

from __future__ import annotations

import re
from fractions import Fraction
from typing import Annotated, Any, ClassVar

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, PlainSerializer, model_validator
from pydantic_core import PydanticCustomError

from trigger_activation.errors import suggest


class FrozenModel(BaseModel):
    """Base of what wings hand to each other: immutable, no unknown keys, no conversions, no infinite numbers."""

    model_config = ConfigDict(
        extra="forbid", frozen=True, strict=True, allow_inf_nan=False, validate_by_name=True, validate_by_alias=True
    )


class StrictModel(FrozenModel):
    """Base of all that config fills in, whose readers are told the key that they probably meant."""

    @model_validator(mode="before")
    @classmethod
    def _known_keys(cls, content: Any) -> Any:
        """Refuse unknown keys before anything else, so that a misspelt key is not called missing."""
        if not isinstance(content, dict):
            return content
        known = {info.alias or name for name, info in cls.model_fields.items()}
        for key in content:
            if key not in known | cls.model_fields.keys():
                context = {"key": str(key), "remedy": suggest(str(key), sorted(known))}
                raise PydanticCustomError("unknown_key", "{key} is no known key: {remedy}", context)
        return content


class Parameters(StrictModel):
    """Parameters of a registered class."""

    registered_name: ClassVar[str]
    """The class's name in config, set by its registry."""
    version: ClassVar[int]
    """Raised whenever the class computes something else from the same parameters."""
    components: ClassVar[tuple[type[Parameters], ...]] = ()
    """Other registered classes that this one computes with; their versions belong to its recipe."""


NUMBER = re.compile(r"[+-]?[0-9]{0,40}(\.[0-9]{0,40})?(e[+-]?[0-9]{1,3})?", re.IGNORECASE)
"""Short ones only: as a fraction, 1e999999999 would fill the memory."""


def parse_fraction(value: object) -> Fraction:
    """Parse ``"8/255"``, ``"0.6"`` or a number exactly.

    Raises:
        ValueError: the value is no number.
    """
    if isinstance(value, bool) or not isinstance(value, str | int | float | Fraction):
        raise ValueError(f"{value!r} is not a fraction such as 8/255")
    numbers = [number.strip() for number in str(value).split("/")]
    try:
        if len(numbers) > 2 or not all(map(NUMBER.fullmatch, numbers)):
            raise ValueError
        return Fraction(numbers[0]) / Fraction(numbers[1] if len(numbers) == 2 else 1)
    except (ValueError, ZeroDivisionError):
        raise ValueError(f"{value!r} is not a fraction such as 8/255") from None


def _parse_pixel_fraction(value: object) -> Fraction:
    fraction = parse_fraction(value)
    if not 0 <= fraction <= 1:
        remedy = (
            f"{value}/255 if you mean grey levels"
            if isinstance(value, int | float) and value > 0
            else "a smaller one, without a sign"
        )
        raise ValueError(f"{value} is outside [0, 1], the range of a pixel: write {remedy}")
    return fraction


PixelFraction = Annotated[Fraction, BeforeValidator(_parse_pixel_fraction), PlainSerializer(str)]
"""A distance in the pixel range [0, 1], exact; written ``8/255`` in config and recipes."""


def _check_file_name(name: str) -> str:
    if not re.fullmatch(r"[\w.+() -]+", name) or name in {".", ".."}:
        raise ValueError(f"{name!r} is no name of a file in results/external: give the name alone")
    return name


def _check_sha256(value: str) -> str:
    if not re.fullmatch("[0-9a-f]{64}", value):
        raise ValueError(f"{value!r} is no sha256: give the 64 digits that `sha256sum` prints, or null to be told them")
    return value


ExternalFile = Annotated[str, AfterValidator(_check_file_name)]
"""A file or folder that the user puts under ``results/external``."""
Sha256 = Annotated[str, AfterValidator(_check_sha256)]
"""Of a file, in lower-case hexadecimal digits."""


def grey_levels(fraction: Fraction | str) -> str:
    """Format a pixel fraction as papers print it: ``8/255``, ``0.5/255``."""
    levels = parse_fraction(fraction) * 255
    return f"{float(levels):g}/255"


def resolved(parameters: Parameters) -> dict[str, Any]:
    """All parameters, defaults included, as JSON values for a recipe."""
    return parameters.model_dump(mode="json", by_alias=True)
