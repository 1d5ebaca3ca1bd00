"""What can be typed after ``trigact``."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from contextlib import chdir
from importlib.metadata import version
from pathlib import Path

from trigger_activation.cli import commands, judging
from trigger_activation.cli.folder import from_project
from trigger_activation.cli.replicate import replicate
from trigger_activation.errors import UserError
from trigger_activation.store.project import project_folder

CELLS = [f"results/cells/fashion16/standard/pgd/{column}.json" for column in ("none", "fixed_64")]
Command = Callable[[argparse.Namespace], int]


def main(arguments: Sequence[str] | None = None) -> int:
    """Entry point; returns the exit status."""
    options = parser().parse_args(arguments)
    try:
        return _run(options)
    except UserError as error:
        print(f"trigact: {error}", file=sys.stderr)
        return 1
    except BrokenPipeError:
        sys.stderr.close()
        return 1
    except KeyboardInterrupt:
        print("trigact: interrupted: run it again to go on", file=sys.stderr)
        return 130


def _run(options: argparse.Namespace) -> int:
    """Run a command in the project's folder, wherever in it the user stands."""
    here = Path.cwd()
    project = project_folder(here)
    options.here = here
    if "paths" in options:
        options.paths = [from_project(path, here, project) for path in options.paths]
    command: Command = options.command
    with chdir(project):
        return command(options)


def parser() -> argparse.ArgumentParser:
    """All commands, each with examples."""
    top = argparse.ArgumentParser(
        prog="trigact",
        description="Look at the plan, ask why something is stale, audit bytes, print tables. Works in any subfolder.",
        epilog="`trigact COMMAND --help` describes a command and shows how it is used.",
    )
    top.add_argument("--version", action="version", version=f"trigact {version('trigger-activation')}")
    added = top.add_subparsers(required=True, metavar="COMMAND")

    def add(name: str, command: Command, what: str, *examples: str) -> argparse.ArgumentParser:
        lines = "\n".join(f"  trigact {name} {example}".rstrip() for example in examples or [""])
        each = added.add_parser(
            name,
            help=what,
            description=f"{what[0].upper()}{what[1:]}.",
            epilog=f"examples:\n{lines}",
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        each.set_defaults(command=command)
        return each

    plan = add("plan", commands.show_plan, "what an experiment consists of", "paper", "paper --cost", "demo --full")
    _takes_experiment(plan)
    plan.add_argument("--cost", action="store_true", help="GPU hours, storage and the longest chain")
    plan.add_argument("--full", action="store_true", help="list every artifact and its recipe")
    status = "what of an experiment is here, and what finishing it will take"
    _takes_experiment(add("status", commands.show_status, status, "demo"))
    show = add("show", commands.show_tables, "print an experiment's rendered tables", "demo", "demo table1")
    _takes_experiment(show)
    show.add_argument("table", nargs="?", help="one table or figure, as `trigact plan` names it (default: all)")
    why = "why a file is fresh, stale or missing"
    _takes_paths(add("explain", commands.explain_target, why, "paper_tables/demo/table1.tex"), "PATH", nargs=1)
    audit = "compare every artifact with its record, this with the plan, and say where they were made"
    _takes_experiment(add("verify", commands.verify_bytes, audit, "", "demo"), optional=True)
    contrast = "differences between cells, each minus the one before it"
    _takes_paths(add("compare", commands.compare_cells, contrast, " ".join(CELLS)), "CELL")
    again = "whether a run says what the committed one says, or what another experiment of the same protocols says"
    _takes_runs(add("replicate", replicate, again, "demo", "demo demo-again", "demo --at HEAD~1"))
    fetch = "fetch the published artifacts that files are made from, or are"
    _takes_paths(add("pull", commands.pull_targets, fetch, "paper_tables/demo/table2.tex"), "PATH")
    share = "hand the artifacts that are here to DVC's remote"
    _takes_experiment(add("publish", commands.publish_artifacts, share, "", "demo"), optional=True)
    judge = "what a model of your own keeps of a protocol's clean and adversarial images"
    _takes_model(add("evaluate", judging.evaluate_model, judge, "mymodels:make --protocol fashion16 --json mine.json"))
    board = "the committed defenses of a protocol, ranked, and models of your own among them"
    _takes_rows(add("leaderboard", judging.show_leaderboard, board, "fashion16", "fashion16 mine.json --csv"))
    card = "what a hub should say of a protocol's networks or adversarial images, from their records"
    _takes_card(add("card", judging.show_card, card, "model fashion16", "data fashion16"))
    crate = "write an experiment's results, records and workflow as an RO-Crate, for archives and registries"
    _takes_experiment(add("crate", commands.write_crate, crate, "demo"))
    collect = add("gc", commands.collect_garbage, "list files in results/ that no experiment asks for", "", "--delete")
    collect.add_argument("--delete", action="store_true", help="delete them")
    add("unused", commands.show_unused, "for developers: what config declares and no experiment uses")
    add("accept", commands.accept_code, "for developers: record the code as making the same results")
    return top


def _takes_runs(command: argparse.ArgumentParser) -> None:
    _takes_experiment(command)
    command.add_argument("other", nargs="?", help="an experiment whose protocols are the same but for their names")
    command.add_argument("--at", metavar="REVISION", help="the commit whose run is the first one (default: HEAD)")


def _takes_experiment(command: argparse.ArgumentParser, optional: bool = False) -> None:
    what = "one of config/experiments, for example demo"
    if optional:
        command.add_argument("experiment", nargs="?", help=f"{what} (default: all)")
    else:
        command.add_argument("experiment", help=what)


def _takes_paths(command: argparse.ArgumentParser, name: str, nargs: str | int = "+") -> None:
    what = "a file of results/cells" if name == "CELL" else "a file that the workflow makes"
    command.add_argument(
        "paths", nargs=nargs, metavar=name, help=f"{what}, seen from here or from the project's folder"
    )


def _takes_model(command: argparse.ArgumentParser) -> None:
    command.add_argument("model", metavar="MODULE:FUNCTION", help="makes the model, and takes no arguments")
    command.add_argument("--protocol", required=True, help="one of config/protocols, for example fashion16")
    command.add_argument("--attacks", type=_names, help="names with commas between them (default: all)")
    command.add_argument("--name", help="of the model, in tables (default: MODULE:FUNCTION)")
    command.add_argument("--family", help="a network of the protocol, its class, or none: whose equal the model is")
    command.add_argument("--surrogates", default="standard", help="how they were trained (default: standard)")
    command.add_argument("--seed", type=int, default=0, help="of the surrogates (default: 0)")
    command.add_argument("--batch-size", type=int, default=256, help="images at a time (default: 256)")
    command.add_argument("--device", help="for example cuda (default: where the model is)")
    command.add_argument("--json", metavar="FILE", help="write the result, for `trigact leaderboard`")


def _takes_rows(command: argparse.ArgumentParser) -> None:
    command.add_argument("protocol", help="one of config/protocols, for example fashion16")
    command.add_argument("rows", nargs="*", metavar="FILE", help="what `trigact evaluate --json` wrote")
    command.add_argument("--attacks", type=_names, help="those that count (default: all that every row has)")
    command.add_argument("--csv", action="store_true", help="CSV instead of Markdown")


def _takes_card(command: argparse.ArgumentParser) -> None:
    command.add_argument("what", choices=("model", "data"), help="networks, or adversarial images")
    command.add_argument("protocol", help="one of config/protocols, for example fashion16")


def _names(given: str) -> list[str]:
    return [name for name in given.split(",") if name]
