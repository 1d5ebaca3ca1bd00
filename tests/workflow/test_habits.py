"""What a user of Snakemake types is what happens, or is refused in one sentence: docs/habits.md, line by line."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from tests.support.smoke_project import PDF, ROOT, Project
from tests.support.typed import Outcome, typed

from trigger_activation.plan import Artifact, Plan, build_plan
from trigger_activation.plan.config import load_config
from trigger_activation.plan.kinds import KINDS

pytestmark = pytest.mark.workflow
PAGE = ROOT / "docs/habits.md"
CELL, TABLE = "results/cells/smoke/standard/pgd/at.json", "paper_tables/smoke/table1.tex"
CHECKPOINT = "results/checkpoints/smoke/vgg-s__at/seed0.safetensors"
NOTHING: dict[str, int] = {}
FOR_CELL = {"dataset": 2, "checkpoint": 4, "tae": 2, "cell": 1}
FOR_TABLE = {"dataset": 2, "checkpoint": 16, "tae": 8, "cell": 18, "table": 1}
TARGETS = {"table": 13, "figure": 6, "findings": 1, "comparison": 1, "audit": 1, "metrics": 1, "page": 1, **PDF}
STUDIES = {"cost": 6, "trigger": 2, "flip": 1, "concept": 1, "theory": 1, "whitebox": 3}
HEAVY = {"dataset": 2, "checkpoint": 18, "helper": 2, "tae": 32, "purified": 8, "purified_clean": 2}
EVERYTHING = {**HEAVY, "cell": 43, **STUDIES, **TARGETS, "run_record": 1}
RENDERED = {"table": 11, "figure": 4, "findings": 1, "comparison": 1, "metrics": 1, "page": 1, **PDF}
BELOW_CELLS = {"cell": 43, **RENDERED, "figure": 2}
BELOW_TAES = {"tae": 32, "purified": 8, "cell": 30, "concept": 1, "theory": 1, **RENDERED}
BELOW_CHECKPOINTS = {
    **{kind: count for kind, count in EVERYTHING.items() if kind not in ("dataset", "audit", "run_record")},
    **{"helper": 1, "purified_clean": 1},
}


@dataclass(frozen=True)
class Habit:
    """A line of the page, as somebody types it.

    ``in_clone`` and ``finished`` are the jobs that come of it where cells and tables alone are there, and after a
    finished run; or what the refusal says, which does not depend on that.
    """

    line: str
    arguments: str
    in_clone: dict[str, int] | str
    finished: dict[str, int] = field(default_factory=dict)


def also(jobs: dict[str, int]) -> dict[str, int]:
    """These jobs, and all that make what only lies behind cells."""
    return {**HEAVY, **jobs}


REFUSED_TRIGGER = "Error: --rerun-triggers {} decides nothing here"
HABITS = (
    Habit("`TARGET`", CELL, NOTHING),
    Habit("`table2`, `figure1`", "table2 figure1", NOTHING),
    Habit("a misspelt target", "tabel2", "Error: tabel2 is nothing that this workflow makes: did you mean table2"),
    Habit("a misspelt target", "paper_tables/smoke/tabel2.tex", "did you mean paper_tables/smoke/table2.tex"),
    Habit("a misspelt target", CELL.replace("at", "att"), f"did you mean {CELL}"),
    Habit("a misspelt target", CHECKPOINT.removesuffix("s"), f"did you mean {CHECKPOINT}"),
    Habit("a misspelt target", "-R chekpoint", "did you mean checkpoint?"),
    Habit("a misspelt target", "--until chekpoint", "did you mean checkpoint?"),
    Habit("a misspelt target", "--omit-from chekpoint", "did you mean checkpoint?"),
    Habit("`-f CELL`", f"-f {CELL}", FOR_CELL, {"cell": 1}),
    Habit("`-f TABLE`", f"-f {TABLE}", {"table": 1}, {"table": 1}),
    Habit("`table2`, `figure1`", "-f table2", {"table": 1}, {"table": 1}),
    Habit("`-f`", "-f", TARGETS, TARGETS),
    Habit(
        "`-R RULE`", "-R checkpoint", also(BELOW_CHECKPOINTS) | {"helper": 2, "purified_clean": 2}, BELOW_CHECKPOINTS
    ),
    Habit("`-R RULE`", "-R tae", also(BELOW_TAES) | {"purified_clean": 0}, BELOW_TAES),
    Habit("`-R RULE`", "-R cell", also(BELOW_CELLS), BELOW_CELLS),
    Habit("`-R` with a rule that no target rests on", "-R imported", "rests on the rule imported: leave it out"),
    Habit("`-F`", "-F", EVERYTHING, EVERYTHING),
    Habit("`-F TABLE`", f"-F {TABLE}", FOR_TABLE, FOR_TABLE),
    Habit("`--until RULE` where all that needs it is there", "--until checkpoint", "add --config complete=true"),
    Habit("`--config complete=true`", "complete=true", {**EVERYTHING, "audit": 0}, {"run_record": 1, "page": 1, **PDF}),
    Habit("`TABLE --config complete=true`", f"{TABLE} complete=true", FOR_TABLE),
    Habit("`CELL --config complete=true`", f"{CELL} complete=true", FOR_CELL),
    Habit("`--rerun-triggers mtime`", "--rerun-triggers mtime", NOTHING),
    *(
        Habit("`--rerun-triggers params`, `input`, `software-env` or `code`", f"--rerun-triggers {name}", sentence)
        for name in ("params", "input", "software-env", "code")
        for sentence in [REFUSED_TRIGGER.format(name)]
    ),
    Habit("`--touch`", "--touch", "Error: --touch makes nothing current here"),
    *(
        Habit("`--config` with an unknown key, or a value like `complete=1`", setting, f"Error: --config: {sentence}")
        for setting, sentence in {
            "compelte=true": "compelte is no known key: did you mean 'complete'?",
            "experimnt=demo": "experimnt is no known key: did you mean 'experiment'?",
            "complete=1": "complete: it is true or false, not 1",
            "complete=yes": "complete: it is true or false, not 'yes'",
            "allow_missing=0": "allow_missing: it is true or false, not 0",
            "gpu=maybe": "gpu: input should be 'required', 'optional' or 'none'",
            "cluster=mine": "cluster is no known key",
            "complete=true allow_missing=true": "complete=true and allow_missing=true contradict each other",
        }.items()
    ),
)
"""Tested by a dry run each, but for those that are no runs."""
ELSEWHERE = {
    "`-n`": "test_freshness.py: planning writes nothing",
    "`TABLE --config allow_missing=true`": "test_freshness.py: a missing cell is printed as missing",
}
"""Lines of the page with tests of their own in other files."""


@pytest.fixture(scope="module")
def clone(finished: Project, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Project]:
    """The finished run as git holds it: cells and tables. No test may change it."""
    folder = tmp_path_factory.mktemp("clone")
    for part in ("config", "workflow", "results/cells", "paper_tables"):
        shutil.copytree(finished.folder / part, folder / part)
    project = Project(folder)
    before = project.snapshot(), finished.snapshot()
    yield project
    assert (project.snapshot(), finished.snapshot()) == before


Type = Callable[..., Outcome]


@pytest.fixture(params=["clone", "finished"])
def place(request: pytest.FixtureRequest, clone: Project, finished: Project) -> tuple[str, Project]:
    """Where a habit is tried."""
    return request.param, {"clone": clone, "finished": finished}[request.param]


@pytest.fixture
def call(tmp_path: Path) -> Type:
    """Type something in a project's folder."""

    def types(project: Project, arguments: str, *settings: str) -> Outcome:
        words = arguments.split()
        given = [word for word in words if re.match(r"\w+=", word)]
        options = [word for word in words if word not in given]
        dry = [] if {"--touch", "--summary", "--rulegraph", "--dag", "--report"} & set(options) else ["--dry-run"]
        config = ["--config", "experiment=smoke", *given, *settings]
        return typed(project.folder, *options, *dry, "--cores", "2", *config, output=tmp_path / "output")

    return types


@pytest.mark.engine
@pytest.mark.parametrize(
    "habit", [habit for habit in HABITS if not isinstance(habit.in_clone, str)], ids=lambda habit: habit.arguments
)
def test_what_is_typed_is_what_happens(habit: Habit, place: tuple[str, Project], call: Type) -> None:
    name, project = place
    outcome = call(project, habit.arguments)
    assert outcome.code == 0, outcome.output
    expected = habit.in_clone if name == "clone" else habit.finished
    assert isinstance(expected, dict)
    made = {rule: count for rule, count in outcome.jobs.items() if not rule.startswith(("table2", "figure1"))}
    assert made == {rule: count for rule, count in expected.items() if count}


@pytest.mark.parametrize(
    "habit", [habit for habit in HABITS if isinstance(habit.in_clone, str)], ids=lambda habit: habit.arguments
)
def test_what_means_nothing_here_is_refused_in_one_sentence(habit: Habit, clone: Project, call: Type) -> None:
    assert isinstance(habit.in_clone, str)
    assert habit.in_clone in call(clone, habit.arguments).refusal


@pytest.fixture(scope="module")
def smoke() -> tuple[Plan, list[Artifact]]:
    """The plan, and all that a complete run makes in a clone: of reports the audit rests on config alone."""
    plan = build_plan(load_config(ROOT / "config"))
    artifacts = [*plan.of_experiment("smoke"), plan["paper_tables/smoke/run.json"]]
    return plan, [artifact for artifact in artifacts if artifact.kind.name != "audit"]


def rules(artifacts: Iterable[Artifact]) -> dict[str, int]:
    """How many there are of each rule."""
    names = [artifact.kind.rule_name for artifact in artifacts if artifact.kind.name != "pdf" or PDF]
    return {name: names.count(name) for name in names}


RULES = [kind.rule_name for kind in KINDS if kind.name not in ("ensemble", "imported", "informed", "audit", "excerpt")]


@pytest.mark.engine
@pytest.mark.parametrize("rule", [rule for rule in RULES if rule != "pdf" or PDF])
def test_a_run_stops_at_any_rule(rule: str, clone: Project, smoke: tuple[Plan, list[Artifact]], call: Type) -> None:
    plan, made = smoke
    ends = [artifact.path for artifact in made if artifact.kind.rule_name == rule]
    behind = {
        artifact.path for artifact in plan.upstream([*ends, *(p for end in ends for p in plan[end].optional_paths)])
    }
    outcome = call(clone, f"--until {rule} complete=true")
    assert outcome.jobs == rules(artifact for artifact in made if artifact.path in behind)


@pytest.mark.engine
@pytest.mark.parametrize("rule", [rule for rule in RULES if rule != "pdf" or PDF])
def test_a_run_leaves_out_any_rule(rule: str, clone: Project, smoke: tuple[Plan, list[Artifact]], call: Type) -> None:
    _, made = smoke
    left: set[str] = set()
    for artifact in sorted(made, key=lambda artifact: artifact.kind.name in ("page", "pdf")):  # They show the run.
        inputs = (*artifact.input_paths, *artifact.optional_paths)
        if artifact.kind.rule_name == rule or not left.isdisjoint(inputs):
            left.add(artifact.path)
    outcome = call(clone, f"--omit-from {rule} complete=true")
    assert outcome.jobs == rules(artifact for artifact in made if artifact.path not in left)


def test_a_summary_says_what_is_there(place: tuple[str, Project], call: Type) -> None:
    _, project = place
    rows = [
        line.split("\t") for line in call(project, "--summary").output.splitlines() if line.startswith("paper_tables/")
    ]
    assert TABLE in {row[0] for row in rows}
    assert {(row[-2], row[-1]) for row in rows} == {("ok", "no update")}


def test_the_graph_of_rules_has_its_edges_wherever_it_is_drawn(clone: Project, finished: Project, call: Type) -> None:
    def edges(project: Project) -> set[tuple[str, str]]:
        text = call(project, "--rulegraph").output
        names = dict(re.findall(r'(\d+)\[label = "(\w+)"', text))
        return {(names[source], names[target]) for source, target in re.findall(r"(\d+) -> (\d+)", text)}

    assert edges(clone) == edges(finished) >= {("checkpoint", "tae"), ("tae", "cell"), ("cell", "table")}


def test_the_graph_of_jobs_tells_what_is_there(clone: Project, call: Type) -> None:
    text = call(clone, f"{TABLE} --dag").output
    nodes = re.findall(r'\[label = "(\w+).*?style="([\w,]+)"', text)
    assert {name for name, _ in nodes} == set(FOR_TABLE)
    assert all("dashed" in style for _, style in nodes)


def test_a_report_is_written(clone: Project, call: Type, tmp_path: Path) -> None:
    outcome = call(clone, f"--report {tmp_path}/report.html")
    assert outcome.code == 0
    assert "Missing metadata" not in outcome.output
    text = (tmp_path / "report.html").read_text()
    assert '"paper_tables/smoke/index.html"' in text
    for rule in ("dataset", "checkpoint", "tae", "cell", "table", "figure", "page"):
        assert f'"rule": "{rule}"' in text, rule


def test_what_git_holds_stays_if_its_job_fails(copy: Project) -> None:
    """Also with --keep-incomplete, and the next run makes it."""
    before = copy.contents("results/cells", "paper_tables")
    network = copy.folder / CHECKPOINT
    whole = network.read_bytes()
    network.write_bytes(whole[:-1] + bytes([whole[-1] ^ 255]))
    failed = copy.run("-f", CELL, "--keep-incomplete")
    assert failed.returncode != 0
    assert "is damaged (its sha256 is not the recorded one)" in failed.stdout
    assert copy.contents("results/cells", "paper_tables") == before
    network.write_bytes(whole)
    made = copy.run("-f", CELL, "table1", "figure1", "--keep-incomplete")
    assert "\n3 jobs done in" in made.stdout, made.stdout
    assert made.stdout.count("[3/3]") == 1
    assert "left out" not in made.stdout  # No PDF was asked for.
    assert (copy.folder / CELL).read_bytes() == before[CELL]


def test_the_page_lists_what_is_tested() -> None:
    lines = {row.split(" | ")[0].removeprefix("| ") for row in PAGE.read_text().splitlines() if row.startswith("| ")}
    of_their_own = {"`--until RULE`", "`--omit-from RULE`", "`--summary`", "`--dag`, `--rulegraph`", "`--report FILE`"}
    tested = {habit.line for habit in HABITS} | of_their_own | ELSEWHERE.keys() | {"`--keep-incomplete`"}
    assert lines - {"type"} == tested
