"""The shipped config as a copy to break, a project small enough to plan hundreds of times, its artifacts."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml

from trigger_activation.errors import UserError
from trigger_activation.plan import Plan, build_plan
from trigger_activation.plan.config import Config, load_config
from trigger_activation.store.environment import Environment
from trigger_activation.store.records import (
    Record,
    file_record,
    is_json,
    read_record,
    write_json_artifact,
    write_record,
)

ROOT = Path(__file__).resolve().parents[2]

Documents = Mapping[str, dict[str, Any]]
"""File below ``config`` -> its content."""

_COLUMNS = [{"victim": "standard"}, {"victim": "learnable", "group": "Ours", "label": "l"}]
SMALL: Documents = {
    "config.yaml": {"experiment": "small"},
    "datasets/all.yaml": {
        "digit-pairs": {
            "class": "digit_pairs",
            "label": "Digits",
            "classes": 100,
            "image_size": 16,
            "parameters": {
                "train_per_class": 80,
                "test_per_class": 20,
                "test_share": 0.2,
                "seed": 0,
                "source_sha256": "0" * 64,
            },
        }
    },
    "networks/all.yaml": {
        "vgg-s": {"class": "vgg", "label": "VGG", "parameters": {"configuration": [12, "M", 24, "M", 48, "M"]}},
        "inception_v4": {"class": "inception", "label": "Inception", "implemented": False},
    },
    "paradigms/all.yaml": {
        "standard": {"class": "standard", "label": "w/o"},
        "learn_4": {"class": "trigger_learnable", "label": "Ours", "parameters": {"alpha": "4/255"}},
    },
    "attacks/all.yaml": {
        "pgd": {"class": "pgd", "label": "PGD", "parameters": {"step_size": "2/255", "random_start": True}},
        "pgd_quarter": {"class": "pgd", "label": "PGD", "parameters": {"step_size": "0.25*eps"}},
        "difgsm": {"class": "difgsm", "label": "DI", "parameters": {"rate": 1.1, "probability": 0.5}},
    },
    "preprocessing/all.yaml": {
        "nrp": {"class": "nrp", "label": "NRP", "implemented": False, "parameters": {"size": 1.5}}
    },
    "victims/all.yaml": {"mine": {"label": "Mine", "network": "vgg-s", "file": "mine.pt", "sha256": "0" * 64}},
    "protocols/mini.yaml": {
        "title": "Miniature",
        "dataset": "digit-pairs",
        "networks": ["vgg-s", "inception_v4"],
        "threads": 1,
        "seeds": {"default": 1, "paradigms": {"standard": 2}},
        "training": {
            "epochs": 5,
            "batch_size": 64,
            "learning_rate": 0.1,
            "momentum": 0.9,
            "weight_decay": 0.0005,
            "gradient_clip": 5.0,
            "augmentation": {"crop": "pad", "padding": 1, "horizontal_flip": False},
        },
        "attack": {"eps": "8/255", "steps": 20, "batch_size": 100},
        "evaluation": {"images": 1000, "batch_size": 500},
        "flip": {"network": "vgg-s", "fractions": [0, 0.5, 1], "masks": 2},
        "white_box": {"images": 100, "seeds": 1, "iterations": 100, "queries": 5000},
        "roles": {"learnable": "learn_4", "purifier": "nrp"},
        "overrides": {"attacks": {"pgd": {"random_start": False}}},
    },
    "tables/table1.yaml": {
        "kind": "accuracy",
        "number": "I",
        "title": "Accuracy",
        "slots": ["A"],
        "rows": ["pgd", "difgsm"],
        "columns": [*_COLUMNS, {"preprocessing": "purifier"}, {"victim": "mine"}],
        "surrogates": "standard",
        "pairs": "all",
        "clean_row": True,
        "mean_row": True,
        "decimals": 1,
    },
    "tables/table2.yaml": {"like": "table1", "number": "II", "rows": ["pgd"], "columns": _COLUMNS},
    "tables/table11.yaml": {
        "kind": "trigger",
        "number": "XI",
        "title": "Triggers",
        "slots": ["A"],
        "columns": [{"victim": "learnable"}],
    },
    "tables/supplementary.yaml": {
        "kind": "supplementary",
        "number": "S1",
        "title": "Supplement",
        "slots": ["A"],
        "rows": [
            {"attack": "clean"},
            {"attack": "pgd", "pairs": "off_diagonal", "surrogates": "same"},
            {"white_box": "pgd"},
            {"white_box": "autoattack"},
        ],
        "columns": _COLUMNS,
        "notes": ["A note."],
    },
    "figures/figure2.yaml": {
        "kind": "flip",
        "number": "2",
        "title": "Flipped",
        "slots": ["A"],
        "paradigms": ["learnable"],
    },
    "experiments/small.yaml": {
        "title": "Small",
        "slots": {"A": "mini"},
        "decimals": 2,
        "tables": {
            "table1": {},
            "table2": {"rows": ["difgsm"], "columns": _COLUMNS},
            "table11": {},
            "supplementary": {},
        },
        "figures": ["figure2"],
    },
}
"""Every kind of file and nearly every key, with two cheap networks; it plans in a few milliseconds."""


@cache
def shipped_config() -> Config:
    """The project's own config."""
    return load_config(ROOT / "config")


@cache
def shipped_plan() -> Plan:
    """The plan of all experiments of the project; never change it."""
    return build_plan(shipped_config())


def environment(seconds: float) -> Environment:
    """Of a job that took so long; the rest is invented."""
    return Environment(
        commit="0" * 40,
        dirty=False,
        packages={"torch": "2.0"},
        python="3.11",
        host="one",
        machine="x86_64",
        device="Abacus",
        gpu=False,
        seconds=seconds,
        cpu_seconds=seconds,
        peak_memory_mib=1.0,
    )


class Project:
    """A folder with a ``config`` to edit; the working directory must be that folder."""

    def __init__(self, folder: Path) -> None:
        self.config = folder / "config"

    @classmethod
    def shipped(cls, folder: Path) -> Project:
        """A copy of the project's config."""
        shutil.copytree(ROOT / "config", folder / "config")
        return cls(folder)

    @classmethod
    def small(cls, folder: Path, documents: Documents = SMALL) -> Project:
        """A project of these files."""
        project = cls(folder)
        for file, content in documents.items():
            project.write(file, yaml.safe_dump(content, sort_keys=False))
        return project

    def read(self, file: str) -> str:
        """The text of a config file."""
        return (self.config / file).read_text(encoding="utf-8")

    def write(self, file: str, text: str) -> None:
        """Create or replace a config file."""
        path = self.config / file
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")

    def append(self, file: str, text: str) -> None:
        """Add lines to a config file."""
        self.write(file, self.read(file) + text)

    def replace(self, file: str, old: str, new: str) -> None:
        """Replace the first occurrence of a text that must be there."""
        text = self.read(file)
        assert old in text
        self.write(file, text.replace(old, new, 1))

    @contextmanager
    def edited(self, file: str) -> Iterator[dict[str, Any]]:
        """The parsed content of a file, written back at the end."""
        content = yaml.safe_load(self.read(file))
        yield content
        self.write(file, yaml.safe_dump(content))

    def plan(self) -> Plan:
        """Load and plan."""
        return build_plan(load_config(Path("config")))

    def complaint(self) -> str:
        """The sentence that refuses the config."""
        with pytest.raises(UserError) as caught:
            self.plan()
        return one_sentence(str(caught.value))


def one_sentence(message: str) -> str:
    """The message, after checking that it is one line of text."""
    assert message
    assert "\n" not in message
    assert "Traceback" not in message
    return message


@dataclass(frozen=True)
class Given:
    """Parameters as a recipe holds them, in place of a kind's model."""

    settings: Mapping[str, Any]

    def as_json(self) -> dict[str, Any]:
        """What the recipe covers."""
        return dict(self.settings)


def write_artifact(plan: Plan, path: str, content: str = "first", seconds: float | None = None) -> None:
    """Write an artifact and its record as a job does; ``content`` tells two makes apart, ``seconds`` is its time."""
    artifact = plan[path]
    parents = (*artifact.input_paths, *artifact.optional_paths)
    inputs = {parent: record.sha256 for parent in parents if (record := read_record(parent))}
    record = Record(
        path=path,
        kind=artifact.kind.name,
        recipe=artifact.recipe,
        parameters=artifact.settings,
        versions=dict(artifact.versions),
        inputs=inputs,
        environment=None if seconds is None else environment(seconds),
    )
    for file in (*artifact.files, *artifact.by_products):
        Path(file).parent.mkdir(parents=True, exist_ok=True)
        if not is_json(file):
            Path(file).write_text(f"{content} of {file}")
    if is_json(path):
        write_json_artifact(Path(path), {"accuracy": 50.5, "note": content}, record)
    else:
        write_record(record.model_copy(update={"files": {file: file_record(Path(file)) for file in artifact.files}}))
