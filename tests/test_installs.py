"""Sets of requirements, and what an installation says before it starts and when it cannot go on."""

from __future__ import annotations

import functools
import http.server
import importlib.util
import platform
import subprocess
import sys
import threading
import tomllib
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests.support.projects import ROOT

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
EXTRAS = {"api": (), "workflow": ("workflow",), "dev": ("workflow", "dev")}
FINDER = ROOT / "scripts/find_python.sh"


@pytest.fixture(scope="module")
def install() -> ModuleType:
    spec = importlib.util.spec_from_file_location("install", ROOT / "scripts/install.py")
    assert spec
    assert spec.loader
    module = sys.modules["install"] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def locked(file: str) -> dict[str, list[Requirement]]:
    """Name -> its lines, of which markers choose one."""
    found = dict[str, list[Requirement]]()
    for line in (ROOT / file).read_text("utf-8").splitlines():
        requirement = Requirement(line)
        found.setdefault(canonicalize_name(requirement.name), []).append(requirement)
    return found


@pytest.mark.parametrize("name", EXTRAS)
def test_a_lock_has_what_its_set_asks_for(name: str, install: ModuleType) -> None:
    lock = locked(install.LOCKS[name])
    extras = PROJECT["optional-dependencies"]
    for line in [*PROJECT["dependencies"], *(line for extra in EXTRAS[name] for line in extras[extra])]:
        asked = Requirement(line)
        versions = [str(next(iter(r.specifier)).version) for r in lock[canonicalize_name(asked.name)]]
        assert all(asked.specifier.contains(version) for version in versions), line


def test_sets_agree_on_versions(install: ModuleType) -> None:
    api, workflow, dev = (locked(file) for file in install.LOCKS.values())
    for smaller, larger in ((api, workflow), (workflow, dev)):
        assert smaller.keys() < larger.keys()
        for name, requirements in smaller.items():
            assert {str(r.specifier) for r in requirements} == {str(r.specifier) for r in larger[name]}, name


def test_the_api_comes_without_the_workflow(install: ModuleType) -> None:
    assert not locked(install.LOCKS["api"]).keys() & {"dvc", "snakemake", "loky", "matplotlib", "pandas"}


def test_what_is_left_out_is_of_cuda_and_locked(install: ModuleType) -> None:
    lines = (ROOT / install.LOCKS["api"]).read_text("utf-8").splitlines()
    left_out = [line for line in lines if install.UNLOADED.match(line)]
    assert left_out
    assert all(install.CUDA.match(line) and "sys_platform == 'linux'" in line for line in left_out)
    assert not any(install.CUDA.match(line) for line in lines if install.BUILDS.match(line))


def test_a_fitting_python_is_found(tmp_path: Path) -> None:
    old = tmp_path / "python2"
    old.write_text("#!/bin/sh\nexit 1\n")
    old.chmod(0o755)
    result = subprocess.run(
        [FINDER, "nonesuch", old, sys.executable], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert (result.returncode, result.stdout) == (0, f"{sys.executable}\n")


def test_where_no_python_fits_it_is_said() -> None:
    result = subprocess.run([FINDER, "nonesuch"], cwd=ROOT, capture_output=True, text=True, check=False)
    assert result.returncode == 1
    assert result.stderr.startswith(f"No Python {PROJECT['requires-python']} among: nonesuch.")


@pytest.fixture
def index(tmp_path: Path) -> Iterator[str]:
    """The address of an index whose pages are files below the test's folder."""
    handler = functools.partial(http.server.SimpleHTTPRequestHandler, directory=tmp_path)
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


@pytest.mark.parametrize(("release", "expected"), [("2.14.1", True), ("2.14.10", False)])
def test_builds_for_the_cpu_are_taken_where_an_index_has_them(
    release: str, expected: bool, index: str, tmp_path: Path, install: ModuleType
) -> None:
    tag = f"cp3{sys.version_info.minor}"
    page = tmp_path / "torch/index.html"
    page.parent.mkdir()
    page.write_text(f'<a href="x/torch-2.14.1%2Bcpu-{tag}-{tag}-manylinux_2_28_{platform.machine()}.whl">torch</a>')
    assert install.has_cpu_builds(index, release) is expected


def test_an_index_that_does_not_answer_has_none(install: ModuleType) -> None:
    assert not install.has_cpu_builds("http://127.0.0.1:1", "2.14.1")


@pytest.mark.parametrize(
    ("printed", "said"),
    [
        ("raise OSError(28, 'No space left on device')", "the disk is full"),
        ("raise SystemExit('ERROR: No matching distribution found for x==1')", "the package index has none for this"),
        ("raise SystemExit('ERROR: something else')", "ERROR: something else"),
    ],
)
def test_a_failure_is_one_sentence(printed: str, said: str, install: ModuleType) -> None:
    with pytest.raises(install.InstallError) as failure:
        install.run([sys.executable, "-c", printed])
    assert str(failure.value).startswith(said)
    assert "\n" not in str(failure.value)
