"""What was typed, as far as Snakemake tells."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from tests.support.projects import Project
from trigger_activation.errors import UserError
from trigger_activation.run import workflow as module
from trigger_activation.run.request import Request
from trigger_activation.run.workflow import Workflow


def snakemake(**typed: Any) -> SimpleNamespace:
    """Snakemake's workflow object in the process that a user started."""
    dag = {"targets": set(), "forcerun": set(), "until": set(), "omit_from": set(), "rerun_triggers": {"mtime"}}
    settings = SimpleNamespace(**dag, forcetargets=False, forceall=False, print_dag_as=None)
    vars(settings).update(typed)
    return SimpleNamespace(is_main_process=True, touch=False, dag_settings=settings)


def test_a_snakemake_that_does_not_tell_is_refused() -> None:
    asked = snakemake()
    del asked.dag_settings.forcerun
    with pytest.raises(UserError, match=r"does not say what was typed .*forcerun.*requirements\.lock"):
        Request.of(asked)


def test_jobs_of_a_cluster_which_are_all_forced_force_nothing() -> None:
    asked = snakemake(forceall=True, targets={"table1"})
    asked.is_main_process = False
    assert Request.of(asked) == Request()


@pytest.mark.parametrize(("targets", "told"), [(set(), True), ({"table1"}, False)])
def test_the_summary_tells_of_latex_only_where_a_pdf_was_asked_for(
    project: Project, monkeypatch: pytest.MonkeyPatch, targets: set[str], told: bool
) -> None:
    assert project.config.exists()
    monkeypatch.setattr(module, "engine_is_there", lambda: False)
    run = Workflow({"experiment": "smoke"}, snakemake(targets=targets))
    assert ("paper.pdf was left out" in run.summary()) == told
    assert "\n0 jobs done in" in run.summary()
