"""Write the parts of README.md and docs/ that hold numbers: tables and sentences made of committed findings.

python scripts/readme.py      (after findings, metrics or config changed)

A part stands between `<!-- made: NAME -->` and `<!-- end -->`; everything else is typed by hand.
"""

from __future__ import annotations

import importlib.resources
import json
import math
import re
import subprocess
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import chdir
from pathlib import Path

import pandas as pd

from trigger_activation.cli.replicate import Run, compared, since
from trigger_activation.plan import Plan, build_plan, kinds
from trigger_activation.plan.config import load_config
from trigger_activation.plan.config.schema import Config
from trigger_activation.plan.config.tables import SupplementaryTable
from trigger_activation.plan.config.values import CLEAN, STANDARD
from trigger_activation.plan.contents import Cell, Findings, RunTotals, WhiteBoxStudy
from trigger_activation.plan.costs import CostModel
from trigger_activation.report.replication import DECISIVE, turns
from trigger_activation.report.wording import listed
from trigger_activation.science.evaluation.contrast import difference, over_images
from trigger_activation.science.evaluation.results import PairMean
from trigger_activation.store.documents import read_document
from trigger_activation.store.records import read_content

ROOT = Path(__file__).resolve().parents[1]
README = ROOT / "README.md"
METHOD = ROOT / "docs/method.svg"
TOLD = ("cifar10-small", "cifar10-headline", "workstation", "demo")
EXPERIMENTS = [name for name in TOLD if (ROOT / f"paper_tables/{name}/findings.json").exists()][:2]
"""Whose findings are told; the first leads."""
DIFFERENCES = "supplementary_differences"
"""The table of differences between defenses."""
PART = re.compile(r"(<!-- made: (\w+) -->\n).*?(<!-- end -->)", re.DOTALL)
Part = Callable[[], str | None]
"""Makes a part's text, or None where it cannot be made."""
OUTCOMES = ("supported", "contradicted", "open")
WHITE_BOX = ("standard", "at", "fixed", "learnable")
"""Paradigms, or roles, whose white-box accuracy is told."""
SAME = "same"
"""As in config/tables: surrogates that are trained as the victim is."""
MEASURED = {
    "clean": (CLEAN, CLEAN, "all"),
    "f(x), without the trigger": (CLEAN, CLEAN, "without_trigger"),
    "PGD": (STANDARD, "pgd", "off_diagonal"),
    "MI-FGSM": (STANDARD, "mifgsm", "off_diagonal"),
    "MI-FGSM, adaptive": (SAME, "mifgsm", "off_diagonal"),
}
"""Columns of the table of details: surrogates, an attack, and which pairs of surrogate and victim."""
AGAIN = "demo-again"
"""The experiment that is a second run of the demo."""
ELSEWHERE = "637fd8f"
"""The commit whose demo has the same seeds and was made where numbers round otherwise."""
LOOKED_AT = {"index.html": "page", "paper.pdf": "PDF"}
STYLE = """\
text { font: 18px system-ui, sans-serif; fill: #1d1c1a; }
.word { text-anchor: middle; }
.start { text-anchor: start; }
rect { fill: #f4f2ee; stroke: #1d1c1a; }
.line path { fill: none; stroke: #1d1c1a; stroke-width: 1.5; }
@media (prefers-color-scheme: dark) {
  text, marker path { fill: #ebebeb; }
  rect { fill: #2a2a2a; stroke: #ebebeb; }
  .line path { stroke: #ebebeb; }
}
"""


def findings(experiment: str) -> Findings:
    """What an experiment found, as committed."""
    return Findings.model_validate(read_content(str(ROOT / f"paper_tables/{experiment}/findings.json")))


def result() -> str:
    """The main table of the experiment that leads, published beside measured, and its first sentence's caveat."""
    found = findings(EXPERIMENTS[0])
    rows = [
        f"| {one.defense[0].upper()}{one.defense[1:]} | {one.clean:.1f} | **{one.attacked:.1f}** | "
        f"{one.other_architectures:.1f} | {'–' if one.in_print is None else f'{one.in_print:.2f}'} |"
        for one in found.kept
    ]
    head = [
        f"| {found.dataset}: accuracy in % | clean | under attack | across architectures | in print |",
        "| :-- | --: | --: | --: | --: |",
    ]
    caption = (
        f'*Mean over the transfer attacks of Table {found.table}; "across architectures" leaves out victims that are '
        "attacked through their own architecture. In print: the paper's mean"
    )
    unlike = " on its own data; orders can be compared, magnitudes cannot" if found.differences else ""
    return "\n".join([*head, *rows, "", f"{caption}{unlike}.*"])


def verdicts() -> str:
    """How many of the paper's statements each experiment supports."""
    lines = ["| The paper's statements, tested by | tested | supported | contradicted | open |"]
    lines.append("| :-- | --: | --: | --: | --: |")
    for experiment in EXPERIMENTS:
        outcomes = Counter(verdict.here for verdict in findings(experiment).verdicts)
        counts = [outcomes[outcome] for outcome in OUTCOMES]
        link = f"[`{experiment}`](paper_tables/{experiment}/comparison.md)"
        lines.append(" | ".join([f"| {link}", f"{sum(counts)} of {outcomes.total()}", *map(str, counts)]) + " |")
    return "\n".join([*lines, "", _decided_again()])


def _decided_again() -> str:
    """How many of the statements that the demo decides its second run decides alike."""
    verdicts = [turn for turn in turns(findings("demo"), findings(AGAIN)) if not turn.apart]
    decided = [turn for turn in verdicts if turn.first in DECISIVE]
    alike = sum(turn.what == "agree" for turn in decided)
    return (
        f"Of the {len(decided)} that the demo decides, its second run, with other seeds, decides {alike} alike "
        "([replication](docs/statistics.md#does-it-replicate))."
    )


def look() -> str:
    """Where the results are."""
    lines = []
    for experiment in EXPERIMENTS:
        folder = Path("paper_tables") / experiment
        links = [f"[{what}]({folder / name})" for name, what in LOOKED_AT.items() if (ROOT / folder / name).exists()]
        lines.append(f"`{experiment}`: {listed(links)}")
    return "Look: " + "; ".join(lines) + "."


def caveats(config: Config) -> str:
    """How sure the gain is, what the audit found, and what is left where the attacker has the network."""
    return "\n".join(
        [
            f"- {_gain(config)}",
            f"- {findings(EXPERIMENTS[0]).audit[0]} [Audit](paper_tables/demo/audit.md).",
            f"- Transfer robustness is not robustness: {_white_box(config)} "
            "([Table S3](paper_tables/ablation/stronger.md)).",
        ]
    )


def _gain(config: Config) -> str:
    """What triggers add between different architectures, and adversarial training beyond them."""
    folders = (Path("paper_tables") / name for name in TOLD)
    folder = next(each for each in folders if (ROOT / each / f"{DIFFERENCES}.csv").exists())
    protocol = config.protocols[config.experiments[folder.name].slots["A"]]
    data = config.datasets[protocol.dataset].label
    triggers = {role: protocol.roles[role] for role in ("fixed", "learnable")}
    shown = pd.read_csv(ROOT / folder / f"{DIFFERENCES}.csv").query("attack == 'mifgsm'").set_index(["column", "minus"])

    def told(left: str, right: str) -> str:
        sign, (left, right) = (1, (left, right)) if (left, right) in shown.index else (-1, (right, left))
        row = shown.loc[(left, right)]
        margin = (row.interval_high - row.interval_low) / 2
        return f"{sign * row.difference:+.1f}" + (f" ± {margin:.1f}" if math.isfinite(margin) else " (one seed)")

    added = [f"{role} {told(trigger, 'none')}" for role, trigger in triggers.items()]
    beyond = "not measured yet"
    if ("at", "none") in shown.index:
        beyond = f"{listed([told('at', trigger) for trigger in triggers.values()])} above these"
    return (
        f"What triggers add between architectures on {data}, under MI-FGSM, in points with 95 % intervals: "
        f"{', '.join(added)}; adversarial training is {beyond} "
        f"([Table S7]({folder / DIFFERENCES}.md), `{folder.name}`)."
    )


def _white_box(config: Config) -> str:
    protocol = config.experiments["ablation"].slots["A"]
    roles = config.protocols[protocol].roles
    told = []
    for name in WHITE_BOX:
        paradigm = roles.get(name, name)
        path = kinds.WHITE_BOX.path({"protocol": protocol, "paradigm": paradigm})
        study = WhiteBoxStudy.model_validate(read_content(str(ROOT / path)))
        left = study.means["autoattack"]
        told.append(f"{config.paradigms[paradigm].label} {left.mean:.0f} ± {over_images(left).margin():.0f} %")
    seeds = "one seed" if len(study.seeds) == 1 else f"{len(study.seeds)} seeds"
    data = config.datasets[config.protocols[protocol].dataset].label
    return f"on {data} white-box AutoAttack leaves {listed(told)} ({study.images} images, {seeds})"


def coverage() -> str:
    """How often intervals cover, or that it was not run."""
    file = ROOT / "docs/coverage.json"
    if not file.exists():
        return "It has not been run on this version yet."
    rows = json.loads(file.read_text(encoding="utf-8"))
    head = ["| " + " | ".join(rows[0]) + " |", "|" + " --- |" * len(rows[0])]
    return "\n".join([*head, *("| " + " | ".join(map(str, row.values())) + " |" for row in rows)])


def replication(plan: Plan) -> str:
    """What the demo and its second run both support, or that there is none."""
    if not (ROOT / f"paper_tables/{AGAIN}/findings.json").exists():
        return "That second run has not been made on this version yet."
    with chdir(ROOT):
        return compared(*(Run(name, plan, name, read_document) for name in ("demo", AGAIN)))


def rounding(plan: Plan) -> str | None:
    """What the demo and its same seeds on another processor both support; None in a clone without that commit."""
    known = subprocess.run(["git", "cat-file", "-e", ELSEWHERE], cwd=ROOT, capture_output=True, check=False)
    if known.returncode:
        return None
    with chdir(ROOT):
        return compared(*since(plan, "demo", ELSEWHERE))


def details(config: Config) -> str:
    """What each changed detail of the experiment `ablation` changes, in points beside the triggers of other tables."""
    experiment = config.experiments["ablation"]
    protocol = config.protocols[experiment.slots["A"]]
    columns = [(column, protocol.roles.get(column.victim, column.victim)) for column in _ablation(config).columns]
    lines = [f"| | {' | '.join(MEASURED)} |", "| :-- |" + " --: |" * len(MEASURED)]
    for group in dict.fromkeys(column.group for column, _ in columns if column.group):
        usual, *changed = [(column.label, victim) for column, victim in columns if column.group == group]
        lines += [
            f"| {group}, {label} | {' | '.join(_change(experiment.slots['A'], victim, usual[1]))} |"
            for label, victim in changed
        ]
    return "\n".join(lines)


def _ablation(config: Config) -> SupplementaryTable:
    table = config.tables["ablation"]
    assert isinstance(table, SupplementaryTable)
    return table


def _change(protocol: str, victim: str, usual: str) -> list[str]:
    """Differences with 95 % intervals, bold where that does not hold zero."""
    told = []
    for surrogates, attack, pairs in MEASURED.values():
        left, right = (_mean(protocol, surrogates, attack, name, pairs) for name in (victim, usual))
        found = difference(left, right, paired=surrogates != SAME)
        text = f"{found.mean:+.1f} ± {found.margin():.1f}".replace("-", "−")
        told.append(f"**{text}**" if found.sign else text)
    return told


def _mean(protocol: str, surrogates: str, attack: str, victim: str, pairs: str) -> PairMean:
    names = {"protocol": protocol, "surrogates": victim if surrogates == SAME else surrogates}
    path = kinds.CELL.path({**names, "attack": attack, "column": victim})
    return Cell.model_validate(read_content(str(ROOT / path))).means[pairs]


def size(config: Config, plan: Plan) -> str:
    """What the demo and the whole paper consist of."""
    demo = Counter(artifact.kind.name for artifact in plan.of_experiment("demo"))
    tables = [path for name, path in plan.targets["paper"].items() if re.fullmatch(r"table\d+", name)]
    paper = Counter(artifact.kind.name for artifact in plan.upstream(tables))
    model = CostModel(config, plan)
    hours = sum(model.gpu_hours(artifact) for artifact in plan.of_experiment("paper"))
    run = RunTotals.model_validate(read_content(str(ROOT / kinds.RUN.path({"experiment": "demo"}))))
    minutes = sum(kind.cpu_seconds for kind in run.kinds) / 60
    return (
        f"The demo trains {demo['checkpoint']} small networks in {minutes:.0f} CPU minutes. The whole paper "
        f"is declared too: {len(tables)} tables from {paper['checkpoint']} checkpoints, {paper['tae']} sets of "
        f"adversarial examples and {paper['cell']} cells, about {round(hours, -2):,.0f} GPU hours, "
        "not run so far."
    )


def citation(config: Config) -> str:
    """The paper as BibTeX."""
    paper = config.paper
    assert paper is not None
    number = paper.preprint.removeprefix("arXiv:")
    fields = {
        "title": f"{{{paper.title}}}",
        "author": " and ".join(paper.authors),
        "journal": paper.venue,
        "year": str(paper.year),
        "eprint": number,
        "archivePrefix": "arXiv",
        "url": paper.url,
    }
    lines = [f"  {name} = {{{value}}}," for name, value in fields.items()]
    return "\n".join(["```bibtex", f"@article{{{_key(paper.authors, paper.year)},", *lines, "}", "```"])


def _key(authors: Sequence[str], year: int) -> str:
    return f"{authors[0].split()[-1].lower()}{year}trigger"


def parts() -> dict[str, Part]:
    """Name of a part -> what makes it."""
    config = load_config(ROOT / "config")
    plan = build_plan(config)
    return {
        "result": result,
        "verdicts": verdicts,
        "look": look,
        "caveats": lambda: caveats(config),
        "coverage": coverage,
        "details": lambda: details(config),
        "replication": lambda: replication(plan),
        "rounding": lambda: rounding(plan),
        "size": lambda: size(config, plan),
        "citation": lambda: citation(config),
    }


def rewritten(text: str, made: Mapping[str, Part]) -> str:
    """The same text with its parts made anew; one that cannot be made here stays."""

    def anew(found: re.Match[str]) -> str:
        part = made[found[2]]()
        return found[0] if part is None else f"{found[1]}{part}\n{found[3]}"

    return PART.sub(anew, text)


def wanted() -> dict[Path, str]:
    """Files that this script keeps -> what they should hold."""
    pages = (path for path in (README, *sorted((ROOT / "docs").glob("*.md"))))
    texts = {path: path.read_text(encoding="utf-8") for path in pages}
    made = parts()
    return {METHOD: method(), **{path: rewritten(text, made) for path, text in texts.items() if PART.search(text)}}


def method() -> str:
    """The page's sketch of the method as a picture of its own, in the reader's colours."""
    template = importlib.resources.files("trigger_activation.report.page") / "templates/idea.svg"
    drawn = template.read_text(encoding="utf-8").strip()
    head, _, rest = drawn.partition(">")
    return f'{head} xmlns="http://www.w3.org/2000/svg" width="760">\n<style>\n{STYLE}</style>{rest}\n'


def main() -> None:
    """Write what is not as it should be."""
    for path, text in wanted().items():
        if not path.exists() or path.read_text(encoding="utf-8") != text:
            path.write_text(text, encoding="utf-8")
            print(f"{path.relative_to(ROOT)} written")


if __name__ == "__main__":
    main()
