"""``trigact``: counts, reasons, audits and tables, read from a folder with config and perhaps results."""

from __future__ import annotations

import json
import re
from importlib.metadata import version
from pathlib import Path

import pytest

from tests.support.projects import ROOT, Project, one_sentence, shipped_plan, write_artifact
from trigger_activation.cli import main
from trigger_activation.cli.parser import parser
from trigger_activation.plan.incomplete import without_missing
from trigger_activation.store.environment import processor_name
from trigger_activation.store.records import file_record, read_record, sidecar, write_record
from trigger_activation.store.verification import origins

Captured = pytest.CaptureFixture[str]
TABLE = "paper_tables/small/table11.tex"
DATASET = "results/datasets/digit-pairs/train.npz"
RUN = "paper_tables/demo/run.json"
MEASURED = "results/cells/mini/measured/trigger/learn_4.json"


def refused(capsys: Captured, *arguments: str) -> str:
    """The one sentence on stderr of a command that fails and prints nothing else."""
    assert main(arguments) == 1
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err.startswith("trigact: ")
    return one_sentence(printed.err.removesuffix("\n"))


def lines(capsys: Captured, *arguments: str, status: int = 0) -> list[str]:
    """What a command prints."""
    assert main(arguments) == status
    printed = capsys.readouterr()
    assert printed.err == ""
    return printed.out.splitlines()


@pytest.mark.usefixtures("project")
class TestPlanOfThePaper:
    def test_counts_are_printed_per_table(self, capsys: Captured) -> None:
        printed = lines(capsys, "plan", "paper")
        header = printed[0].split()
        table = printed[1:]
        rows = {line.split()[0]: dict(zip(header[1:], line.split()[1:], strict=True)) for line in table}
        assert header[0] == "paper"
        assert {kind: rows["all"][kind] for kind in ("checkpoint", "tae", "purified", "cell")} == {
            "checkpoint": str(162 + 5),  # the supplementary table's noise control
            "tae": str(322 + 20),  # crafted on surrogates without their triggers
            "purified": "266",
            "cell": str(469 + 3 + 4),
        }
        assert rows["table1"]["cell"] == "45"
        assert rows["table1"]["purified"] == "-"

    def test_nothing_is_left_to_implement(self, capsys: Captured) -> None:
        assert "Not implemented yet:" not in lines(capsys, "plan", "paper")

    def test_the_full_list_has_a_line_per_artifact(self, capsys: Captured) -> None:
        printed = lines(capsys, "plan", "paper", "--full")
        assert len([line for line in printed if line.startswith("cell ")]) == 469 + 3 + 4
        assert all(re.fullmatch(r"\w+ +[0-9a-f]{12}  \S+", line) for line in printed)


@pytest.mark.usefixtures("small")
class TestRefusals:
    def test_an_unknown_experiment(self, capsys: Captured) -> None:
        sentence = refused(capsys, "plan", "smal")
        assert "there is no experiment 'smal'" in sentence
        assert "small" in sentence.partition(":")[2]

    @pytest.mark.parametrize("command", ["show", "verify"])
    def test_an_unknown_experiment_of_other_commands(self, capsys: Captured, command: str) -> None:
        assert "there is no experiment 'nothing'" in refused(capsys, command, "nothing")

    def test_a_file_that_no_experiment_makes(self, capsys: Captured) -> None:
        assert "results/nothing.npz is in no experiment's plan" in refused(capsys, "explain", "results/nothing.npz")

    def test_an_interrupted_command_shows_no_traceback(self, capsys: Captured, monkeypatch: pytest.MonkeyPatch) -> None:
        def interrupted(_: Path) -> None:
            raise KeyboardInterrupt

        monkeypatch.setattr("trigger_activation.cli.commands.load_config", interrupted)
        assert main(["pull", "results/anything.npz"]) == 130
        assert capsys.readouterr().err == "trigact: interrupted: run it again to go on\n"

    def test_a_command_that_does_not_exist(self) -> None:
        with pytest.raises(SystemExit) as caught:
            main(["plant"])
        assert caught.value.code == 2


@pytest.mark.usefixtures("folder")
def test_a_folder_without_config_is_one_sentence(capsys: Captured) -> None:
    assert "config/config.yaml is missing" in refused(capsys, "plan", "demo")


@pytest.mark.usefixtures("small")
def test_what_is_not_implemented_is_listed(capsys: Captured) -> None:
    printed = lines(capsys, "plan", "small")
    listed = printed[printed.index("Not implemented yet:") + 1 :]
    assert [line.split()[0] for line in listed] == ["inception_v4", "nrp"]


def test_a_mistake_in_config_is_one_sentence(small: Project, capsys: Captured) -> None:
    small.replace("config.yaml", "small", "smal")
    assert "did you mean 'small'?" in refused(capsys, "plan", "small")


def test_commands_write_nothing(small: Project, capsys: Captured) -> None:
    before = sorted(small.config.parent.rglob("*"))
    for arguments in (["plan", "small"], ["explain", TABLE], ["verify"], ["show", "small"]):
        lines(capsys, *arguments)
    assert sorted(small.config.parent.rglob("*")) == before


@pytest.mark.usefixtures("small")
def test_a_missing_target_is_explained(capsys: Captured) -> None:
    printed = lines(capsys, "explain", TABLE)
    assert printed[0] == f"{TABLE} is missing: {TABLE} does not exist."
    assert re.fullmatch(r"Of (\d+) artifacts that it depends on, \1 are not valid:", printed[1])
    assert f"  {MEASURED} is missing: {MEASURED} does not exist" in printed


def test_a_valid_target_is_explained_in_one_line(small: Project, capsys: Captured) -> None:
    write_artifact(small.plan(), DATASET)
    assert lines(capsys, "explain", DATASET) == [f"{DATASET} is valid: recipe, size and inputs are those of the plan."]


def test_a_stale_target_is_explained_by_the_parameter(small: Project, capsys: Captured) -> None:
    write_artifact(small.plan(), DATASET)
    small.replace("datasets/all.yaml", "train_per_class: 80", "train_per_class: 40")
    assert lines(capsys, "explain", DATASET)[0].endswith(
        "is stale: its recipe changed: source.train_per_class 80 -> 40."
    )


@pytest.mark.usefixtures("small")
@pytest.mark.parametrize(
    "file", [f"./{TABLE}", TABLE.replace(".tex", ".csv"), TABLE.replace(".tex", ".md"), f"{TABLE}.prov.json"]
)
def test_any_file_of_an_artifact_can_be_asked_for(capsys: Captured, file: str) -> None:
    assert lines(capsys, "explain", file)[0].startswith(f"{TABLE} is missing")


@pytest.mark.usefixtures("small")
def test_an_empty_folder_has_nothing_to_verify(capsys: Captured) -> None:
    assert lines(capsys, "verify") == ["0 artifacts verified, 0 problems."]


def test_sound_artifacts_are_verified(small: Project, capsys: Captured) -> None:
    plan = small.plan()
    for path in (DATASET, MEASURED, TABLE):
        write_artifact(plan, path)
    assert lines(capsys, "verify", "small") == ["3 artifacts verified, 0 problems."]


@pytest.mark.parametrize("file", [DATASET, TABLE, TABLE.replace(".tex", ".csv")])
def test_changed_bytes_are_found(small: Project, capsys: Captured, file: str) -> None:
    plan = small.plan()
    for path in (DATASET, TABLE):
        write_artifact(plan, path)
    content = bytearray(Path(file).read_bytes())
    content[0] ^= 1
    Path(file).write_bytes(content)
    printed = lines(capsys, "verify", status=1)
    assert printed[0].startswith(f"{file} is damaged")
    assert printed[-1] == "2 artifacts verified, 1 problems."


def test_a_companion_that_is_gone_is_said_to_be_missing(small: Project, capsys: Captured) -> None:
    write_artifact(small.plan(), TABLE)
    Path(TABLE).with_suffix(".csv").unlink()
    printed = lines(capsys, "verify", status=1)
    assert "missing" in printed[0] or "does not exist" in printed[0]


def test_an_artifact_without_a_record_is_found(small: Project, capsys: Captured) -> None:
    write_artifact(small.plan(), DATASET)
    sidecar(DATASET).unlink()
    assert lines(capsys, "verify", status=1)[0].startswith(f"{DATASET} has no provenance record")


def test_the_record_of_another_artifact_is_found(small: Project, capsys: Captured) -> None:
    plan = small.plan()
    other = DATASET.replace("train", "test")
    for path in (DATASET, other):
        write_artifact(plan, path)
    sidecar(DATASET).write_bytes(sidecar(other).read_bytes())
    assert lines(capsys, "verify", status=1)[0].startswith(f"{DATASET} has no provenance record of its own")


def test_what_is_stale_is_found(small: Project, capsys: Captured) -> None:
    write_artifact(small.plan(), DATASET)
    small.replace("datasets/all.yaml", "train_per_class: 80", "train_per_class: 40")
    printed = lines(capsys, "verify", status=1)
    assert printed[0].startswith(f"{DATASET} is stale (its recipe changed: source.train_per_class 80 -> 40)")


def test_a_table_without_some_cells_is_sound_until_another_is_there(project: Project, capsys: Captured) -> None:
    plan, path = project.plan(), "paper_tables/smoke/table11.tex"
    cell, another, *_ = plan[path].inputs["cells"]
    write_artifact(plan, cell)
    plan.artifacts[path] = without_missing(plan, plan[path], lambda one: one == cell)
    write_artifact(plan, path)
    assert lines(capsys, "verify", "smoke") == [
        f"{path} is incomplete, as it says: some of its cells are not computed yet.",
        "2 artifacts verified, 0 problems.",
    ]
    write_artifact(plan, another)
    assert f"{path} is stale" in lines(capsys, "verify", "smoke", status=1)[0]
    Path(cell).unlink()
    Path(another).unlink()
    assert f"{path} is stale" in lines(capsys, "verify", "smoke", status=1)[0]


def test_predictions_of_another_recipe_are_found(small: Project, capsys: Captured) -> None:
    path = next(path for path, artifact in small.plan().artifacts.items() if artifact.by_products)
    (predictions,) = small.plan()[path].by_products
    write_artifact(small.plan(), path)
    record = read_record(path)
    assert record is not None
    files = {predictions: file_record(Path(predictions))}
    update = {"path": predictions, "recipe": "0" * 64, "files": files, "content_sha256": None}
    write_record(record.model_copy(update=update))
    assert lines(capsys, "verify", status=1)[0].startswith(f"{predictions} was made by another recipe than {path}")


def test_an_edited_cell_is_found(small: Project, capsys: Captured) -> None:
    write_artifact(small.plan(), MEASURED)
    document = json.loads(Path(MEASURED).read_text())
    document["content"]["accuracy"] = 100
    Path(MEASURED).write_text(json.dumps(document))
    assert "was edited after it was measured" in lines(capsys, "verify", status=1)[0]


@pytest.mark.usefixtures("small")
def test_a_table_that_was_not_rendered_says_how(capsys: Captured) -> None:
    assert f"table11 has not been rendered: run `snakemake {TABLE}`" in lines(capsys, "show", "small")


@pytest.mark.usefixtures("small")
def test_rendered_tables_are_shown(capsys: Captured) -> None:
    Path(TABLE).parent.mkdir(parents=True)
    Path(TABLE).with_suffix(".md").write_text("**Table XI.** Triggers ± 1\n", encoding="utf-8")
    assert "Table XI. Triggers ± 1" in lines(capsys, "show", "small")
    assert lines(capsys, "show", "small", "table11")[0] == "Table XI. Triggers ± 1"
    assert "has no table or figure 'tabel11': did you mean 'table11'?" in refused(capsys, "show", "small", "tabel11")


def test_every_argument_is_described_and_every_example_can_be_typed() -> None:
    (commands,) = (action for action in parser()._actions if isinstance(action.choices, dict))
    assert isinstance(commands.choices, dict)
    for name, command in commands.choices.items():
        assert all(action.help for action in command._actions), name
        examples = re.findall(r"^  trigact (.*)$", command.format_help(), re.MULTILINE)
        assert examples
        assert {parser().parse_args(example.split()).command for example in examples} == {
            command.get_default("command")
        }


def test_the_version_is_that_of_the_package(capsys: Captured) -> None:
    with pytest.raises(SystemExit, match="0"):
        main(["--version"])
    assert capsys.readouterr().out == f"trigact {version('trigger-activation')}\n"


@pytest.mark.usefixtures("small")
@pytest.mark.parametrize("given", ["table11.tex", "../small/table11.tex", TABLE])
def test_commands_work_in_any_subfolder(capsys: Captured, monkeypatch: pytest.MonkeyPatch, given: str) -> None:
    Path(TABLE).parent.mkdir(parents=True)
    monkeypatch.chdir(Path(TABLE).parent)
    here = Path.cwd()
    assert lines(capsys, "explain", given)[0].startswith(f"{TABLE} is missing")
    assert lines(capsys, "explain", str(here / "table11.tex"))[0].startswith(f"{TABLE} is missing")
    assert Path.cwd() == here


@pytest.mark.usefixtures("small")
def test_a_misspelt_path_is_answered_with_the_nearest(capsys: Captured) -> None:
    assert f"did you mean '{TABLE}'?" in refused(capsys, "explain", TABLE.replace("table11", "tabel11"))


@pytest.mark.usefixtures("small")
class TestCompare:
    def test_one_cell_has_nothing_to_differ_from(self, capsys: Captured) -> None:
        cell = str(ROOT / "results/cells/fashion16/standard/pgd/none.json")
        assert "name two cells or more" in refused(capsys, "compare", cell)

    def test_what_is_no_cell_is_refused(self, small: Project, capsys: Captured) -> None:
        write_artifact(small.plan(), TABLE)
        for path in (TABLE, str(ROOT / RUN), "config"):
            assert f"{path} is no cell of an accuracy table" in refused(capsys, "compare", path, path)

    def test_a_missing_cell_is_refused(self, capsys: Captured) -> None:
        cell = "results/cells/mini/standard/pgd/none.json"
        assert f"{cell} is missing: ask Snakemake for it" in refused(capsys, "compare", cell, cell)
        assert f"did you mean '{cell}'?" in refused(capsys, "compare", cell.replace("none", "nome"), cell)


def test_where_artifacts_were_made_is_told(small: Project, capsys: Captured, monkeypatch: pytest.MonkeyPatch) -> None:
    write_artifact(small.plan(), DATASET, seconds=1.0)
    printed = lines(capsys, "verify")
    assert printed[0] == "1 artifacts were made on Abacus."
    assert f"This machine: {processor_name()}." in printed[1]
    monkeypatch.chdir(ROOT)
    devices = json.loads(Path(RUN).read_text())["content"]["devices"]
    assert list(origins([shipped_plan()[RUN]])) == [f"{RUN} tells of a run on {', '.join(devices)}."]


def test_the_status_of_what_is_finished_speaks_of_no_gpu(small: Project, capsys: Captured) -> None:
    plan = small.plan()
    for path in plan.targets["small"].values():
        write_artifact(plan, path)
    printed = lines(capsys, "status", "small")
    assert printed[0] == "All that small asks for is here."
    assert "GPU" not in " ".join(printed)
    Path(TABLE).unlink()
    assert "GPU hours left" in lines(capsys, "status", "small")[2]
