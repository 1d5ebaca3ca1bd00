"""Compare the locked packages with PyPI's list of known vulnerabilities; says so if that is not possible here."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import urllib.request
from pathlib import Path

LOCK = Path("requirements.lock")
SERVICE = "https://pypi.org/pypi/{name}/{version}/json"
# Without --strict a package that the service does not know counts as sound.
COMMAND = ["pip-audit", "--strict", "--requirement", str(LOCK), "--disable-pip", "--no-deps"]


def obstacle() -> str | None:
    """Why the comparison cannot be made."""
    if shutil.which(COMMAND[0]) is None:
        return f"{COMMAND[0]} is not installed (python -m pip install {COMMAND[0]})"
    try:
        # Of one of the packages: a mirror may serve names and files, but no single versions, with which the list goes.
        with urllib.request.urlopen(SERVICE.format_map(_a_locked_package()), timeout=10) as answer:
            if "vulnerabilities" in json.load(answer):
                return None
    except (OSError, ValueError):
        pass
    return "no network, or none that reaches PyPI's list of vulnerabilities"


def _a_locked_package() -> dict[str, str]:
    name, version = re.findall(r"^([\w.-]+)==([\w.]+)$", LOCK.read_text(encoding="utf-8"), re.MULTILINE)[0]
    return {"name": name, "version": version}


def main() -> int:
    """The exit status: that of pip-audit; without it 0, or 1 where CI_REQUIRE_AUDIT=1 says that it must run."""
    if reason := obstacle():
        print(f"Audit of dependencies not run: {reason}.")
        return int(os.environ.get("CI_REQUIRE_AUDIT") == "1")
    return subprocess.run(COMMAND, check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
