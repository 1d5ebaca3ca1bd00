"""Code that makes results does not change under an unchanged version."""

from __future__ import annotations

import ast

from trigger_activation.run.stages import MODULES
from trigger_activation.store import fingerprints


def test_changed_code_has_a_changed_version() -> None:
    changed = fingerprints.changed_without_version()
    assert not changed, (
        f"{changed} changed but not their version: raise `version=` (algorithms) or STAGE_VERSIONS (stages), or, if "
        "the results are the same bytes, run `trigact accept`"
    )


def test_every_stage_has_a_fingerprint() -> None:
    assert set(MODULES) <= set(fingerprints.SHARED)


def test_comments_docstrings_and_layout_do_not_count() -> None:
    plain = "def f(x):\n    return x + 1\n"
    dressed = '"""Module."""\n\n\ndef f(\n    x,\n):  # why\n    """Doc."""\n    return x + 1\n'
    assert fingerprints.normalised(ast.parse(plain)) == fingerprints.normalised(ast.parse(dressed))


def test_code_counts() -> None:
    one, two = (fingerprints.normalised(ast.parse(f"def f(x):\n    return x + {n}\n")) for n in (1, 2))
    assert one != two


def test_a_stage_reaches_its_helpers() -> None:
    module = ast.parse("def make_x(): return helper()\ndef helper(): return 1\ndef other(): return 2\n")
    code = fingerprints.stage_code(module.body, "make_x")
    assert "def helper" in code
    assert "def other" not in code
