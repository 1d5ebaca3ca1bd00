"""Rows of kinds: each has its stage, its rule and paths of its own, and artifacts are what their rows say."""

from __future__ import annotations

import ast
import re
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest

from tests.support.projects import Given, one_sentence, shipped_config, shipped_plan
from trigger_activation.errors import UserError
from trigger_activation.plan import Artifact, Plan, kinds
from trigger_activation.plan.kind import Kind
from trigger_activation.plan.kinds import KINDS
from trigger_activation.plan.wildcards import PACKAGE, check_paths, check_rows, constraints

WINGS = re.compile(r"\b(?:trigger_activation\.)?(run|store|report)((?:\.[a-z_]\w*)+)")
"""Modules of the wings that come after the plan, as a text would name them."""
CELL = "results/cells/fashion16/standard/pgd/at.json"
CELL_NAMES = {"protocol": "fashion16", "surrogates": "standard", "attack": "pgd", "column": "at"}


def planned_kinds() -> dict[str, Kind]:
    return {path: artifact.kind for path, artifact in shipped_plan().artifacts.items()}


class TestRows:
    def test_every_rule_makes_one_kind(self) -> None:
        assert [rule for rule, count in Counter(kind.rule_name for kind in KINDS).items() if count > 1] == []
        assert all(kinds.of_rule(kind.rule_name) is kind for kind in KINDS)

    def test_a_name_stands_for_one_kind_of_computation(self) -> None:
        """One that is made at two paths has two rows, which differ in nothing else that recipes and jobs read."""
        for kind in KINDS:
            first = kinds.named(kind.name)
            assert replace(kind, pattern=first.pattern, instance=first.instance, rule=first.rule) == first

    def test_every_stage_exists(self) -> None:
        check_rows()

    @pytest.mark.parametrize("stage", ["run.stages.cells:make_novelty", "run.stages.novelties:make_cell", "novelty"])
    def test_a_kind_without_a_stage_is_refused(self, stage: str) -> None:
        novelty = replace(kinds.CELL, name="novelty", stage=stage)
        with pytest.raises(
            UserError, match=f"the kind novelty names the stage {stage}, which does not exist"
        ) as caught:
            check_rows([*KINDS, novelty])
        one_sentence(str(caught.value))

    @pytest.mark.parametrize("find", [kinds.named, kinds.of_rule])
    def test_what_no_row_has_is_refused(self, find: object) -> None:
        assert callable(find)
        with pytest.raises(UserError, match="did you mean 'checkpoint'") as caught:
            find("chekpoint")
        one_sentence(str(caught.value))

    @pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.rule_name)
    def test_files_and_titles_are_made_of_the_names_in_its_path(self, kind: Kind) -> None:
        names = set(re.findall(r"{(\w+)}", kind.pattern))
        texts = (*kind.companions, *kind.by_products, kind.variant, kind.setting)
        assert {name for text in texts for name in re.findall(r"{(\w+)}", text)} <= names
        assert kind.group in names
        assert names <= constraints(shipped_config()).keys()

    def test_stages_are_all_that_the_plan_names_of_later_wings(self) -> None:
        """They are imported when a job runs; everything else the plan would have to import."""
        found = {(file.name, text) for file in (PACKAGE / "plan").rglob("*.py") for text in names_of_later_wings(file)}
        assert found == {("kinds.py", kind.stage) for kind in KINDS}


def names_of_later_wings(file: Path) -> list[str]:
    """Texts of a module, but for its docstrings, that name a module of a later wing; and what it imports of these."""
    tree = ast.parse(file.read_text("utf-8"))
    explaining = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    texts = [
        node.value
        for node in ast.walk(tree)
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in explaining
    ]
    texts += [str(node.module) for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)]
    texts += [alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names]
    return [text for text in texts if any(is_module(match) for match in WINGS.finditer(text))]


def is_module(match: re.Match[str]) -> bool:
    path = PACKAGE / match[1] / match[2].split(".")[1]
    return path.is_dir() or path.with_suffix(".py").exists()


class TestPaths:
    def test_every_planned_path_has_one_kind(self) -> None:
        check_paths(planned_kinds(), constraints(shipped_config()))

    def test_two_kinds_of_one_path_are_refused(self) -> None:
        rival = replace(kinds.CELL, name="rival", pattern="results/cells/{protocol}/{paradigm}/{attack}/{column}.json")
        with pytest.raises(UserError) as caught:
            check_paths({CELL: kinds.CELL}, constraints(shipped_config()), [*KINDS, rival])
        assert one_sentence(str(caught.value)) == (
            f"plan/kinds.py: {CELL} is to be made as cell, but matches the pattern of cell and rival: let constraints "
            "tell them apart"
        )

    def test_kinds_that_constraints_tell_apart_share_a_folder(self) -> None:
        rival = replace(kinds.CELL, name="rival", pattern="results/cells/{protocol}/{table}/{attack}/{column}.json")
        check_paths({CELL: kinds.CELL}, constraints(shipped_config()), [*KINDS, rival])
        matched = {**constraints(shipped_config()), "table": "standard"}
        with pytest.raises(UserError, match="cell and rival"):
            check_paths({CELL: kinds.CELL}, matched, [*KINDS, rival])

    @pytest.mark.parametrize(
        ("path", "rivals"), [(CELL, "no kind"), ("results/taes/fashion16/vgg-s__at/seed0/pgd.npz", "tae")]
    )
    def test_a_path_that_its_kind_does_not_make_is_refused(self, path: str, rivals: str) -> None:
        others = [kind for kind in KINDS if kind is not kinds.CELL]
        with pytest.raises(UserError, match=f"{path} is to be made as cell, but matches the pattern of {rivals}:"):
            check_paths({path: kinds.CELL}, constraints(shipped_config()), others)

    def test_an_artifact_lies_where_its_row_says(self) -> None:
        matched = constraints(shipped_config())
        patterns = {kind.rule_name: kind.pattern_regex(matched) for kind in KINDS}
        for path, artifact in shipped_plan().artifacts.items():
            assert artifact.path == path == artifact.kind.path(artifact.names)
            assert patterns[artifact.kind.rule_name].fullmatch(path), path

    def test_artifacts_of_the_plan_are_of_the_rows(self) -> None:
        assert {kind.rule_name for kind in planned_kinds().values()} == {
            kind.rule_name for kind in KINDS if kind != kinds.IMPORTED
        }
        assert all(kind in KINDS for kind in planned_kinds().values())


class TestArtifacts:
    def test_files_are_those_of_the_row(self) -> None:
        cell = Artifact(kinds.CELL, CELL_NAMES, Given({}), {}, {})
        assert cell.path == CELL
        assert cell.by_products == ("results/predictions/fashion16/standard/pgd/at.npz",)
        assert cell.companions == ()
        assert cell.group == "fashion16"
        table = Artifact(kinds.TABLE, {"experiment": "e", "table": "table1"}, Given({}), {}, {})
        assert table.files == tuple(f"paper_tables/e/table1.{suffix}" for suffix in ("tex", "csv", "md"))

    @pytest.mark.parametrize("asked", ["inputs", "optional"])
    def test_an_input_of_a_role_that_its_kind_lacks_is_refused(self, asked: str) -> None:
        cell = replace(Artifact(kinds.CELL, CELL_NAMES, Given({}), {}, {}), **{asked: {"helper": ()}})
        with pytest.raises(UserError) as caught:
            Plan().add(cell)
        assert one_sentence(str(caught.value)) == (
            f"{CELL} has an input of the role helper, which the kind cell lacks: name it in plan/kinds.py"
        )

    def test_roles_may_be_the_names_of_tables(self) -> None:
        plan, names = Plan(), {"experiment": "e"}
        plan.add(Artifact(kinds.COMPARISON, names, Given({}), {}, {"table1": (), "table2": ()}))
        with pytest.raises(UserError, match="the role table1"):
            plan.add(Artifact(kinds.AUDIT, names, Given({}), {}, {"table1": ()}))

    def test_parameters_come_back_from_their_json(self) -> None:
        """A job reads what the recipe covers, and means the same by it."""
        for artifact in shipped_plan().artifacts.values():
            parsed = artifact.kind.parsed(artifact.settings)
            assert type(parsed) is type(artifact.parameters), artifact.path
            assert parsed.as_json() == artifact.settings, artifact.path
