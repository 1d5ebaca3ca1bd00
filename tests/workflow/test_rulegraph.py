"""The picture of the rules is that of the rules."""

from __future__ import annotations

import pytest
from scripts import rulegraph

from trigger_activation.plan.kinds import KINDS

pytestmark = pytest.mark.workflow


def test_the_picture_shows_what_snakemake_sees() -> None:
    graph = rulegraph.rulegraph()
    assert rulegraph.drawn_edges(rulegraph.PICTURE.read_text(encoding="utf-8")) == rulegraph.edges(graph)


def test_every_rule_of_a_plain_run_is_in_it() -> None:
    drawn = rulegraph.drawn_edges(rulegraph.PICTURE.read_text(encoding="utf-8"))
    rules = {rule for edge in drawn for rule in edge}
    # The demo shows no imported network, none trained on others and no informed attacker, and only complete runs are
    # recorded and make excerpts.
    left_out = {"imported", "ensemble", "informed", "run_record", "excerpt", "excerpt_of_data"}
    assert rules == {"all", *(kind.rule_name for kind in KINDS)} - left_out
