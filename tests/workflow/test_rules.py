"""Rules and rows of kinds agree, or the run is refused in one sentence before anything is planned."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.support.smoke_project import Project, new_project

from trigger_activation.plan.kinds import KINDS, named

pytestmark = pytest.mark.workflow
RULES = Path("workflow/rules")


@pytest.fixture
def fresh_rules(tmp_path: Path) -> Project:
    return new_project(tmp_path / "rules")


def complaint(project: Project) -> str:
    """The sentence of a dry run that is refused."""
    result = project.execute(project.command("--dry-run"))
    assert result.returncode != 0, result.stdout
    (sentence,) = (line for line in result.stdout.splitlines() if "plan/kinds.py" in line or "has no input" in line)
    return sentence.strip()


def test_a_rule_whose_pattern_is_not_its_kinds_is_refused(fresh_rules: Project) -> None:
    fresh_rules.edit("workflow/rules/attacks.smk", "<surrogate>/{attack}.npz", "<surrogate>/of_{attack}.npz")
    sentence = complaint(fresh_rules)
    assert "the rule tae makes" in sentence
    assert sentence.endswith("correct one of them")


def test_a_kind_without_a_rule_is_refused(fresh_rules: Project) -> None:
    fresh_rules.edit("workflow/rules/studies.smk", "rule trigger as theory with", "rule trigger as theories with")
    assert "no rule theory, which plan/kinds.py has a row for" in complaint(fresh_rules)


def test_a_role_that_a_kind_lacks_is_refused(fresh_rules: Project) -> None:
    fresh_rules.edit("workflow/rules/attacks.smk", '("tae", "surrogate")', '("tae", "surogate")')
    sentence = complaint(fresh_rules)
    assert "the kind tae has no input of the role surogate: did you mean 'surrogate'?" in sentence


def test_a_rule_of_an_unknown_kind_is_refused(fresh_rules: Project) -> None:
    fresh_rules.edit("workflow/rules/attacks.smk", '("tae", "surrogate")', '("tea", "surrogate")')
    assert "the rule tea makes no kind of artifact: did you mean 'tae'?" in complaint(fresh_rules)


def test_every_role_of_a_kind_is_an_input_of_its_rule(fresh_rules: Project) -> None:
    text = "".join(path.read_text() for path in sorted((fresh_rules.folder / RULES).glob("*.smk")))
    for kind in {named(kind.name) for kind in KINDS}:
        for role in kind.roles:
            assert f'needs("{kind.rule_name}", "{role}")' in text
        assert f'changed("{kind.rule_name}")' in text
