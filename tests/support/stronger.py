"""The shipped config with attackers who know more than a surrogate, in an experiment that is there already."""

from __future__ import annotations

from typing import Any

from tests.support.projects import Project

TABLES = ("stronger", "stronger_preprocessing", "stronger_trigger")


def ensemble(label: str, paradigm: str, seeds: int) -> dict[str, Any]:
    """Of one paradigm."""
    return {"label": label, "paradigms": [paradigm], "seeds": seeds}


def with_stronger_tables(project: Project, protocol: str, experiment: str, surrogates: int, **informed: Any) -> Project:
    """Let an experiment show the tables of stronger attackers, with ensembles of so many surrogates."""
    with project.edited(f"protocols/{protocol}.yaml") as settings:
        settings["informed"] = {"images": 20, "seeds": 1, "fewer_images": {"eot_pgd": 10}, **informed}
        settings["ensembles"] = {
            "undefended": ensemble("undefended networks", "standard", surrogates),
            "fixed_triggers": ensemble("networks with fixed triggers", "fixed", surrogates),
            "learnable_triggers": ensemble("networks with learned triggers", "learnable", surrogates),
        }
    with project.edited(f"experiments/{experiment}.yaml") as content:
        content["tables"] |= {table: {} for table in TABLES}
    if protocol == "fashion16":  # Another protocol is like it, but has fewer seeds.
        with project.edited("protocols/fashion28.yaml") as settings:
            settings["ensembles"] = {}
    return project
