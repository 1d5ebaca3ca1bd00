"""Compiling LaTeX, on machines that have it."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

from trigger_activation.errors import UserError

ENGINE = "pdflatex"
MISSING_ENGINE = (
    f"it needs {ENGINE}, which is not installed: install TeX Live (on Debian texlive-latex-recommended) and run again"
)
PASSES = 2
"""LaTeX places floats in the first and knows their pages in the second."""


def engine_is_there() -> bool:
    """Whether a PDF can be compiled on this machine."""
    return shutil.which(ENGINE) is not None


def compile_pdf(source: str, scratch: Path) -> Path:
    """Compile LaTeX to a PDF without dates, so that the same source gives the same bytes.

    Args:
        source: what :func:`assemble` returns; its paths are relative to the working folder.
        scratch: an empty folder for everything that LaTeX writes.

    Raises:
        UserError: LaTeX is missing, reports an error, or lets something stick out of the page.
    """
    if not engine_is_there():
        raise UserError(f"the PDF cannot be made: {MISSING_ENGINE}")
    tex = scratch / "paper.tex"
    tex.write_text(source, encoding="utf-8")
    options = ["-no-shell-escape", "-interaction=nonstopmode", "-halt-on-error", f"-output-directory={scratch}"]
    command = [ENGINE, *options, str(tex)]
    environment = {**os.environ, "SOURCE_DATE_EPOCH": "0", "FORCE_SOURCE_DATE": "1", "max_print_line": "1000"}
    for _ in range(PASSES):
        run = subprocess.run(command, capture_output=True, text=True, errors="replace", env=environment, check=False)
        if run.returncode != 0:
            raise UserError(f"the PDF cannot be made, since {ENGINE} stopped: {_first_error(run.stdout)}")
    _refuse_overfull(tex.with_suffix(".log").read_text(encoding="utf-8", errors="replace"))
    return tex.with_suffix(".pdf")


def _first_error(output: str) -> str:
    errors = [line.removeprefix("! ") for line in output.splitlines() if line.startswith("!")]
    return errors[0] if errors else "no reason given"


def _refuse_overfull(log: str) -> None:
    found = re.search(r"Overfull \\hbox \(([0-9.]+)pt too wide\).*", log)
    if found:
        raise UserError(f"something is {found[1]} pt wider than the page ({found[0]}): shorten a label or a caption")
