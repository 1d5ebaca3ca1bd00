"""What environments take, by set of requirements and installer, and how long a clone takes to its first success."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from scripts.install import LOCKS, size

from benchmarks.report import arguments, report

ROOT = Path(__file__).parents[1]
CACHES = {"uv": "UV_CACHE_DIR", "pip": "PIP_CACHE_DIR"}
"""Installer -> the variable that names its package cache."""


def seconds(command: list[str], folder: Path, surroundings: Mapping[str, str]) -> float:
    """Of a command, which has to succeed."""
    start = time.perf_counter()
    subprocess.run(command, cwd=folder, env={**os.environ, **surroundings}, check=True, capture_output=True)
    return round(time.perf_counter() - start, 1)


def clone(folder: Path, revision: str = "HEAD") -> Path:
    """A clone of this project, as it was at a revision."""
    subprocess.run(["git", "clone", "--quiet", str(ROOT), str(folder)], check=True)
    subprocess.run(["git", "checkout", "--quiet", revision], cwd=folder, check=True)
    return folder


def environments(work: Path, installer: str, surroundings: Mapping[str, str]) -> Iterator[dict[str, Any]]:
    """Each set in a new environment; the first fills the cache of packages."""
    source = clone(work / "source")
    for number, name in enumerate(LOCKS):
        command = [sys.executable, "scripts/install.py", str(work / name), name, "--installer", installer]
        took = seconds(command, source, surroundings)
        cache = "filled by it" if number == 0 else "warm"
        row = {"environment": name, "installer": installer, "cache": cache, "seconds": took}
        yield {**row, "GB": round(size(work / name), 2)}
        shutil.rmtree(work / name)


def before(work: Path, revision: str, surroundings: Mapping[str, str]) -> dict[str, Any]:
    """The one environment of an earlier commit, made of all lines of its lock by pip."""
    source, environment = clone(work / "before", revision), work / "environment"
    subprocess.run([sys.executable, "-m", "venv", str(environment)], check=True)
    install = [str(environment / "bin/python"), "-m", "pip", "install", "--no-deps"]
    took = seconds([*install, "--requirement", "requirements.lock"], source, surroundings)
    row = {"environment": f"all, at {revision}", "installer": "pip", "cache": "partly warm", "seconds": took}
    return {**row, "GB": round(size(environment), 2)}


def first_success(work: Path, installer: str, surroundings: Mapping[str, str]) -> Iterator[dict[str, Any]]:
    """From `git clone` to the end of `make smoke`, with an empty cache of packages and then with a filled one."""
    for cache in ("cold", "warm"):
        start = time.perf_counter()
        folder = clone(work / cache)
        seconds(["make", "smoke"], folder, surroundings)
        yield {"clone to the end of smoke": installer, "cache": cache, "seconds": round(time.perf_counter() - start, 1)}
        shutil.rmtree(folder)


def measure(uv: Path | None, revision: str | None) -> Iterator[dict[str, Any]]:
    """All environments, then all first successes; without uv those of pip alone."""
    paths = {"pip": os.environ["PATH"]} | ({"uv": f"{uv.parent}{os.pathsep}{os.environ['PATH']}"} if uv else {})
    with tempfile.TemporaryDirectory() as name:
        work = {installer: Path(name, installer) for installer in paths}
        settings = {one: {"PATH": paths[one], CACHES[one]: str(work[one] / "cache")} for one in paths}
        for installer in paths:
            work[installer].mkdir()
            yield from environments(work[installer], installer, settings[installer])
        if revision:
            yield before(work["pip"], revision, settings["pip"])
        for installer in paths:
            shutil.rmtree(work[installer] / "cache")
            yield from first_success(work[installer], installer, settings[installer])


def main() -> None:
    """The installers that are here."""
    parser = arguments(__doc__)
    parser.add_argument("--uv", type=Path, metavar="FILE", help="the program, which must not be on the path otherwise")
    parser.add_argument("--before", metavar="REVISION", help="also the environment of an earlier commit")
    options = parser.parse_args()
    if shutil.which("uv"):
        parser.error("uv is on the path, where pip's rows would take it too: leave it out of PATH and name it by --uv")
    report(list(measure(options.uv, options.before)), options.json)


if __name__ == "__main__":
    main()
