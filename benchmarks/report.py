"""What all benchmarks share: a printed table, and the same figures as JSON."""

from __future__ import annotations

import argparse
import json
import os
import platform
from itertools import groupby
from pathlib import Path
from typing import Any

import pandas as pd

from trigger_activation.store.environment import processor_name


def arguments(description: str | None) -> argparse.ArgumentParser:
    """A parser with the option that every benchmark has."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write the figures to a file")
    return parser


def report(rows: list[dict[str, Any]], file: Path | None) -> None:
    """Print adjacent rows of the same columns as a table, and write all with a description of the machine."""
    for _, table in groupby(rows, key=list):
        print(pd.DataFrame(list(table)).to_string(index=False), end="\n\n")
    if file is not None:
        machine = {"processor": processor_name(), "cores": os.cpu_count(), "python": platform.python_version()}
        file.write_text(json.dumps({"machine": machine, "rows": rows}, indent=1) + "\n")
