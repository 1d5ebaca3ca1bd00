"""Sanity checks: what fails them, what tables say then, and that a network that misbehaves is found out."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from tests.report.test_tables import accuracy_layout, cell, column
from trigger_activation.report.tables import render
from trigger_activation.run.stages._evidence import same_twice
from trigger_activation.science.preprocessing import PREPROCESSING
from trigger_activation.science.sanity import EXPLANATIONS, Evidence, SanityLimits, explanation, failures

LIMITS = SanityLimits()
CHECKS: dict[str, float] = LIMITS.model_dump()


def test_every_check_has_a_limit_an_explanation_and_a_paragraph() -> None:
    paragraphs = (Path(__file__).parents[2] / "docs/sanity-checks.md").read_text(encoding="utf-8")
    assert set(EXPLANATIONS) == set(CHECKS)
    for check, limit in CHECKS.items():
        assert f"`{check}` (limit {limit:g}" in paragraphs


@pytest.mark.parametrize("check", CHECKS)
def test_a_check_fails_beyond_its_limit_and_not_at_it(check: str) -> None:
    limit = CHECKS[check]
    assert failures({check: [limit, 0.0]}, LIMITS) == {}
    assert failures({check: [0.0, limit + 0.5, limit]}, LIMITS) == {check: limit + 0.5}


def test_nothing_fails_where_nothing_was_observed() -> None:
    assert failures({}, LIMITS) == failures({"white_box": []}, LIMITS) == {}


def test_an_explanation_tells_the_worst_of_all_cells() -> None:
    cells: list[Evidence] = [{"white_box": [value]} for value in (12.0, 43.0, 5.0)]
    told = explanation([*cells, {"single_step": [7.0]}], LIMITS)
    assert told is not None
    assert "43.0 %" in told
    assert "masked gradients" in told
    assert explanation(cells[2:], LIMITS) is None


def rendered(evidence: dict[str, list[float]]) -> dict[str, str]:
    names = ("none", "at")
    cells = [
        cell("pgd", name, value, path=f"{name}.json", evidence=evidence if name == "none" else {})
        for name, value in zip(names, (42.5, 73.0), strict=True)
    ]
    return render(accuracy_layout(["pgd"], [column(name) for name in names]), cells)


def test_a_table_marks_the_cell_that_fails_and_says_why() -> None:
    found = rendered({"white_box": [43.0, 1.0]})
    assert "| PGD | <u>42.50</u>† ± 0.00 | **73.00** ± 0.00 |" in found[".md"]
    assert "†: fails a sanity check" in found[".md"]
    assert r"\underline{42.50}$^{\dagger}$" in found[".tex"]
    assert found[".csv"].splitlines()[1].endswith(",white_box")


def test_a_table_whose_cells_pass_has_no_mark() -> None:
    assert not any("†" in text or "dagger" in text for text in rendered({"white_box": [9.0]}).values())


def test_a_random_defense_that_draws_nothing_is_found_out() -> None:
    images = torch.randint(0, 256, (8, 16, 16, 3), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    shares = [same_twice(PREPROCESSING["resize_pad"](scale=scale), images, "a path") for scale in (1, 2)]
    assert shares[0] == 100 > LIMITS.randomness > shares[1]
