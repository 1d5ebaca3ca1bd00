"""Files and config from strangers: refused in one sentence, nothing in them executed, no path left."""

from __future__ import annotations

import ast
import io
import json
import os
import pickle
import re
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import trigger_activation
from tests.faults.tally import Tally
from tests.support.projects import ROOT, Project, one_sentence
from tests.support.smoke_project import Project as SmokeProject
from tests.support.smoke_project import make
from trigger_activation.errors import UserError
from trigger_activation.plan import build_plan
from trigger_activation.plan.config.loader import load_config, read_yaml, validate
from trigger_activation.plan.config.schema import Victim
from trigger_activation.plan.kinds import EXTERNAL
from trigger_activation.science.datasets import DATASETS
from trigger_activation.science.helpers import HELPERS
from trigger_activation.store.arrays import load_arrays
from trigger_activation.store.checkpoints import load_checkpoint
from trigger_activation.store.external import read_external
from trigger_activation.store.freshness import Freshness
from trigger_activation.store.records import hash_file, read_record, sidecar

EXECUTED = Path("executed")
NESTED = 100_000


class Payload:
    """Creates a file when it is unpickled."""

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mknod, (str(EXECUTED),)


@pytest.fixture(autouse=True)
def _nothing_is_executed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.chdir(tmp_path)
    EXTERNAL.mkdir(parents=True)
    yield
    assert not EXECUTED.exists()


def test_the_payload_is_live() -> None:
    pickle.loads(pickle.dumps(Payload()))
    EXECUTED.unlink()


def refusal(tally: Tally, kind: str, function: Callable[..., object], *arguments: object) -> str:
    """The sentence with which something is refused."""
    try:
        function(*arguments)
    except UserError as error:
        sentence = one_sentence(str(error))
        tally.count("inputs", kind, True)
        return sentence
    except BaseException:
        tally.count("inputs", kind, False)
        raise
    tally.count("inputs", kind, False)
    pytest.fail("it was accepted")


def pickled(path: Path) -> None:
    path.write_bytes(pickle.dumps(Payload(), protocol=2))


def as_state(path: Path) -> None:
    torch.save({"weight": torch.zeros(1), "optimizer": Payload()}, path)


def as_old_state(path: Path) -> None:
    torch.save({"weight": Payload()}, path, _use_new_zipfile_serialization=False)


def as_network(path: Path) -> None:
    torch.save(torch.nn.Linear(1, 1), path)


def objects(path: Path) -> None:
    np.savez(path.open("wb"), images=np.array([Payload()], dtype=object), labels=np.zeros(1))


def one_array(path: Path) -> None:
    np.save(path.open("wb"), np.array([Payload()], dtype=object), allow_pickle=True)


def impossible_size(path: Path) -> None:
    """Arrays whose headers promise more than any machine has."""
    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(header, {"descr": "<f8", "fortran_order": False, "shape": (10**15,)})
    with zipfile.ZipFile(path, "w") as archive:
        for name in ("images", "labels"):
            archive.writestr(f"{name}.npy", header.getvalue())


def safetensors(header: object, data: bytes = b"", length: int | None = None) -> Callable[[Path], None]:
    """A safetensors file with this header, whose stated length may be wrong."""
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return lambda path: path.write_bytes(struct.pack("<Q", len(text) if length is None else length) + text + data)


def tensor(first: int, last: int, shape: list[int], dtype: str = "F32") -> dict[str, Any]:
    return {"dtype": dtype, "shape": shape, "data_offsets": [first, last]}


PICKLES = {
    "pickle": pickled,
    "pickle in a state": as_state,
    "pickle in an old state": as_old_state,
    "whole network": as_network,
}
HEADERS = {
    "no header": lambda path: path.write_bytes(b""),
    "a pickle": pickled,
    "longer than the file": safetensors({}, length=2**40),
    "longer than memory": safetensors({}, length=2**64 - 1),
    "no JSON": safetensors(b"{" * 8),
    "nested too deeply": safetensors(b"[" * NESTED),
    "a list": safetensors([]),
    "beyond the end": safetensors({"a": tensor(0, 400, [100])}, b"\0" * 4),
    "backwards": safetensors({"a": tensor(4, 0, [1])}, b"\0" * 4),
    "overlapping": safetensors({"a": tensor(0, 4, [1]), "b": tensor(0, 4, [1])}, b"\0" * 4),
    "of another size": safetensors({"a": tensor(0, 4, [2**40, 2**40])}, b"\0" * 4),
    "of no known type": safetensors({"a": tensor(0, 4, [1], "PY")}, b"\0" * 4),
}


class TestFiles:
    @pytest.mark.parametrize("kind", PICKLES)
    def test_a_foreign_network_executes_nothing(self, kind: str, tally: Tally) -> None:
        path = EXTERNAL / "mine.pt"
        PICKLES[kind](path)
        sentence = refusal(tally, "network file", read_external, path.name, hash_file(path), "them")
        assert "results/external/mine.pt cannot be read as tensors and numbers alone" in sentence

    @pytest.mark.parametrize("kind", HEADERS)
    def test_a_wrong_safetensors_header_is_refused(self, kind: str, tally: Tally) -> None:
        path = EXTERNAL / "mine.safetensors"
        HEADERS[kind](path)
        refusal(tally, "safetensors header", read_external, path.name, hash_file(path), "them")
        sentence = refusal(tally, "safetensors header", load_checkpoint, path, torch.device("cpu"), {})
        assert sentence.startswith(f"{path} cannot be used as a checkpoint")

    @pytest.mark.parametrize("write", [pickled, objects, one_array, impossible_size])
    def test_arrays_of_objects_are_refused(self, write: Callable[[Path], None], tally: Tally) -> None:
        path = Path("images.npz")
        write(path)
        sentence = refusal(tally, "array file", load_arrays, path, ("images", "labels"))
        assert sentence.startswith("images.npz cannot be read")

    @pytest.mark.parametrize("text", ["[" * NESTED, '{"a":' * NESTED, "9" * NESTED, '{"recipe": 1e999}', "\ud800"])
    def test_an_odd_record_is_refused(self, text: str, tally: Tally) -> None:
        sidecar("images.npz").write_bytes(text.encode("utf-8", "surrogatepass"))
        assert "is damaged" in refusal(tally, "record", read_record, "images.npz")


class TestConfig:
    @pytest.mark.parametrize(
        "text",
        [
            "a: !!python/object/apply:os.mknod [executed]",
            "a: !!python/object/new:os.mknod [executed]",
            "a: !!python/name:os.system",
            "a: !!python/module:os",
            "!!python/object/apply:os.mknod [executed]: a",
            "a: !mine x",
            "a: !!int ''",
            "a: !!timestamp x",
            "a: &a [*a]",
            "a: 0x" + "f" * 5000,
            "a: " + "9" * 5000,
            "a: " + "[" * NESTED,
            "\n".join(["a0: &a0 x", *(f"a{i + 1}: &a{i + 1} [{', '.join([f'*a{i}'] * 10)}]" for i in range(30))]),
        ],
        ids=lambda text: text[:30].replace("\n", " "),
    )
    def test_yaml_executes_and_repeats_nothing(self, text: str, tally: Tally) -> None:
        path = Path("mine.yaml")
        path.write_text(text)
        sentence = refusal(tally, "YAML tag or alias", read_yaml, path)
        assert sentence.startswith("mine.yaml")
        assert len(sentence) < 500

    @pytest.mark.parametrize("name", ["../x.pt", "/etc/passwd", "..", ".", "", "a/b", "a\\b", "a\nb", "a\0b"])
    @pytest.mark.parametrize(
        ("model", "others"),
        [
            (Victim, {"label": "Mine", "network": "vgg-s", "sha256": None}),
            (HELPERS["nrp"], {"sha256": None, "generator": "full"}),
        ],
    )
    def test_files_stay_in_their_folder(
        self, name: str, model: type[Any], others: dict[str, Any], tally: Tally
    ) -> None:
        content = {**others, "file": name}
        sentence = refusal(tally, "path in config", validate, model, content, "config/mine.yaml", "mine")
        said = f"{name!r} is no name of a file in results/external: give the name alone"
        assert sentence == f"config/mine.yaml: mine.file: {said}"

    @pytest.mark.parametrize("name", ["../packed.py", "/etc/passwd", "..", ".", "a/b", "a\nb", "a\0b"])
    def test_data_sets_stay_in_their_folder(self, name: str, tally: Tally) -> None:
        def read() -> None:
            given = {"file": name, "sha256": "0" * 64}
            validate(DATASETS["packed"], given, "config/mine.yaml", "mine").load("train", EXTERNAL)

        refusal(tally, "path in config", read)

    @pytest.mark.parametrize("name", ["$(touch executed)", "`touch executed`", "a; touch b", "../a", "a/b", "a\nb"])
    def test_names_are_slugs(self, name: str, tally: Tally, tmp_path: Path) -> None:
        project = Project.small(tmp_path)
        assert "experiment" in refusal(tally, "name", load_config, project.config, name)
        with project.edited("attacks/all.yaml") as attacks:
            attacks[name] = attacks.pop("difgsm")
        assert "use lower-case letters" in refusal(tally, "name", project.plan)


LABEL = r"<script>alert(1)</script>\input{/etc/passwd}$(touch executed)`touch executed`"


def test_labels_are_text_wherever_they_are_shown(finished: SmokeProject, tmp_path: Path, monkeypatch: Any) -> None:
    project = finished.copy_to(tmp_path / "copy")
    with Project(project.folder).edited("attacks/gradient.yaml") as attacks:
        attacks["pgd"]["label"] = LABEL
    with Project(project.folder).edited("experiments/smoke.yaml") as experiment:
        experiment |= {"figures": [], "reports": ["page"]}
    monkeypatch.chdir(project.folder)
    plan = build_plan(load_config(Path("config")))
    page = plan["paper_tables/smoke/index.html"]
    for artifact in plan.upstream([page.path]):
        if not Freshness(plan).verdict(artifact.path).valid:
            make(plan, artifact.path)
    html = Path(page.path).read_text()
    assert "&lt;script&gt;alert(1)" in html
    assert "<script>alert" not in html
    tex = Path("paper_tables/smoke/table1.tex")
    assert r"\textless{}script\textgreater{}alert(1)" in tex.read_text()
    assert r"\input" not in tex.read_text()
    assert r"\<script>" in tex.with_suffix(".md").read_text()
    assert not list(project.folder.rglob("executed"))


SHELLS = {"os.system", "os.popen", "subprocess.getoutput", "subprocess.getstatusoutput", "eval", "exec"}


RESTRICTED = "science/datasets/cifar.py"
"""The one module that knows pickles: CIFAR's official archives hold them, and its reader admits arrays alone."""


def test_no_code_asks_a_shell_or_evaluates_text() -> None:
    for path in Path(trigger_activation.__file__).parent.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.Call):
                assert ast.unparse(node.func) not in SHELLS, f"{path}:{node.lineno}"
                assert not any(keyword.arg == "shell" for keyword in node.keywords), f"{path}:{node.lineno}"
            if isinstance(node, ast.Import | ast.ImportFrom):
                names = {alias.name for alias in node.names} | {getattr(node, "module", None)}
                foreign = names & {"pickle", "marshal", "shelve", "dill"}
                assert not foreign or path.match(RESTRICTED), f"{path}:{node.lineno}"


def test_the_reader_of_pickles_only_reads_through_its_restricted_class() -> None:
    tree = ast.parse((Path(trigger_activation.__file__).parent / RESTRICTED).read_text("utf-8"))
    used = {ast.unparse(node) for node in ast.walk(tree) if isinstance(node, ast.Attribute)}
    assert {name for name in used if name.startswith("pickle.")} <= {"pickle.Unpickler", "pickle.UnpicklingError"}


def test_no_rule_has_a_shell_command() -> None:
    for path in [ROOT / "workflow/Snakefile", *(ROOT / "workflow/rules").glob("*.smk")]:
        assert not re.search(r"^\s*(shell|script|notebook|wrapper|cwl)\s*[:(]", path.read_text("utf-8"), re.MULTILINE)
