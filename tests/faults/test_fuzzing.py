"""Shipped config and typed numbers as somebody might have broken them: accepted, or refused in one sentence."""

from __future__ import annotations

import os
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.faults.tally import Tally
from tests.support.mutations import HUGE, ODD_TEXTS, edit, outcome, scribbled
from tests.support.projects import ROOT, Project, one_sentence
from trigger_activation.errors import UserError
from trigger_activation.parameters import parse_fraction
from trigger_activation.report.published.numbers import parse

FILES = sorted(str(path.relative_to(ROOT / "config")) for path in (ROOT / "config").rglob("*.yaml"))
PUBLISHED = (ROOT / "config/published/published.csv").read_text("utf-8")
EXAMPLES = int(os.environ.get("FUZZ", "12"))
"""Of edits of the shipped config, each of which takes a good part of a second to plan."""
BOUNDED = settings(deadline=None, derandomize=True)


@pytest.fixture(scope="module")
def shipped(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Project]:
    """A copy of the shipped config in the working folder."""
    with pytest.MonkeyPatch.context() as patch:
        folder = tmp_path_factory.mktemp("shipped")
        patch.chdir(folder)
        yield Project.shipped(folder)


def check(project: Project, file: str, text: str, tally: Tally) -> None:
    """Plan with another text in a file."""
    before = project.read(file)
    good = False
    try:
        (project.config / file).write_text(text, encoding="utf-8", errors="surrogatepass")
        outcome(project)
        good = True
    finally:
        project.write(file, before)
        tally.count("inputs", "config", good)


@settings(BOUNDED, max_examples=EXAMPLES)
@given(file=st.sampled_from(FILES), draw=st.data())
def test_an_edited_file_is_accepted_or_refused(shipped: Project, tally: Tally, file: str, draw: st.DataObject) -> None:
    content = yaml.safe_load(shipped.read(file))
    for _ in range(draw.draw(st.integers(1, 2), label="edits")):
        edit(content, draw)
    check(shipped, file, yaml.safe_dump(content), tally)


@settings(BOUNDED, max_examples=EXAMPLES)
@given(file=st.sampled_from(FILES), draw=st.data())
def test_a_scribbled_file_is_accepted_or_refused(
    shipped: Project, tally: Tally, file: str, draw: st.DataObject
) -> None:
    check(shipped, file, scribbled(shipped.read(file), draw), tally)


@settings(BOUNDED, max_examples=100)
@given(draw=st.data())
def test_scribbled_numbers_are_accepted_or_refused(tally: Tally, draw: st.DataObject) -> None:
    text = scribbled("\n".join(PUBLISHED.splitlines()[: draw.draw(st.integers(1, 6), label="lines")]), draw)
    good = False
    try:
        parse(text)
        good = True
    except UserError as error:
        good = bool(one_sentence(str(error)))
    finally:
        tally.count("inputs", "published numbers", good)


FRACTIONS = st.one_of(
    st.text(max_size=12),
    st.from_regex(r"[+-]?[0-9]{0,4}(\.[0-9]{0,4})?(e[+-]?[0-9]{0,9})?(/[+-]?[0-9.]{0,4})?", fullmatch=True),
    st.sampled_from([*ODD_TEXTS, *HUGE, 10**5000, None, True, [], {}]),
)


@settings(BOUNDED, max_examples=500)
@given(value=FRACTIONS)
def test_a_fraction_is_exact_or_refused(tally: Tally, value: object) -> None:
    good = False
    try:
        parsed = parse_fraction(value)
        good = parsed == Fraction(*map(Fraction, str(value).split("/")))
        assert good
    except ValueError as error:
        good = bool(one_sentence(str(error)))
    finally:
        tally.count("inputs", "fraction", good)


@pytest.mark.usefixtures("shipped")
def test_nothing_was_executed() -> None:
    assert not list(Path().rglob("executed"))
