"""Compare the locked packages with PyPI's list of known vulnerabilities; says so if that is not possible here."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import urllib.request

SERVICE = "https://pypi.org/pypi/pip/json"
# Without --strict a package that the service does not know counts as sound.
COMMAND = ["pip-audit", "--strict", "--requirement", "requirements.lock", "--disable-pip", "--no-deps"]


def obstacle() -> str | None:
    """Why the comparison cannot be made."""
    if shutil.which(COMMAND[0]) is None:
        return f"{COMMAND[0]} is not installed (python -m pip install {COMMAND[0]})"
    try:
        with urllib.request.urlopen(SERVICE, timeout=10) as answer:
            if "vulnerabilities" in json.load(answer):
                return None
    except (OSError, ValueError):
        pass
    return "no network, or none that reaches PyPI's list of vulnerabilities"


def main() -> int:
    """The exit status: that of pip-audit; without it 0, or 1 where CI_REQUIRE_AUDIT=1 says that it must run."""
    if reason := obstacle():
        print(f"Audit of dependencies not run: {reason}.")
        return int(os.environ.get("CI_REQUIRE_AUDIT") == "1")
    return subprocess.run(COMMAND, check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
