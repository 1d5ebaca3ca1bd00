"""The release procedure as far as nobody sees it: builds the package, installs it on its own and uses it.

    python scripts/check_release.py

Torch and the other requirements are borrowed from the environment that runs this.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
import venv
import zipfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
VERSIONS = {
    "pyproject.toml": r'^version = "(.+)"$',
    "src/trigger_activation/__init__.py": r'^__version__ = "(.+)"$',
    "CITATION.cff": r"^version: (.+)$",
}
"""Where the version stands."""
USES = "import trigger_activation.science.attacks as a, trigger_activation.api; print(a.__file__)"


def version() -> str:
    """The one that all files name; the newest section of the changelog is its own or is called Unreleased."""
    named = {file: _found(file, pattern) for file, pattern in VERSIONS.items()}
    if len(set(named.values())) > 1:
        sys.exit(f"The version differs between files: {named}.")
    number = named["pyproject.toml"]
    if not re.fullmatch(rf"Unreleased|{re.escape(number)} - \d{{4}}-\d\d-\d\d", _found("CHANGELOG.md", r"^## (.+)$")):
        sys.exit(f"The newest section of CHANGELOG.md is neither 'Unreleased' nor '{number} - YYYY-MM-DD'.")
    return number


def _found(file: str, pattern: str) -> str:
    match = re.search(pattern, (ROOT / file).read_text("utf-8"), re.MULTILINE)
    if match is None:
        sys.exit(f"{file} has no line like {pattern}.")
    return match[1]


def build(folder: Path) -> Path:
    """The wheel, made from the source distribution, with every file of the package in it."""
    run(sys.executable, "-m", "build", "--no-isolation", "--outdir", str(folder), str(ROOT))
    (wheel,) = folder.glob("*.whl")
    tracked = run("git", "-C", str(ROOT), "ls-files", "src").splitlines()
    if missing := {file.removeprefix("src/") for file in tracked} - set(zipfile.ZipFile(wheel).namelist()):
        sys.exit(f"The wheel lacks {', '.join(sorted(missing))}: see package-data in pyproject.toml.")
    return wheel


def use(wheel: Path, folder: Path) -> None:
    """Install the wheel alone, and import and call what it brings."""
    venv.create(folder, with_pip=False, symlinks=True)
    python = str(folder / "bin/python")
    (packages,) = folder.glob("lib/python3*/site-packages")
    (packages / "borrowed.pth").write_text("\n".join(path for path in sys.path if path.endswith("site-packages")))
    run(sys.executable, "-m", "pip", "--quiet", "--python", python, "install", "--no-deps", "--no-index", str(wheel))
    imported = run(python, "-c", USES, cwd=folder)
    if not imported.startswith(str(packages)):
        sys.exit(f"What was imported is not the wheel's: {imported}")
    run(str(folder / "bin/trigact"), "--version", cwd=folder)


def run(*command: str, cwd: Path | None = None) -> str:
    """What a program prints; if it fails, that is the end."""
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    result = subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True, check=False)
    if result.returncode:
        sys.exit(f"{' '.join(command)} failed:\n{result.stdout}{result.stderr}")
    return result.stdout


def main() -> None:
    """Say what could be released."""
    number = version()
    with tempfile.TemporaryDirectory() as folder:
        wheel = build(Path(folder).resolve() / "dist")
        use(wheel, Path(folder).resolve() / "environment")
        print(f"{wheel.name} of {wheel.stat().st_size / 1e6:.1f} MB installs and imports; version {number}.")


if __name__ == "__main__":
    main()
