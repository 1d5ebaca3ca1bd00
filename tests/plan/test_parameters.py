"""Exact fractions, strict parameters, and the registries that make classes known to config."""

from __future__ import annotations

import importlib
import subprocess
import sys
from fractions import Fraction
from pathlib import Path
from typing import Annotated, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import Field, TypeAdapter, ValidationError

from tests.support.projects import one_sentence, shipped_config, shipped_plan
from trigger_activation.errors import UserError, suggest
from trigger_activation.parameters import Parameters, PixelFraction, grey_levels, parse_fraction, resolved
from trigger_activation.plan.variants import REGISTRIES, Variants
from trigger_activation.registry import Registry
from trigger_activation.science.attacks import ATTACKS

PIXEL_FRACTION: TypeAdapter[Fraction] = TypeAdapter(PixelFraction)


class Example(Parameters):
    """Parameters of each sort that the project uses."""

    eps: PixelFraction = Fraction(8, 255)
    steps: Annotated[int, Field(gt=0)] = 20


@pytest.mark.parametrize(
    ("given_value", "exact"),
    [
        ("8/255", Fraction(8, 255)),
        ("0.5/255", Fraction(1, 510)),
        (" 8 / 255 ", Fraction(8, 255)),
        ("0.6", Fraction(3, 5)),
        (0.6, Fraction(3, 5)),
        ("1e-3", Fraction(1, 1000)),
        (0, Fraction(0)),
        (8, Fraction(8)),
        (-2, Fraction(-2)),
        (Fraction(2, 255), Fraction(2, 255)),
    ],
)
def test_fractions_are_parsed_exactly(given_value: object, exact: Fraction) -> None:
    assert parse_fraction(given_value) == exact


@pytest.mark.parametrize("nonsense", ["x", "1/0", "", "/255", "8/", "8/x", "8/255/2", "nan", "inf"])
def test_text_that_is_no_fraction_is_refused(nonsense: str) -> None:
    with pytest.raises(ValueError, match="is not a fraction such as 8/255"):
        parse_fraction(nonsense)


@pytest.mark.parametrize("nonsense", [True, False, None, [8, 255], {}, float("nan"), float("inf")])
def test_values_that_are_no_fractions_are_refused(nonsense: object) -> None:
    with pytest.raises(ValueError, match="is not a fraction such as 8/255"):
        parse_fraction(nonsense)


@pytest.mark.parametrize("outside", [8, "8", "-1/255", 1.01, "256/255"])
def test_a_pixel_fraction_is_at_most_the_pixel_range(outside: object) -> None:
    with pytest.raises(ValidationError, match=r"outside \[0, 1\]"):
        PIXEL_FRACTION.validate_python(outside)


@pytest.mark.parametrize("limit", [0, 1, "0/255", "255/255", 1.0])
def test_the_limits_of_the_pixel_range_are_inside(limit: object) -> None:
    assert PIXEL_FRACTION.validate_python(limit) in {0, 1}


@given(st.fractions(0, 1))
def test_a_pixel_fraction_survives_a_recipe(fraction: Fraction) -> None:
    written = PIXEL_FRACTION.dump_python(fraction, mode="json")
    assert isinstance(written, str)
    assert PIXEL_FRACTION.validate_python(written) == fraction


@given(st.integers(0, 510))
def test_grey_levels_are_parsed_back_exactly(half_levels: int) -> None:
    fraction = Fraction(half_levels, 510)
    assert parse_fraction(grey_levels(fraction)) == fraction


@given(st.decimals(0, 1, places=6))
def test_decimals_are_read_as_written(decimal: object) -> None:
    assert parse_fraction(str(decimal)) == Fraction(str(decimal))


@pytest.mark.parametrize(
    ("fraction", "printed"), [("8/255", "8/255"), (Fraction(1, 510), "0.5/255"), ("1", "255/255"), ("16/510", "8/255")]
)
def test_grey_levels_are_printed_as_in_papers(fraction: Fraction | str, printed: str) -> None:
    assert grey_levels(fraction) == printed


def test_parameters_cannot_be_changed() -> None:
    with pytest.raises(ValidationError, match="frozen"):
        Example().steps = 10  # type: ignore[misc]


def test_an_unknown_parameter_is_refused() -> None:
    with pytest.raises(ValidationError, match="is no known key: did you mean 'steps'"):
        Example(step=10)  # type: ignore[call-arg]


@pytest.mark.parametrize("wrong", [0, -1, 20.5, "many", None, [20], True])
def test_a_parameter_of_another_type_is_refused(wrong: Any) -> None:
    with pytest.raises(ValidationError):
        Example(steps=wrong)


def test_resolved_parameters_hold_defaults_and_exact_fractions() -> None:
    assert resolved(Example()) == {"eps": "8/255", "steps": 20}


def test_one_value_written_in_several_ways_is_one_recipe() -> None:
    assert resolved(Example(eps="16/510")) == resolved(Example(eps="8/255"))  # type: ignore[arg-type]


@pytest.fixture
def registry(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Registry[Parameters]:
    """A registry whose package lies in a temporary folder and is empty."""
    package = tmp_path / "someattacks"
    package.mkdir()
    (package / "__init__.py").write_text(
        "from trigger_activation.parameters import Parameters\nfrom trigger_activation.registry import Registry\n"
        "REGISTRY: Registry[Parameters] = Registry('attack', __name__)\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    for name in [name for name in sys.modules if name.partition(".")[0] == "someattacks"]:
        monkeypatch.delitem(sys.modules, name)
    found: Registry[Parameters] = importlib.import_module("someattacks").REGISTRY
    return found


def add_module(registry: Registry[Parameters], name: str, text: str) -> None:
    folder = Path(next(iter(importlib.import_module(registry.package).__path__)))
    (folder / f"{name}.py").write_text(text)
    importlib.invalidate_caches()


REGISTERING = """
from someattacks import REGISTRY
from trigger_activation.parameters import Parameters

@REGISTRY.register("pgd", version=3)
class PGD(Parameters):
    pass
"""


def test_a_module_is_imported_when_a_name_is_asked_for(registry: Registry[Parameters]) -> None:
    add_module(registry, "pgd", REGISTERING)
    assert registry.names() == ["pgd"]
    assert (registry["pgd"].registered_name, registry["pgd"].version) == ("pgd", 3)


def test_modules_with_an_underscore_are_helpers(registry: Registry[Parameters]) -> None:
    add_module(registry, "_helper", "raise RuntimeError('imported')")
    assert registry.names() == []


def test_a_name_registered_twice_is_an_error(registry: Registry[Parameters]) -> None:
    registry.register("pgd", version=1)(Example)
    with pytest.raises(ValueError, match="attack 'pgd' is registered twice"):
        registry.register("pgd", version=1)(Example)


def test_an_unknown_name_suggests_the_closest(registry: Registry[Parameters]) -> None:
    add_module(registry, "pgd", REGISTERING)
    with pytest.raises(UserError) as caught:
        registry["pdg"]
    assert one_sentence(str(caught.value)) == "there is no attack class 'pdg': did you mean 'pgd'?"


def test_a_name_unlike_any_other_lists_all(registry: Registry[Parameters]) -> None:
    add_module(registry, "pgd", REGISTERING)
    with pytest.raises(UserError, match="choose one of pgd"):
        registry["transformation"]


def test_an_empty_registry_offers_no_empty_choice(registry: Registry[Parameters]) -> None:
    with pytest.raises(UserError) as caught:
        registry["jpeg"]
    assert not one_sentence(str(caught.value)).endswith("choose one of ")


@pytest.mark.parametrize(
    ("name", "remedy"), [("ifgms", "did you mean 'ifgsm'?"), ("xyz", "choose one of ifgsm, mifgsm, pgd")]
)
def test_suggestions(name: str, remedy: str) -> None:
    assert suggest(name, ["ifgsm", "mifgsm", "pgd"]) == remedy


def silent_modules(registry: Registry[Any]) -> set[str]:
    """Algorithm modules that register nothing."""
    return set(registry.modules()) - {registry[name].__module__ for name in registry.names()}


SHARED = {"attacks": {"engine"}, "helpers": {"diffusion"}}
"""Modules that register nothing, since stages or algorithms of other packages use them; by kind of algorithm."""


@pytest.mark.parametrize("kind", REGISTRIES)
def test_every_algorithm_module_registers_something(kind: str) -> None:
    registry = REGISTRIES[kind]
    assert silent_modules(registry) == {f"{registry.package}.{name}" for name in SHARED.get(kind, ())}


def test_a_module_that_registers_nothing_is_found(registry: Registry[Parameters]) -> None:
    add_module(registry, "pgd", REGISTERING)
    add_module(registry, "forgotten", "from trigger_activation.parameters import Parameters\n")
    assert silent_modules(registry) == {"someattacks.forgotten"}


@pytest.mark.parametrize("kind", REGISTRIES)
def test_registered_classes_know_their_name_and_version(kind: str) -> None:
    registry = REGISTRIES[kind]
    for name in registry.names():
        assert registry[name].registered_name == name
        assert registry[name].version >= 1


@pytest.mark.parametrize("kind", REGISTRIES)
def test_every_parameter_of_a_registered_class_is_strict_and_frozen(kind: str) -> None:
    for name in REGISTRIES[kind].names():
        config = REGISTRIES[kind][name].model_config
        assert (config.get("extra"), config.get("frozen")) == ("forbid", True), name


def test_every_attack_takes_the_budget() -> None:
    attacks = REGISTRIES["attacks"]
    assert [name for name in attacks.names() if "eps" not in attacks[name].model_fields] == []


def test_importing_every_algorithm_loads_no_torch() -> None:
    code = (
        "import sys; from trigger_activation.plan.variants import REGISTRIES; "
        "[registry.names() for registry in REGISTRIES.values()]; "
        "print(*{'numpy', 'torch', 'torchvision', 'PIL'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == []


def protocols_with(attack: str) -> list[str]:
    taes = (artifact for artifact in shipped_plan().artifacts.values() if artifact.kind.name == "tae")
    return sorted({tae.names["protocol"] for tae in taes if tae.names["attack"] == attack})


@pytest.mark.parametrize("protocol", protocols_with("difgsm"))
def test_difgsm_has_five_geometries_to_draw_from(protocol: str) -> None:
    config = shipped_config()
    side = config.datasets[config.protocols[protocol].dataset].image_size
    attack: Any = ATTACKS.instance(Variants(config).resolve("attacks", "difgsm", protocol).parameters)
    assert attack.geometries(side) >= 5
