"""A results page of invented measurements: every kind of table and figure, made by the real stages."""

from __future__ import annotations

import base64
import io
from collections.abc import Callable
from contextlib import chdir
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from PIL import Image

from tests.support.means import mean_of
from tests.support.projects import Project
from trigger_activation.plan import Artifact, Plan, kinds
from trigger_activation.plan.contents import (
    BatchTiming,
    Cell,
    Content,
    CostStudy,
    FlipStudy,
    MeasuredTrigger,
    TrainingTime,
    TriggerStudy,
)
from trigger_activation.plan.recipes import CellParameters, CostParameters, FlipParameters, TriggerParameters
from trigger_activation.run.spec import write_spec
from trigger_activation.run.worker import perform
from trigger_activation.science.evaluation.results import FlipPoint
from trigger_activation.science.seeds import derive_seed
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
    "reports": ["findings", "comparison", "page", "pdf"],
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
            elif artifact.path.startswith("paper_tables/") and artifact.kind is not kinds.PDF:
                make(plan, artifact.path)
    return plan, folder / plan.targets["gallery"]["page"]


def make(plan: Plan, path: str) -> None:
    """Run one stage here."""
    artifact = plan[path]
    perform(str(write_spec(plan, artifact)), artifact.recipe, "stage.log")


def invent(artifact: Artifact) -> None:
    """Write a cell of the shape that its stage would give it."""
    record = Record(
        path=artifact.path,
        kind=artifact.kind.name,
        recipe=artifact.recipe,
        parameters=artifact.settings,
        versions=dict(artifact.versions),
        inputs={},
    )
    stream = np.random.default_rng(derive_seed(artifact.path, "invented"))
    content = INVENTED[artifact.kind.name](artifact.parameters, stream).as_json()
    Path(artifact.path).parent.mkdir(parents=True, exist_ok=True)
    write_json_artifact(Path(artifact.path), content, record)


def _accuracy(given: CellParameters, stream: np.random.Generator) -> Cell:
    networks, clean = given.networks, given.surrogates == "clean"
    shape = (len(given.seeds), len(networks), 1 if clean else len(networks))
    correct = stream.integers(0, given.images + 1, shape)
    pairs = {"all": np.ones(shape[1:], bool)}
    if not clean:
        pairs["off_diagonal"] = ~np.eye(len(networks), dtype=bool)
    percent = 100 * correct / given.images
    return Cell(
        surrogate_paradigm=given.surrogates,
        attack=given.attack,
        column=given.column,
        victims=networks,
        surrogates=[] if clean else networks,
        seeds=given.seeds,
        images=given.images,
        correct=correct.tolist(),
        means={name: mean_of(*percent[:, those].mean(axis=1), images=1.0) for name, those in pairs.items()},
    )


def _trigger(given: TriggerParameters, stream: np.random.Generator) -> TriggerStudy:
    triggers = [
        MeasuredTrigger(
            network=network, seed=seed, mean_square=float(stream.random()), largest=0.25, picture=_picture()
        )
        for seed in given.seeds
        for network in given.networks
    ]
    return TriggerStudy(paradigm=given.paradigm, triggers=triggers)


def _picture() -> str:
    buffer = io.BytesIO()
    Image.new("RGB", (16, 16), "teal").save(buffer, format="PNG")
    return base64.b64encode(buffer.getvalue()).decode()


def _flip(given: FlipParameters, stream: np.random.Generator) -> FlipStudy:
    def values(scale: float) -> list[float]:
        return (scale * stream.random(given.masks)).tolist()

    points = [FlipPoint(fraction=f, accuracy=values(100), loss=values(2)) for f in given.fractions]
    return FlipStudy(paradigm=given.paradigm, network=given.network, images=given.images, points=points)


def _cost(given: CostParameters, stream: np.random.Generator) -> CostStudy:
    timings = [
        BatchTiming(
            batch_size=size,
            milliseconds=1 + float(stream.random()),
            deviation=0.125,
            repeats=given.repeats,
            batches=given.batches,
        )
        for size in given.batch_sizes
    ]
    return CostStudy(
        column=given.column,
        network=given.network,
        device="Abacus",
        threads=given.threads,
        timings=timings,
        training=TrainingTime(seconds=SECONDS[given.column], clock="cpu", device="Abacus"),
        helper_parameters=0,
    )


INVENTED: dict[str, Callable[[Any, np.random.Generator], Content]] = {
    kinds.CELL.name: _accuracy,
    kinds.TRIGGER.name: _trigger,
    kinds.FLIP.name: _flip,
    kinds.COST.name: _cost,
}
