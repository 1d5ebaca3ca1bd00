"""Create an environment with one set of requirements, or add to it what is missing; what is there already stays.

    python scripts/install.py ENVIRONMENT {api,workflow,dev} [--torch {cpu,cuda}] [--installer {uv,pip}]

Runs on the standard library alone, with the Python that the environment is made from.
"""

from __future__ import annotations

import argparse
import platform
import re
import shutil
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

LOCKS = {"api": "requirements-api.lock", "workflow": "requirements-workflow.lock", "dev": "requirements.lock"}
ORACLES = "requirements-oracles.txt"
CPU_INDEX = "https://download.pytorch.org/whl/cpu"
BUILDS = re.compile(r"torch(vision)?==")
"""What that index has builds of."""
CUDA = re.compile(r"(nvidia|cuda)-|triton==")
"""What only builds of torch for CUDA ask for."""
UNLOADED = re.compile(r"(nvidia-(cusolver|nvtx)|cuda-(bindings|pathfinder|toolkit)|triton)==")
"""Of these, what importing torch does not load; the rest are libraries that its own are linked with."""
CAUSES = {
    r"No space left on device|Disk quota exceeded|os error 28": "the disk is full: free some room, or name a folder on "
    "another one with ENV=, and with TMPDIR= one for what is unpacked on the way",
    r"NewConnectionError|NameResolutionError|Failed to establish|Temporary failure in name|dns error|timed out|"
    r"error sending request|Connection (?:refused|reset|aborted)|ProxyError": "no package index answers: look at the "
    "network, or name a mirror (PIP_INDEX_URL for pip, UV_DEFAULT_INDEX for uv); running this again goes on from here",
    r"confirming the ssl certificate|CERTIFICATE_VERIFY_FAILED|invalid peer certificate": "the index's certificate "
    "is not trusted here: name the file of your network's own ones (PIP_CERT for pip, SSL_CERT_FILE for uv)",
    r"No matching distribution found for (\S+)|Because (\S+) (?:has no|was not found)": "the package index has none "
    "for this Python and machine of",
    r"ensurepip": "this Python cannot make environments: install its venv module (Debian: python3-venv)",
}
"""Pattern in what an installer prints -> what is wrong and how to mend it."""


class InstallError(Exception):
    """Something that the user can mend; the message is one sentence."""


@dataclass(frozen=True)
class Installer:
    """pip or uv, for one environment."""

    environment: Path
    uv: str | None
    """Its path; without it pip installs."""

    def install(self, *arguments: str, expected: int = 0) -> None:
        """Install without dependencies: a lock names all of them.

        Raises:
            InstallError: it did not work.
        """
        python = str(self.environment / "bin/python")
        if self.uv:
            run([self.uv, "pip", "install", "--python", python, "--no-deps", *arguments])
        else:
            # As uv does: compiling everything takes minutes and a quarter of a gigabyte; importing compiles too.
            run([python, "-m", "pip", "install", "--no-compile", "--no-deps", *arguments], expected)


def run(command: list[str], expected: int = 0) -> None:
    """Run an installer, showing what it downloads.

    Args:
        command: to run.
        expected: number of packages, to count against.

    Raises:
        InstallError: it failed.
    """
    lines, found = [], 0
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as process:
        for line in process.stdout or ():
            lines.append(line.strip())
            found += line.startswith(("Collecting", "Requirement already"))
            if re.search(r"Downloading .*\(\d+(\.\d+)? ?([MG]i?B)\)|^ *(Prepared|Installed) \d+ pack", line):
                print(f"  [{found}/{expected}]" if expected else " ", line.strip(), flush=True)
            elif line.startswith("Installing collected"):
                print("  unpacking", flush=True)
    if process.returncode:
        raise InstallError(_cause(lines))


def _cause(lines: list[str]) -> str:
    text = "\n".join(lines)
    for pattern, sentence in CAUSES.items():
        if match := re.search(pattern, text):
            return " ".join([sentence, *filter(None, match.groups())])
    errors = [line for line in lines if re.match(r"error|ERROR|×|.*Error:", line)]
    return (errors or lines or ["the installer failed without a word"])[-1]


def create(environment: Path) -> None:
    """Make the environment anew, unless it is there and of this Python's version."""
    python, version = environment / "bin/python", sys.version_info[:2]
    test = [str(python), "-c", f"import sys; sys.exit(sys.version_info[:2] != {version})"]
    if not python.exists() or subprocess.run(test, check=False).returncode:
        run([sys.executable, "-m", "venv", "--clear", str(environment)])


def has_cpu_builds(index: str, torch: str) -> bool:
    """Whether an index answers and has that release of torch for this Python and machine."""
    tag = f"cp{sys.version_info.major}{sys.version_info.minor}"
    name = rf"torch-{re.escape(torch)}(%2B|\+)cpu-{tag}-{tag}-[\w.]*{platform.machine()}\.whl"
    try:
        with urllib.request.urlopen(f"{index}/torch/", timeout=10) as answer:
            return re.search(name, answer.read().decode()) is not None
    except (OSError, ValueError):
        return False


def install_locked(installer: Installer, lock: str, torch: str) -> None:
    """Install one set; without a GPU no more of CUDA than has to be there."""
    lines = [line for line in Path(lock).read_text("utf-8").splitlines() if line]
    builds = [line for line in lines if BUILDS.match(line)]
    release = builds[0].partition("==")[2].split()[0]
    cpu_index = torch == "cpu" and sys.platform == "linux" and has_cpu_builds(CPU_INDEX, release)
    left_out = [line for line in lines if torch == "cpu" and (CUDA if cpu_index else UNLOADED).match(line)]
    if cpu_index:
        print(f"torch and torchvision {release} come from {CPU_INDEX}, other builds than those of the lock.")
        installer.install("--index-url", CPU_INDEX, *builds)
    elif left_out and sys.platform == "linux":
        names = ", ".join(line.partition("==")[0] for line in left_out)
        print(f"Left out, as nothing here loads it: {names}.")
        print(f"PyTorch's builds for the CPU take half the room; {CPU_INDEX} does not answer, or not with {release}.")
    _install(installer, [line for line in lines if line not in left_out and not (cpu_index and line in builds)])
    if not imports(installer.environment):
        print("torch does not import so: installing the rest as well.")
        _install(installer, lines)


def _install(installer: Installer, lines: Iterable[str]) -> None:
    """Install some lines of a lock."""
    listed = installer.environment / "requirements.txt"
    listed.write_text("\n".join(lines), encoding="utf-8")
    installer.install("--requirement", str(listed), expected=len(listed.read_text("utf-8").splitlines()))


def imports(environment: Path) -> bool:
    """Whether torch can be used there."""
    command = [str(environment / "bin/python"), "-c", "import torch, torchvision; torch.zeros(1)"]
    return subprocess.run(command, capture_output=True, check=False).returncode == 0


def size(folder: Path) -> float:
    """Of all files, in GB."""
    return sum(path.lstat().st_size for path in folder.rglob("*") if not path.is_symlink()) / 1e9


def main() -> int:
    """The exit status."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("environment", type=Path)
    parser.add_argument("set", choices=LOCKS)
    parser.add_argument("--torch", choices=["cpu", "cuda"], default="cpu")
    parser.add_argument("--installer", choices=["uv", "pip"], default="uv", help="pip is taken where uv is not there")
    options = parser.parse_args()
    start = time.monotonic()
    installer = Installer(options.environment, shutil.which("uv") if options.installer == "uv" else None)
    print(
        f"Installing {LOCKS[options.set]} into {options.environment} by {'uv' if installer.uv else 'pip'}, for Python "
        f"{platform.python_version()}, with torch for the {'CPU' if options.torch == 'cpu' else 'GPU'} "
        f"(TORCH={'cuda' if options.torch == 'cpu' else 'cpu'} for the other one)."
    )
    try:
        create(options.environment)
        install_locked(installer, LOCKS[options.set], options.torch)
        if options.set == "dev":
            installer.install("--requirement", ORACLES)
        installer.install("--editable", ".")
    except InstallError as error:
        print(f"{options.environment} is not complete: {error}.", file=sys.stderr)
        return 1
    print(f"{options.environment} is complete: {size(options.environment):.1f} GB, {time.monotonic() - start:.0f} s.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
