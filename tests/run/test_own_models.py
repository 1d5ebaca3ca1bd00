"""``trigact evaluate`` and ``trigact leaderboard``."""

from __future__ import annotations

import csv
import io
from pathlib import Path

import pytest

from tests.support.projects import one_sentence
from tests.support.smoke_project import Project
from trigger_activation.cli import main
from trigger_activation.errors import UserError
from trigger_activation.plan.contents import Cell
from trigger_activation.report.leaderboard import Contender, Score, as_csv, as_markdown, rank
from trigger_activation.store.documents import read_document

Captured = pytest.CaptureFixture[str]

MODELS = """
import torch
def brightness():
    return lambda images: images.mean(dim=(2, 3)).repeat(1, 4)[:, :10]
def sized(classes):
    return torch.nn.Linear(1, classes)
number = 3
"""


@pytest.fixture
def place(finished: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder below a copy of the finished run, with a module of models in it."""
    project = finished.copy_to(tmp_path / "copy")
    folder = project.folder / "work"
    folder.mkdir()
    (folder / "mymodels.py").write_text(MODELS)
    monkeypatch.chdir(folder)
    return folder


@pytest.mark.workflow
def test_a_model_from_a_module_becomes_a_row_among_the_defenses(place: Path, capsys: Captured) -> None:
    arguments = ["mymodels:brightness", "--protocol", "smoke", "--attacks", "pgd,mifgsm", "--family", "none"]
    assert main(["evaluate", *arguments, "--name", "Brightness", "--json", "mine.json"]) == 0
    printed = capsys.readouterr().out
    assert printed.startswith("Brightness on Fashion-MNIST")
    assert "`trigact leaderboard smoke mine.json`" in printed
    assert (place / "mine.json").exists()
    assert main(["leaderboard", "smoke", "mine.json", "--csv"]) == 0
    rows = {row["defense"]: row for row in csv.DictReader(io.StringIO(capsys.readouterr().out))}
    assert rows["Brightness"]["own"] == "1"
    document = read_document(str(place.parent / "results/cells/smoke/standard/pgd/at.json"))
    assert document is not None
    cell = document.content
    assert isinstance(cell, Cell)
    assert float(rows["AT"]["pgd"]) == pytest.approx(cell.means["all"].mean)
    means = [float(row["mean"]) for row in rows.values()]
    assert means == sorted(means, reverse=True)
    assert main(["leaderboard", "smoke", "mine.json"]) == 0
    assert "| **Brightness** |" in capsys.readouterr().out


@pytest.mark.workflow
@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["mymodels:brightnes", "--protocol", "smoke"], "has no 'brightnes': did you mean 'brightness'?"),
        (["mymodel:brightness", "--protocol", "smoke"], "there is no module mymodel in "),
        (["mymodels", "--protocol", "smoke"], "write MODULE:FUNCTION"),
        (["mymodels:sized", "--protocol", "smoke"], "name a function without arguments"),
        (["mymodels:number", "--protocol", "smoke"], "is no function but a int: name one"),
        (["mymodels:brightness", "--protocol", "smok"], "did you mean 'smoke'?"),
    ],
)
def test_what_cannot_be_evaluated_is_refused_in_a_sentence(
    place: Path, arguments: list[str], said: str, capsys: Captured
) -> None:
    assert main(["evaluate", *arguments]) == 1
    assert said in one_sentence(capsys.readouterr().err.strip())
    assert place


def contender(label: str, own: bool = False, others: float | None = 50.0, **attacks: float) -> Contender:
    return Contender(label, own, 90.0, {name: Score(value, others) for name, value in attacks.items()})


def test_only_attacks_that_all_were_attacked_by_count() -> None:
    board = rank("p", [contender("a", pgd=10, naa=90), contender("b", own=True, pgd=20)])
    assert board.attacks == ["pgd"]
    assert [place.contender.label for place in board.places] == ["b", "a"]
    assert "Left out" not in as_markdown(board, {})


def test_attacks_that_are_asked_for_leave_out_who_lacks_them() -> None:
    board = rank("p", [contender("a", pgd=10, naa=90), contender("b", pgd=20)], ["pgd", "naa"])
    assert [place.contender.label for place in board.places] == ["a"]
    assert board.places[0].mean.all == 50
    assert "Left out, since an attack is missing: b." in as_markdown(board, {})


def test_labels_are_escaped_and_unknown_families_are_gaps() -> None:
    board = rank("p", [contender("a|b, c", own=True, others=None, pgd=10)])
    assert r"| **a\|b, c** | 90.0 | 10.0 | 10.0 | - |" in as_markdown(board, {"pgd": "PGD"})
    assert as_csv(board).splitlines()[1] == '"a|b, c",1,90.0,10,10.0,'


@pytest.mark.parametrize(
    ("contenders", "attacks", "said"),
    [
        ([], None, "has no cells here"),
        ([contender("a", pgd=1)], ["pgdd"], "did you mean 'pgd'?"),
        ([contender("a", pgd=1), contender("b", naa=1)], None, "no attack was run on all"),
    ],
)
def test_what_cannot_be_ranked_is_refused_in_a_sentence(
    contenders: list[Contender], attacks: list[str] | None, said: str
) -> None:
    with pytest.raises(UserError) as refusal:
        rank("p", contenders, attacks)
    assert said in one_sentence(str(refusal.value))
