"""Draw docs/rulegraph.svg: what each rule is made from, as Snakemake sees it where nothing has been made yet.

python scripts/rulegraph.py      (needs graphviz's dot)
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PICTURE = ROOT / "docs/rulegraph.svg"
SNAKEMAKE = [sys.executable, "-m", "snakemake"]
# The PDF is asked for by name, since experiments leave it out where LaTeX is not installed.
PDF = "paper_tables/demo/paper.pdf"

Edge = tuple[str, str]


def rulegraph() -> str:
    """The graph of the demo's rules in graphviz's language."""
    with tempfile.TemporaryDirectory() as folder:
        for part in ("config", "workflow"):
            shutil.copytree(ROOT / part, Path(folder) / part)
        command = [*SNAKEMAKE, "all", PDF, "--rulegraph", "--config", "experiment=demo"]
        graph = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=True).stdout
    return graph[graph.index("digraph") :]


def edges(graph: str) -> set[Edge]:
    """From rule, to rule: of a graph in graphviz's language."""
    names = dict(re.findall(r'(\d+)\[label = "(\w+)"', graph))
    found = {(names[source], names[target]) for source, target in re.findall(r"(\d+) -> (\d+)", graph)}
    return found - {("pdf", "all")}  # Which is there only with LaTeX.


def drawn_edges(picture: str) -> set[Edge]:
    """The same of an SVG picture that dot has drawn."""
    nodes = re.findall(r'class="node">\s*<title>(\d+)</title>.*?<text[^>]*>(\w+)</text>', picture, re.DOTALL)
    names = dict(nodes)
    arrows = re.findall(r"<title>(\d+)&#45;&gt;(\d+)</title>", picture)
    return {(names[source], names[target]) for source, target in arrows} - {("pdf", "all")}


def main() -> None:
    """Write the picture."""
    if shutil.which("dot") is None:
        sys.exit("rulegraph: there is no dot here: install graphviz (on Debian the package of this name) and run again")
    picture = subprocess.run(["dot", "-Tsvg"], input=rulegraph(), capture_output=True, text=True, check=True).stdout
    PICTURE.write_text(picture, encoding="utf-8")
    print(f"{PICTURE.relative_to(ROOT)} written")


if __name__ == "__main__":
    main()
