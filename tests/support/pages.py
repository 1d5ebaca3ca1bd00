"""A results page of invented measurements: every kind of table and figure, made by the real stages."""

from __future__ import annotations

import base64
import io
from collections.abc import Mapping
from contextlib import chdir
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from PIL import Image

from tests.support.projects import Project
from trigger_activation.plan import Artifact, Plan
from trigger_activation.run.job import Job
from trigger_activation.run.spec import read_spec, write_spec
from trigger_activation.run.stages import load_stage
from trigger_activation.science.seeds import numpy_generator
from trigger_activation.store.records import Record, write_json_artifact

TITLE = "Gallery & <script>alert(1)</script>"
SECONDS = {"none": 36000.0, "jpeg_q50": 360.0, "at": 7200.0}
"""Training times that sort otherwise as text: 10.0, 0.100 and 2.00 hours."""
EXPERIMENT = {
    "title": TITLE,
    "slots": {"A": "fashion16"},
    "decimals": 1,
    "tables": {
        "table1": {},
        "table2": {
            "rows": ["pgd", "naa"],
            "columns": [
                {"victim": "standard"},
                {"preprocessing": "jpeg_low", "group": "Preprocessing"},
                {"preprocessing": "bdr_d2", "group": "Preprocessing"},
                {"victim": "learnable"},
            ],
        },
        "table5": {
            "slots": ["A"],
            "columns": [{"victim": "standard"}, {"preprocessing": "jpeg_low"}, {"victim": "at"}],
        },
        "table8": {},
        "table11": {"slots": ["A"]},
    },
    "figures": ["figure2", "figure3"],
    "reports": ["comparison", "page", "pdf"],
}


def gallery(folder: Path) -> tuple[Plan, Path]:
    """Make the experiment ``gallery`` in a folder; its plan and its page."""
    project = Project.shipped(folder)
    project.write("experiments/gallery.yaml", yaml.safe_dump(EXPERIMENT, sort_keys=False))
    with chdir(folder):
        plan = project.plan()
        for artifact in plan.of_experiment("gallery"):
            if artifact.path.startswith("results/cells/"):
                invent(artifact)
            elif artifact.path.startswith("paper_tables/") and artifact.kind != "pdf":
                make(plan, artifact.path)
    return plan, folder / plan.targets["gallery"]["page"]


def make(plan: Plan, path: str) -> None:
    """Run one stage here."""
    artifact = plan[path]
    load_stage(artifact.kind)(Job(read_spec(write_spec(plan, artifact), artifact.recipe)))


def invent(artifact: Artifact) -> None:
    """Write a cell of the shape that its stage would give it."""
    record = Record(
        path=artifact.path,
        kind=artifact.kind,
        recipe=artifact.recipe,
        parameters=dict(artifact.parameters),
        versions=dict(artifact.versions),
        inputs={},
    )
    stream = numpy_generator(artifact.path, "invented")
    content = INVENTED[artifact.kind](artifact.parameters, stream)
    Path(artifact.path).parent.mkdir(parents=True, exist_ok=True)
    write_json_artifact(Path(artifact.path), content, record)


def _accuracy(given: Mapping[str, Any], stream: np.random.Generator) -> dict[str, Any]:
    networks, clean = given["networks"], given["surrogates"] == "clean"
    shape = (len(given["seeds"]), len(networks), 1 if clean else len(networks))
    correct = stream.integers(0, given["images"] + 1, shape)
    pairs = {"all": np.ones(shape[1:], bool)}
    if not clean:
        pairs["off_diagonal"] = ~np.eye(len(networks), dtype=bool)
    return {
        "surrogate_paradigm": given["surrogates"],
        "attack": given["attack"],
        "column": given["column"],
        "victims": networks,
        "surrogates": [] if clean else networks,
        "seeds": given["seeds"],
        "images": given["images"],
        "correct": correct.tolist(),
        "means": {name: _means(100 * correct[:, those] / given["images"]) for name, those in pairs.items()},
    }


def _means(percent: np.ndarray[Any, np.dtype[np.float64]]) -> dict[str, Any]:
    per_seed = percent.mean(axis=1)
    deviation = float(per_seed.std(ddof=1)) if len(per_seed) > 1 else None
    middle = float(per_seed.mean())
    bootstrap = [middle - 1, middle, middle + 1]
    return {"mean": middle, "per_seed": per_seed.tolist(), "standard_deviation": deviation, "bootstrap": bootstrap}


def _trigger(given: Mapping[str, Any], stream: np.random.Generator) -> dict[str, Any]:
    common = {"largest": 0.25, "picture": _picture()}
    triggers = [
        {"network": network, "seed": seed, "mean_square": float(stream.random()), **common}
        for seed in given["seeds"]
        for network in given["networks"]
    ]
    return {"paradigm": given["paradigm"], "triggers": triggers}


def _picture() -> str:
    buffer = io.BytesIO()
    Image.new("RGB", (16, 16), "teal").save(buffer, format="PNG")
    return base64.b64encode(buffer.getvalue()).decode()


def _flip(given: Mapping[str, Any], stream: np.random.Generator) -> dict[str, Any]:
    def values(scale: float) -> list[float]:
        return (scale * stream.random(given["masks"])).tolist()

    points = [{"fraction": f, "accuracy": values(100), "loss": values(2)} for f in given["fractions"]]
    return {"paradigm": given["paradigm"], "network": given["network"], "images": given["images"], "points": points}


def _cost(given: Mapping[str, Any], stream: np.random.Generator) -> dict[str, Any]:
    timings = [
        {"batch_size": size, "milliseconds": float(stream.random()), "batches": given["batches"]}
        for size in given["batch_sizes"]
    ]
    return {
        "column": given["column"],
        "network": given["network"],
        "device": "Abacus",
        "threads": given["threads"],
        "timings": timings,
        "training": {"seconds": SECONDS[given["column"]], "clock": "cpu", "device": "Abacus"},
        "helper_parameters": 0,
    }


INVENTED = {"cell": _accuracy, "trigger": _trigger, "flip": _flip, "cost": _cost}
