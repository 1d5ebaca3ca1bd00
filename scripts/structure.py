"""Measures of the code's structure, as a table and with `--names` as lists to be read name by name.

    python scripts/structure.py [FOLDER] [--names]

FOLDER is a checkout of this project, also of an older commit: two commits are compared by running it on each.
"""

from __future__ import annotations

import argparse
import ast
import io
import re
import tokenize
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from itertools import pairwise
from pathlib import Path
from statistics import median

STEPS = ("make", "run_job", "perform", "make_tae", "_batch_by_batch", "crafted", "perturb", "step")
"""Functions from ``rule tae`` to the update of PGD, each of which calls the next."""
HANDED_ON = ("perform", "_batch_by_batch")
"""Of these, the ones that get the next from the row of a kind and from the step before."""


def modules(package: Path) -> dict[Path, ast.Module]:
    """Every module of the package, parsed."""
    return {path: ast.parse(path.read_text("utf-8")) for path in sorted(package.rglob("*.py"))}


def top_level(package: Path) -> list[str]:
    """What greets whoever opens the package."""
    names = (path.name for path in package.iterdir() if path.name not in {"__init__.py", "__pycache__", "py.typed"})
    return sorted(names)


def string_key_reads(tree: ast.Module) -> Iterator[tuple[int, str]]:
    """Line and key of every value that is read by a key spelled in the code: ``x["key"]`` and ``x.get("key")``."""
    annotations = {id(inner) for node in ast.walk(tree) for inner in _annotations(node)}
    for node in ast.walk(tree):
        key: ast.expr | None = None
        if isinstance(node, ast.Subscript) and isinstance(node.ctx, ast.Load) and id(node) not in annotations:
            key = node.slice
        if (
            isinstance(node, ast.Call)
            and isinstance(node.func, ast.Attribute)
            and node.func.attr == "get"
            and node.args
        ):
            key = node.args[0]
        if isinstance(key, ast.Constant) and isinstance(key.value, str):
            yield node.lineno, key.value


def keys_written(tree: ast.Module) -> Iterator[str]:
    """Every key spelled where a mapping is made or filled: ``{"key": x}``, ``dict(key=x)``, ``x["key"] = y``."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Dict):
            yield from (key.value for key in node.keys if isinstance(key, ast.Constant) and isinstance(key.value, str))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "dict":
            yield from (keyword.arg for keyword in node.keywords if keyword.arg)
        if isinstance(node, ast.Subscript) and isinstance(node.ctx, ast.Store) and isinstance(node.slice, ast.Constant):
            yield str(node.slice.value)


def reads_across_wings(package: Path, trees: Mapping[Path, ast.Module]) -> Iterator[str]:
    """Reads by a spelled key that code of the same wing writes nowhere, and that of another one does."""
    written: dict[str, set[str]] = defaultdict(set)
    for path, tree in trees.items():
        written[_wing(package, path)].update(keys_written(tree))
    for path, tree in trees.items():
        wing = _wing(package, path)
        others = set().union(*(keys for name, keys in written.items() if name != wing))
        for line, key in string_key_reads(tree):
            if key in others - written[wing]:
                yield f"{path.relative_to(package)}:{line} {key}"


def _wing(package: Path, path: Path) -> str:
    return path.relative_to(package).parts[0]


def _annotations(node: ast.AST) -> Iterator[ast.AST]:
    """The nodes of type annotations, where quoted names are no keys."""
    for field in ("annotation", "returns"):
        if (found := getattr(node, field, None)) is not None:
            yield from ast.walk(found)
    if (
        isinstance(node, ast.Subscript)
        and isinstance(node.value, ast.Name)
        and node.value.id in {"Literal", "Callable"}
    ):
        yield from ast.walk(node)


def function_sizes(tree: ast.Module) -> Iterator[tuple[int, str]]:
    """Lines and name of every function."""
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield (node.end_lineno or node.lineno) - node.lineno + 1, node.name


def code_lines(path: Path) -> int:
    """Lines with code, without comments, docstrings and blank lines."""
    text = path.read_text("utf-8")
    docstrings = {
        line
        for node in ast.walk(ast.parse(text))
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)
        for line in range(node.lineno, (node.end_lineno or node.lineno) + 1)
    }
    silent = {tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT, tokenize.ENDMARKER}
    found: set[int] = set()
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type not in silent:
            found.update(range(token.start[0], token.end[0] + 1))
    return len(found - docstrings)


def broken_steps(trees: Iterable[ast.Module]) -> list[str]:
    """Steps that do not name the one after them, as the code stands; empty if the path is as listed."""
    bodies: dict[str, str] = {}
    for tree in trees:
        for node in ast.walk(tree):
            if isinstance(node, ast.FunctionDef) and node.name in STEPS:
                bodies[node.name] = bodies.get(node.name, "") + ast.unparse(node)
    return [one for one, other in pairwise(STEPS) if one not in HANDED_ON and other not in bodies.get(one, "")]


def facts(root: Path, kind: str, fragment: str) -> list[str]:
    """Files that spell a kind of artifact: its name as a text, its function, or its place in a path.

    Args:
        root: the checkout.
        kind: of artifact, for example ``tae``.
        fragment: of its paths that no other kind has, for example ``results/taes/``.
    """
    patterns = [rf"""["']{kind}["']""", rf"\bmake_{kind}\b", re.escape(fragment), rf"^rule {kind}\b", rf"\bas {kind}\b"]
    spelled = re.compile("|".join(patterns), re.MULTILINE)
    files = [*(root / "src").rglob("*.py"), *(root / "workflow").rglob("*.smk")]
    return sorted(str(path.relative_to(root)) for path in files if spelled.search(_without_docstrings(path)))


def _without_docstrings(path: Path) -> str:
    text = path.read_text("utf-8")
    if path.suffix != ".py":
        return text
    tree = ast.parse(text)
    for node in ast.walk(tree):
        if hasattr(node, "body") and isinstance(node.body, list):
            node.body = [
                s for s in node.body if not (isinstance(s, ast.Expr) and isinstance(s.value, ast.Constant))
            ] or [ast.Pass()]
    return ast.unparse(tree)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", nargs="?", type=Path, default=Path(__file__).resolve().parents[1])
    parser.add_argument("--names", action="store_true", help="list what is counted")
    options = parser.parse_args()
    package = options.folder / "src/trigger_activation"
    trees = modules(package)
    reads = [f"{p.relative_to(package)}:{n} {key}" for p, tree in trees.items() for n, key in string_key_reads(tree)]
    sizes = sorted(
        (size, f"{name} ({p.relative_to(package)})") for p, t in trees.items() for size, name in function_sizes(t)
    )
    rules = sorted((options.folder / "workflow/rules").glob("*.smk"))
    lists = {
        "names at the top of the package": top_level(package),
        "reads by a spelled key": reads,
        "of these, of what another wing writes": list(reads_across_wings(package, trees)),
        "files with facts about TAE sets": facts(options.folder, "tae", "results/taes/"),
        "files with facts about checkpoints": facts(options.folder, "checkpoint", "results/checkpoints/"),
        "files with facts about trigger studies": facts(options.folder, "trigger", "measured/trigger/"),
        "steps from rule tae to the update of PGD": list(STEPS),
        "of these, not as listed": broken_steps(trees.values()),
        "functions of over 40 lines": [f"{size} {name}" for size, name in sizes if size > 40],
    }
    numbers = {
        **{what: len(names) for what, names in lists.items()},
        "lines of rule files": sum(len(path.read_text("utf-8").splitlines()) for path in rules),
        "lines of code": sum(map(code_lines, trees)),
        "functions": len(sizes),
        "lines of a function, median": median(size for size, _ in sizes),
        "lines of a function, 90 % at most": sizes[int(0.9 * len(sizes))][0],
        "lines of a function, longest": sizes[-1][0],
    }
    for what, number in numbers.items():
        print(f"{what:<42}{number:>8g}")
        if options.names:
            print(*(f"    {name}" for name in lists.get(what, [])), sep="\n")


if __name__ == "__main__":
    main()
