"""Code that makes results does not change under an unchanged version."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from trigger_activation.plan.kind import Kind
from trigger_activation.plan.kinds import KINDS
from trigger_activation.store import fingerprints

READ_IMAGES = {
    *("checkpoint", "ensemble", "helper", "tae", "excerpt", "purified", "cell"),
    *("trigger", "flip", "concept", "theory", "cost", "whitebox", "informed"),
    "dataset",
}
"""Kinds whose stages turn bytes into pixels or pixels into bytes; data sets have images by name, which counts too."""


def test_changed_code_has_a_changed_version() -> None:
    changed = fingerprints.changed_without_version()
    assert not changed, (
        f"{changed} changed but not their version: raise `version=` (of algorithms, or of rows in plan/kinds.py) or, "
        "if the results are the same bytes, run `trigact accept`"
    )


def test_every_kind_has_a_fingerprint() -> None:
    assert {f"stage/{kind.name}" for kind in KINDS} <= set(fingerprints.fingerprints())


def normalised(code: str) -> str:
    return ast.dump(fingerprints.normalised(ast.parse(code)))


def test_comments_docstrings_and_layout_do_not_count() -> None:
    plain = "def f(x):\n    return x + 1\n"
    dressed = '"""Module."""\n\n\ndef f(\n    x,\n):  # why\n    """Doc."""\n    return x + 1\n'
    assert normalised(plain) == normalised(dressed)


def test_code_counts() -> None:
    one, two = (normalised(f"def f(x):\n    return x + {n}\n") for n in (1, 2))
    assert one != two


@pytest.mark.parametrize(
    ("code", "spelled"),
    [
        ("""f'{x["key"]!r}: {y:>{width}}'""", """f"{x['key']!r}: {y:>{width}}\""""),
        ("""f"a\\n{', '.join(f'{x}' for x in xs)}\"""", """f"a\\n{', '.join((f'{x}' for x in xs))}\""""),
        ("""f"{{{'x'}}}" + g('"')""", """f"{{{'x'}}}" + g('"')"""),
    ],
)
def test_strings_are_spelled_the_same_on_every_python(code: str, spelled: str) -> None:
    assert fingerprints.spelled(ast.parse(code)) == spelled


def reached(function: str, stages: str, job: str = "") -> list[str]:
    """Names of what a function reaches."""
    statements = ([(Path("x.py"), node) for node in ast.parse(code).body] for code in (stages, job))
    return sorted(node.name for _, node in fingerprints.reached(function, *statements))


def test_a_stage_reaches_its_helpers() -> None:
    stages = "def make_x(): return helper()\ndef helper(): return 1\ndef other(): return 2\n"
    assert reached("make_x", stages) == ["helper", "make_x"]


def test_a_stage_reaches_what_it_hands_on_and_what_that_calls() -> None:
    stages = "def make_x(): return map(first, [])\ndef first(): return second()\ndef second(): pass\ndef third(): pass"
    assert reached("make_x", stages) == ["first", "make_x", "second"]


def test_a_stage_reaches_methods_of_its_job_and_no_others() -> None:
    job = (
        "class Job:\n    def images(self): return self._checked()\n    def _checked(self): pass\n"
        "    def other(self): pass\n"
        "class Another:\n    def labels(self): pass\n"
    )
    assert reached("make_x", "def make_x(job): return job.images(), job.labels\n", job) == [
        *("_checked", "images", "make_x"),
    ]


def test_annotations_reach_nothing() -> None:
    stages = "def make_x(job: helper) -> helper:\n    y: helper = 1\n    return y\ndef helper(): pass\n"
    assert reached("make_x", stages) == ["make_x"]


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.rule_name)
def test_a_row_watches_what_its_stage_uses_of_science(kind: Kind) -> None:
    """Packages of algorithms have fingerprints of their own."""
    used = {
        module.removeprefix("science.")
        for module in fingerprints.uses(kind)
        if module.startswith("science.") and not is_package(module)
    }
    assert sorted(used - set(kind.watches)) == []
    assert sorted(set(kind.watches) - used) == []


def is_package(module: str) -> bool:
    return (fingerprints.PACKAGE / module.replace(".", "/")).is_dir()


def with_one_more_statement(monkeypatch: pytest.MonkeyPatch, changed: Path) -> set[str]:
    """Names of what has another fingerprint if a file has one more statement."""
    assert changed.exists()
    before, read = fingerprints.fingerprints(), fingerprints._tree
    tree = ast.Module([*read(changed).body, *ast.parse("ANOTHER = 1").body], [])
    monkeypatch.setattr(fingerprints, "_tree", lambda file: tree if file == changed else read(file))
    fingerprints._reached.cache_clear()
    try:
        after = fingerprints.fingerprints()
    finally:
        fingerprints._reached.cache_clear()
    return {name for name, entry in after.items() if entry["sha256"] != before[name]["sha256"]}


def stages_in(names: set[str]) -> set[str]:
    return {name.removeprefix("stage/") for name in names if name.startswith("stage/")}


def test_conversion_of_images_counts_for_all_that_read_them(monkeypatch: pytest.MonkeyPatch) -> None:
    changed = with_one_more_statement(monkeypatch, fingerprints.PACKAGE / "science/images.py")
    assert stages_in(changed) == READ_IMAGES


@pytest.mark.parametrize(
    ("file", "expected"),
    [
        ("science/training/loop.py", {"stage/checkpoint", "stage/ensemble", "stage/informed"}),
        ("science/evaluation/white_box.py", {"stage/whitebox"}),
        ("science/attacks/pgd.py", {"attacks/pgd"}),
        ("store/lock.py", set()),
    ],
)
def test_a_change_counts_for_what_it_can_change(file: str, expected: set[str], monkeypatch: pytest.MonkeyPatch) -> None:
    changed = with_one_more_statement(monkeypatch, fingerprints.PACKAGE / file)
    assert expected <= changed
    assert stages_in(changed) == stages_in(expected)
