"""One execution of a stage: its spec, its verified inputs, its random streams, and the way it publishes results.

Stages that only render do not need torch, and should not wait for it: what does is imported on first use.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping
from functools import cache, cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic, TypeVar

import numpy as np
from numpy.typing import NDArray

from trigger_activation.errors import UserError
from trigger_activation.lazy import torch
from trigger_activation.plan.contents import Content
from trigger_activation.plan.kind import Kind
from trigger_activation.plan.kinds import IMPORTED, TAE, named
from trigger_activation.plan.layouts import KindParameters
from trigger_activation.plan.recipes import (
    Algorithm,
    CheckpointParameters,
    DatasetParameters,
    HelperParameters,
    ImportedParameters,
)
from trigger_activation.run.spec import InputReference, Spec
from trigger_activation.science import seeds
from trigger_activation.science.datasets import ImageStream
from trigger_activation.store.arrays import load_arrays, map_array, save_arrays
from trigger_activation.store.atomic import write_text
from trigger_activation.store.documents import Document, read_document
from trigger_activation.store.environment import Environment, Stopwatch, code_state, processor_name
from trigger_activation.store.records import (
    Record,
    damaged_files,
    file_record,
    hash_file,
    is_json,
    read_record,
    sidecar,
    write_json_artifact,
    write_record,
)
from trigger_activation.store.scratch import Scratch
from trigger_activation.store.tae_sets import TaeSet, packed

if TYPE_CHECKING:
    from torch import nn

    from trigger_activation.science.deployment import DeployedNetwork

P = TypeVar("P")
M = TypeVar("M", bound=KindParameters)
IN_MEMORY = 4 * 2**30
"""Images of more bytes stay in their file, of which the system keeps in memory what there is room for."""


@cache
def _arithmetic(device: torch.device, threads: int) -> str:  # noqa: ARG001
    """How the device rounds with so many threads, found out once for each process."""
    from trigger_activation.science.arithmetic import arithmetic

    return arithmetic(device)


class Job(Generic[P]):
    """One execution of a stage; ``P`` is the model of its parameters."""

    def __init__(self, spec: Spec, device: torch.device | None = None) -> None:
        self.spec = spec
        self.kind = named(spec.kind)
        self.parameters: P = self.kind.parsed(spec.parameters)
        self._device = device
        self._read: dict[str, str] = {}
        self._labelled: dict[tuple[str, int | None, bool], tuple[torch.Tensor, torch.Tensor]] = {}
        self._stopwatch = Stopwatch()
        self.scratch = Scratch(spec.recipe, self._read, lambda: self.device, self._stopwatch)

    @cached_property
    def device(self) -> torch.device:
        """Where the stage computes: the device it was given, or the CPU."""
        return self._device or torch.device("cpu")

    @property
    def device_name(self) -> str:
        """The GPU's name, or that of the processor."""
        return torch.cuda.get_device_name(self.device) if self.device.type == "cuda" else processor_name()

    def generator(self, stream: str) -> torch.Generator:
        """The named random stream of this artifact."""
        return seeds.torch_generator(self.spec.path, stream, self.device)

    def records(self, role: str) -> list[Record]:
        """The records of the inputs of one role, after comparing their bytes with what was recorded.

        Raises:
            UserError: an input is missing, damaged, or made by another recipe than the one planned.
        """
        return [self._verified(reference) for reference in self.spec.inputs[role]]

    def claimed_records(self, role: str) -> list[Record]:
        """The records of the inputs of one role, for a stage that reads nothing else of them.

        Raises:
            UserError: an input is missing, or made by another recipe than the one planned.
        """
        records = [self._planned_record(reference) for reference in self.spec.inputs[role]]
        self._read |= {record.path: record.sha256 for record in records}
        return records

    def arrays(self, record: Record, *names: str) -> dict[str, NDArray[Any]]:
        """Named arrays of a verified input."""
        return load_arrays(Path(record.path), names)

    def images(self, record: Record, count: int | None = None) -> torch.Tensor:
        """uint8 images (N, H, W, 3) of a verified input; the first ``count``.

        They are on the device or, if they are more than ``IN_MEMORY``, a tensor of the CPU: in their file, but for
        those of a TAE set, which are test images and what was added to them.

        Raises:
            UserError: it has fewer.
        """
        path = Path(record.path)
        if record.kind == TAE.name:
            return self._placed(self._adversarial(path, count))
        large = path.stat().st_size > IN_MEMORY
        images = map_array(path, "images") if large else load_arrays(path, ("images",))["images"]
        _refuse_fewer(path, len(images), count)
        return self._placed(torch.from_numpy(images[:count]))

    def _placed(self, images: torch.Tensor) -> torch.Tensor:
        return images if images.nbytes > IN_MEMORY else images.to(self.device)

    def _adversarial(self, path: Path, count: int | None) -> torch.Tensor:
        tae_set = TaeSet(path)
        _refuse_fewer(path, len(tae_set), count)
        return tae_set.images(*self._clean(len(tae_set) if count is None else count))

    def _clean(self, count: int) -> tuple[torch.Tensor, str]:
        """The first test images, and the sha256 of their file."""
        (reference,) = self.spec.inputs["test"]
        images, _ = self.labelled("test", count)
        return images, self._read[reference.path]

    def labelled(self, role: str, count: int | None = None, margin: bool = False) -> tuple[torch.Tensor, torch.Tensor]:
        """Images of a data set input, see :meth:`images`, and their labels, on the device; a job reads them once.

        Args:
            role: of the input.
            count: the first so many; all of them unless given.
            margin: with what is stored around the part that networks see, if anything is.
        """
        asked = role, count, margin
        if asked not in self._labelled:
            self._labelled[asked] = self._read_labelled(*asked)
        return self._labelled[asked]

    def _read_labelled(self, role: str, count: int | None, margin: bool) -> tuple[torch.Tensor, torch.Tensor]:
        from trigger_activation.science.images import middle

        (record,) = self.records(role)
        images = self.images(record, count)
        labels = load_arrays(Path(record.path), ("labels",))["labels"]
        seen = images if margin else middle(images, parameters_of(record, DatasetParameters).image_size)
        return seen, torch.from_numpy(labels[:count]).to(self.device)

    def networks(self, role: str) -> list[DeployedNetwork]:
        """The deployed networks of a role."""
        from trigger_activation.store.checkpoints import load_checkpoint

        return [
            load_checkpoint(
                Path(record.path),
                self.device,
                _network(record),
            )
            for record in self.records(role)
        ]

    def helper(self) -> nn.Module | None:
        """The helper network that the job consults, if it does."""
        from trigger_activation.store.checkpoints import load_helper

        if "helper" not in self.spec.inputs:
            return None
        (record,) = self.records("helper")
        return load_helper(Path(record.path), self.device, parameters_of(record, HelperParameters).helper)

    def contents(self, role: str) -> list[Any]:
        """The contents of JSON inputs, as the models of their kinds."""
        return [document.content for document in self.documents(role)]

    def documents(self, role: str) -> list[Document]:
        """The contents and records of the JSON inputs of one role; each file is parsed once.

        Raises:
            UserError: an input is missing, damaged, or made by another recipe than the one planned.
        """
        documents = [self._document(reference) for reference in self.spec.inputs[role]]
        self._read |= {document.record.path: document.record.sha256 for document in documents}
        return documents

    def _document(self, reference: InputReference) -> Document:
        document = read_document(reference.path)
        self._check(reference, document.record if document else None)
        assert document is not None
        return document

    def optional_document(self, role: str) -> tuple[Document, bool] | None:
        """An optional JSON input, and whether it is of the recipe planned; None where there is none."""
        (reference,) = self.spec.optional[role]
        document = read_document(reference.path)
        if document is None:
            return None
        self._read[reference.path] = document.record.sha256
        return document, document.record.recipe == reference.recipe

    def published(self, file: str, sha256: str) -> str:
        """The text of a file of published numbers, as the plan saw it.

        Raises:
            UserError: it is not the one that the plan saw.
        """
        path = Path("config/published") / file
        if not path.exists() or hash_file(path) != sha256:
            raise UserError(f"{path} was changed after this job was planned: start the run again")
        return path.read_text(encoding="utf-8")

    @property
    def files(self) -> list[str]:
        """The files that the job writes."""
        return [self.spec.path, *self.spec.companions]

    def publish_arrays(
        self, arrays: Mapping[str, NDArray[Any] | ImageStream], checks: dict[str, Any], compressed: bool = False
    ) -> None:
        """Write the artifact as arrays, then its record."""
        self.begin_writing()
        save_arrays(Path(self.spec.path), arrays, compressed)
        self.publish_record(checks)

    def publish_taes(self, adversarial: torch.Tensor, checks: dict[str, Any]) -> None:
        """Write a TAE set, uint8 (N, H, W, 3) on the CPU, as what was added to the first N test images."""
        clean, data_set = self._clean(len(adversarial))
        self.publish_arrays(packed(adversarial, clean.cpu(), data_set), checks)

    def publish_json(self, content: Content) -> None:
        """Write a JSON artifact with its record inside."""
        write_json_artifact(Path(self.spec.path), content.as_json(), self._record(self.spec.path, {}))
        self.scratch.discard()

    def publish_texts(self, texts: Mapping[str, str]) -> None:
        """Write the artifact's files as texts, by file name, then its record."""
        self.begin_writing()
        for path in map(Path, self.files):
            write_text(path, texts[path.name])
        self.publish_record({})

    def publish_by_product(self, arrays: Mapping[str, NDArray[np.integer[Any]]]) -> None:
        """Write the artifact's by-product as compressed arrays, with a record of its own."""
        (path,) = self.spec.by_products
        sidecar(path).unlink(missing_ok=True)
        save_arrays(Path(path), arrays, compressed=True)
        record = self._record(path, {})
        write_record(record.model_copy(update={"files": {path: file_record(Path(path))}}))

    def begin_writing(self) -> None:
        """Remove the old record, so that a killed job leaves no new bytes under an old one."""
        sidecar(self.spec.path).unlink(missing_ok=True)

    def publish_record(self, checks: dict[str, Any]) -> None:
        """Write the sidecar of files that have been written, with which the job is done."""
        files = {path: file_record(Path(path)) for path in self.files}
        write_record(self._record(self.spec.path, checks).model_copy(update={"files": files}))
        self.scratch.discard()

    def _record(self, path: str, checks: dict[str, Any]) -> Record:
        return Record(
            path=path,
            kind=self.spec.kind,
            recipe=self.spec.recipe,
            parameters=self.spec.parameters,
            versions=self.spec.versions,
            inputs=self._read,
            checks=checks,
            environment=None if self.kind.is_in_git and path == self.spec.path else self._environment(),
        )

    def _environment(self) -> Environment:
        gpu = self.device.type == "cuda"
        rounding = _arithmetic(self.device, torch.get_num_threads()) if self.kind.runs_networks else ""
        took = self._stopwatch.reading()
        return Environment(**code_state(), device=self.device_name, gpu=gpu, arithmetic=rounding, **took)

    def _verified(self, reference: InputReference) -> Record:
        record = self._planned_record(reference)
        if not is_json(record.path):
            for name in damaged_files(record):
                raise UserError(f"{name} is damaged (its sha256 is not the recorded one): delete it and run again")
        self._read[record.path] = record.sha256
        return record

    def _planned_record(self, reference: InputReference) -> Record:
        record = read_record(reference.path)
        self._check(reference, record)
        assert record is not None
        return record

    def _check(self, reference: InputReference, record: Record | None) -> None:
        """Refuse an input that is missing, or not the one planned."""
        path = reference.path
        if not Path(path).exists():
            raise UserError(f"{path}, an input of {self.spec.path}, is missing: ask Snakemake for it first")
        if record is None or record.path != path:
            raise UserError(f"{path} has no provenance record of its own: delete it and run again")
        if record.recipe != reference.recipe:
            raise UserError(f"{path} was made by another recipe than {self.spec.path} needs: run Snakemake again")


def _refuse_fewer(path: Path, there: int, count: int | None) -> None:
    if count is not None and there < count:
        raise UserError(
            f"{path} has {there} images, but {count} are asked for: lower evaluation.images, white_box.images or "
            "training_images in the protocol"
        )


def parameters_of(record: Record, model: type[M]) -> M:
    """The parameters of an input.

    Raises:
        UserError: it is of another kind.
    """
    parameters = named(record.kind).parsed(record.parameters)
    if not isinstance(parameters, model):
        raise UserError(f"{record.path} is a {record.kind}, which is of no use here: name another input")
    return parameters


def _network(record: Record) -> Algorithm:
    """Of a checkpoint, trained here or elsewhere."""
    if record.kind == IMPORTED.name:
        return parameters_of(record, ImportedParameters).network
    return parameters_of(record, CheckpointParameters).network


def stage_of(kind: Kind) -> Callable[[Job[Any]], None]:
    """The function that makes artifacts of a kind; imported now, since what one needs would keep others waiting."""
    module, _, function = kind.stage.partition(":")
    stage: Callable[[Job[Any]], None] = getattr(importlib.import_module(f"trigger_activation.{module}"), function)
    return stage
