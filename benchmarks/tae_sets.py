"""What TAE sets take on disk, and CPU seconds to write and to read them, beside the same images uncompressed.

It reads the TAE sets that a folder holds. Sets that the experiment `paper` plans are counted at the share of their size
that sets of the same budget take here, or all sets where there are none.
"""

from __future__ import annotations

import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from benchmarks.report import arguments, report
from trigger_activation.plan import Artifact, Plan, build_plan
from trigger_activation.plan.config import load_config
from trigger_activation.plan.kinds import TAE
from trigger_activation.science.images import middle
from trigger_activation.store.arrays import load_arrays, save_arrays
from trigger_activation.store.records import hash_file
from trigger_activation.store.tae_sets import TaeSet, packed

ROOT = Path(__file__).parents[1]
COLUMNS = ("bytes as images", "bytes", "write s as images", "write s", "read s as images", "read s")


def cpu_seconds(work: Callable[[], object]) -> float:
    """The fewest of five repetitions, on one thread."""
    best = float("inf")
    for _ in range(5):
        start = time.process_time()
        work()
        best = min(best, time.process_time() - start)
    return best


def measured(path: Path, test: Path, side: int, scratch: Path) -> dict[str, float]:
    """One set, written and read both ways; reading includes the sha256 of the file, as jobs take it."""
    tae_set, data_set = TaeSet(path), hash_file(test)
    clean = middle(torch.from_numpy(load_arrays(test, ("images",))["images"][: len(tae_set)]), side)
    images = tae_set.images(clean, data_set)
    whole, added = scratch / "images.npz", scratch / "added.npz"
    return {
        "write s as images": cpu_seconds(lambda: save_arrays(whole, {"images": images.numpy()})),
        "write s": cpu_seconds(lambda: save_arrays(added, packed(images, clean, data_set))),
        "read s as images": cpu_seconds(lambda: (hash_file(whole), load_arrays(whole, ("images",)))),
        "read s": cpu_seconds(lambda: (hash_file(added), TaeSet(added).images(clean, data_set))),
        "bytes as images": whole.stat().st_size,
        "bytes": added.stat().st_size,
    }


def size_of(artifact: Artifact, plan: Plan) -> int:
    """Bytes of the images of a planned set."""
    (test,) = artifact.inputs["test"]
    return int(artifact.settings["images"] * plan[test].settings["image_size"] ** 2 * 3)


def total(what: str, budget: str, rows: list[dict[str, float]]) -> dict[str, Any]:
    """Sums over sets."""
    sums = {column: sum(row[column] for row in rows) for column in COLUMNS}
    return {
        "of": what,
        "eps": budget,
        "sets": len(rows),
        **{f"MiB{column[5:]}": round(sums[column] / 2**20, 2) for column in COLUMNS[:2]},
        "share": round(sums["bytes"] / sums["bytes as images"], 3),
        **{column: round(sums[column], 3) for column in COLUMNS[2:]},
    }


def extrapolated(rows: list[dict[str, float]], sizes: list[int]) -> list[dict[str, float]]:
    """What other sets would take, if they were as those measured."""
    known = sum(row["bytes as images"] for row in rows)
    return [{column: sum(row[column] for row in rows) / known * size for column in COLUMNS} for size in sizes]


def main() -> None:
    """Totals by protocol, and of the paper's sets by protocol."""
    parser = arguments(__doc__)
    parser.add_argument("--folder", type=Path, default=ROOT, help="where results/taes lies")
    options = parser.parse_args()
    torch.set_num_threads(1)
    plan = build_plan(load_config(options.folder / "config"))
    found: dict[tuple[str, str], list[dict[str, float]]] = {}
    with tempfile.TemporaryDirectory() as scratch:
        for artifact in (a for a in plan.artifacts.values() if a.kind is TAE):
            path, (test,) = options.folder / artifact.path, artifact.inputs["test"]
            if path.exists() and (options.folder / test).exists():
                side = plan[test].settings["image_size"]
                key = artifact.group, artifact.settings["attack"]["eps"]
                found.setdefault(key, []).append(measured(path, options.folder / test, side, Path(scratch)))
    if not found:
        sys.exit(f"{options.folder} holds no TAE sets: run `make demo` first")
    every = [row for rows in found.values() for row in rows]
    table = [total(protocol, eps, rows) for (protocol, eps), rows in found.items()]
    table.append(total("all that are here", "", every))
    planned: dict[tuple[str, str], list[int]] = {}
    for artifact in (a for a in plan.of_experiment("paper") if a.kind is TAE):
        planned.setdefault((artifact.group, artifact.settings["attack"]["eps"]), []).append(size_of(artifact, plan))
    for (protocol, eps), sizes in planned.items():
        alike = [row for (_, budget), rows in found.items() if budget == eps for row in rows] or every
        table.append(total(f"{protocol}, extrapolated", eps, extrapolated(alike, sizes)))
    report(table, options.json)


if __name__ == "__main__":
    main()
