"""The page on step sizes is what its script makes of the committed measurement, and says what the audit says."""

from __future__ import annotations

import importlib.util
import json
from typing import Any

import pytest

from tests.support.projects import ROOT, shipped_config
from trigger_activation.plan.config.values import WHITE_BOX
from trigger_activation.report.published.audit import audit
from trigger_activation.report.published.numbers import parse
from trigger_activation.science.attacks import ATTACKS

PUBLISHED = parse((ROOT / "config/published/published.csv").read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def script() -> Any:
    spec = importlib.util.spec_from_file_location("calibrate_steps", ROOT / "scripts/calibrate_steps.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_page_is_made_from_the_numbers(script: Any) -> None:
    found = json.loads((ROOT / "docs/step-calibration.json").read_text(encoding="utf-8"))
    assert script.rendered(found, PUBLISHED) == (ROOT / "docs/step-calibration.md").read_text(encoding="utf-8")
    assert [(row["eps"], row["attack"], row["grey"]) for row in found["rows"]] == list(script.TRIED)


def test_the_implied_white_box_accuracies_are_those_of_the_audit(script: Any) -> None:
    characteristics = (ROOT / "config/published/table6.csv").read_text(encoding="utf-8")
    (check,) = (check for check in audit(PUBLISHED, characteristics) if check.name == "white_box_share")
    expected = {(row["row"], row["tables"]): float(row["implied_white_box_accuracy"]) for row in check.records}
    for attack, found in script.implied(PUBLISHED).items():
        for (every, rest, _), white_box in zip(script.TABLES, found["white_box"], strict=True):
            assert white_box == pytest.approx(expected[script.PRINTED[attack], f"{rest} / {every}"])


def test_steps_in_config_are_those_that_fit_and_the_stronger_one(script: Any) -> None:
    """What config says where the steps of PGD stand."""
    found = json.loads((ROOT / "docs/step-calibration.json").read_text(encoding="utf-8"))["rows"]
    left: dict[tuple[str, str, str], float] = {(r["eps"], r["attack"], r["grey"]): r["white_box"] for r in found}
    printed = script.implied(PUBLISHED)
    pairs = zip(printed["pgd"]["white_box"], printed["ifgsm"]["white_box"], strict=True)
    shares = [float(pgd / ifgsm) for pgd, ifgsm in pairs]

    def fits(eps: str, grey: str) -> bool:
        return min(shares) < left[eps, "pgd", grey] / left[eps, "ifgsm", "0.4"] < max(shares)

    attacks = shipped_config().attacks
    for name, grey in (("pgd", "0.765"), ("pgd_bare", "0.765"), (WHITE_BOX, "2")):
        attack: Any = ATTACKS.instance({"class": "pgd", "eps": "8/255", "steps": 20, **attacks[name].parameters})
        assert attack.alpha * 255 == pytest.approx(float(grey), abs=1e-9), name
    assert [[fits(eps, grey) for eps in ("16/255", "24/255")] for grey in ("0.4", "0.765", "2")] == [
        [False, False],
        [True, True],
        [True, False],
    ]
    assert all(left[eps, "pgd", "2"] < left[eps, "pgd", "0.765"] for eps in ("16/255", "24/255"))
