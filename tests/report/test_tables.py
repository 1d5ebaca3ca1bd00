"""Tables as pure functions of cells: means, marks, escapes, bytes; and figures that are the same twice."""

from __future__ import annotations

import base64
import io
import re
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from tests.support.means import mean_of
from trigger_activation.plan.contents import Cell, Content, FlipStudy, MeasuredTrigger, TriggerStudy
from trigger_activation.plan.layouts import (
    AccuracyLayout,
    AnyFigureLayout,
    Change,
    Facts,
    FlipLayout,
    ShownColumn,
    ShownProtocol,
    TriggerLayout,
    TriggersLayout,
)
from trigger_activation.report.figures import draw
from trigger_activation.report.tables import render
from trigger_activation.report.tables.grid import escape_latex, escape_markdown
from trigger_activation.report.tables.marks import marked
from trigger_activation.science.evaluation.results import FlipPoint, PairMean
from trigger_activation.science.sanity import SanityLimits

SPECIALS = r"_&%#${}~^\<>"
TRICKY = r"a_b & 5% #1 $x$ {y} ~ ^ \z <script>"


def facts(**changes: Any) -> Facts:
    known = {
        "name": "mini",
        "dataset": "Digits",
        "classes": 10,
        "networks": {"vgg-s": "VGG", "resnet18-xs": "ResNet"},
        "eps": "8/255",
        "steps": 20,
        "images": 1000,
        "epochs": 5,
        "sanity": SanityLimits(),
    }
    return Facts(**{**known, **changes})


def column(name: str, label: str = "", group: str = "", seeds: int = 1) -> ShownColumn:
    victim = "standard" if name == "none" else name
    return ShownColumn(name=name, victim=victim, preprocessing=None, label=label or name, group=group, seeds=seeds)


def accuracy_layout(
    rows: list[str], columns: list[ShownColumn], labels: list[str] | None = None, **changes: Any
) -> AccuracyLayout:
    labels = labels or ["Clean" if row == "clean" else row.upper() for row in rows]
    layout: dict[str, Any] = {
        "kind": "accuracy",
        "number": "I",
        "title": "Accuracy",
        "decimals": 2,
        "pairs": "all",
        "surrogates": "standard",
        "mean_row": False,
        "rows": [{"attack": row, "label": label} for row, label in zip(rows, labels, strict=True)],
        "columns": columns,
        "protocol": facts(),
        "changes": [],
        "substitutes": {},
    }
    return AccuracyLayout(**{**layout, **changes})


def with_deviation(value: float, deviation: float | None) -> PairMean:
    return mean_of(value) if deviation is None else mean_of(value - deviation, value, value + deviation)


def cell(
    attack: str,
    column: str,
    value: float,
    off_diagonal: float | None = None,
    deviation: float | None = 0.0,
    **changes: Any,
) -> Cell:
    """Of three seeds unless there is no deviation."""
    means = {"all": with_deviation(value, deviation)}
    if off_diagonal is not None:
        means["off_diagonal"] = with_deviation(off_diagonal, deviation)
    known: dict[str, Any] = {
        "surrogate_paradigm": "standard",
        "attack": attack,
        "column": column,
        "victims": ["vgg-s", "resnet18-xs"],
        "surrogates": ["vgg-s", "resnet18-xs"],
        "seeds": [0],
        "images": 1000,
        "correct": [],
        "means": means,
    }
    return Cell(**{**known, **changes})


def table(values: dict[str, list[float]], **changes: Any) -> dict[str, str]:
    """The renderings of a table: row -> values, columns ``none``, ``at``, ``fixed_64`` ..."""
    names = ["none", "at", "fixed_64", "learn_4"][: len(next(iter(values.values())))]
    layout = accuracy_layout(list(values), [column(name) for name in names], **changes)
    cells = [
        cell(attack, name, value) for attack, row in values.items() for name, value in zip(names, row, strict=True)
    ]
    return plain(render(layout, cells))


def plain(rendered: dict[str, str]) -> dict[str, str]:
    """Without deviations of zero."""
    return {suffix: re.sub(r"( ± |\$\\pm\$\\,)0[.0]*", "", text) for suffix, text in rendered.items()}


def markdown_rows(rendered: dict[str, str]) -> dict[str, list[str]]:
    """Label -> entries of the Markdown table."""
    lines = [line for line in rendered[".md"].splitlines() if line.startswith("| ")]
    parsed = [[entry.strip() for entry in re.split(r"(?<!\\)\|", line)[1:-1]] for line in lines]
    return {row[0]: row[1:] for row in parsed if row[0] != ":--"}


def frame(rendered: dict[str, str]) -> pd.DataFrame:
    return pd.read_csv(io.StringIO(rendered[".csv"]))


def test_values_are_printed_with_the_decimals_of_the_layout() -> None:
    assert markdown_rows(table({"pgd": [12.3456]}, decimals=1))["PGD"] == ["**12.3**"]


def test_rows_and_columns_keep_the_order_of_the_layout() -> None:
    rows = markdown_rows(table({"pgd": [1, 2], "clean": [3, 4]}, decimals=0))
    assert list(rows) == ["Attack", "PGD", "Clean"]
    assert rows["Attack"] == ["none", "at"]
    assert rows["Clean"] == ["<u>3</u>", "**4**"]


def test_every_rendering_holds_every_value() -> None:
    rendered = table({"clean": [91.5, 80.25], "pgd": [1.75, 60.125]}, decimals=3)
    for value in ("91.500", "80.250", "1.750", "60.125"):
        assert value in rendered[".tex"]
        assert value in rendered[".md"]


def test_best_and_second_are_marked_in_latex() -> None:
    text = table({"pgd": [10, 30, 20]})[".tex"]
    assert r"\textbf{30.00}" in text
    assert r"\underline{20.00}" in text
    assert r"& 10.00" in text


def test_marks_come_from_unrounded_values() -> None:
    assert markdown_rows(table({"pgd": [50.04, 50.01, 50.02]}, decimals=1))["PGD"] == [
        "**50.0**",
        "50.0",
        "<u>50.0</u>",
    ]


def test_equal_values_share_a_mark() -> None:
    assert markdown_rows(table({"pgd": [7, 9, 9, 8]}, decimals=0))["PGD"] == ["7", "**9**", "**9**", "<u>8</u>"]


@pytest.mark.parametrize(
    ("values", "marks"),
    [
        ([], []),
        ([1.0], ["best"]),
        ([1.0, 1.0], ["", ""]),
        ([1.0, 2.0, 2.0], ["second", "best", "best"]),
        ([3.0, 1.0, 2.0], ["best", "", "second"]),
    ],
)
def test_marks(values: list[float], marks: list[str]) -> None:
    assert marked([mean_of(value, value) for value in values]) == marks


def test_no_number_has_a_mark_that_a_higher_one_lacks() -> None:
    """58.1 cannot be told from 73.0, but lies below 59.0, which can."""
    row = [noisy(73.0, 0.5, 0), noisy(59.0, 0.5, 1), noisy(58.1, 20.0, 2), noisy(50.0, 0.5, 3)]
    assert marked(row) == ["best", "second", "", ""]


def test_a_row_that_the_data_cannot_order_has_no_marks() -> None:
    row = [noisy(50.0, 20.0, seed) for seed in range(3)]
    assert marked([*row, noisy(10.0, 0.1, 9)]) == [""] * 4


def noisy(mean: float, width: float, seed: int) -> PairMean:
    """A cell whose images, drawn again, move it by ``width`` (one standard error), apart from those of other draws."""
    return mean_of(mean, mean, images=width, draw=seed)


def test_what_images_cannot_tell_from_the_best_is_marked_too() -> None:
    row = [noisy(70.0, 1.0, 0), noisy(69.0, 1.0, 1), noisy(60.0, 1.0, 2), noisy(59.0, 1.0, 3), noisy(50.0, 1.0, 4)]
    assert marked(row) == ["best", "best", "second", "", ""]


def test_what_seeds_cannot_tell_from_the_best_is_marked_too() -> None:
    steady = mean_of(69.9, 70.0, 70.1)
    assert marked([steady, mean_of(50.0, 60.0, 70.0), mean_of(40.0, 40.1, 40.0)]) == ["best", "best", "second"]
    assert marked([steady, mean_of(59.0, 60.0, 61.0)]) == ["best", "second"]


def test_a_single_seed_is_never_told_from_the_others() -> None:
    others = [mean_of(69.0, 70.0, 71.0), mean_of(49.0, 50.0, 51.0), mean_of(39.0, 40.0, 41.0)]
    assert marked([*others, mean_of(60.0)]) == ["best", "second", "", "best"]
    assert marked([*others, mean_of(90.0)]) == ["", "", "", ""]


def test_noise_that_columns_share_does_not_make_them_equal() -> None:
    """The images are the same for all columns: how hard they are moves all alike."""
    row = [noisy(70.0, 1.0, 0), noisy(69.9, 1.0, 0)]
    assert marked(row) == ["best", "second"]


def test_the_mean_row_averages_unrounded_values_of_attacks_only() -> None:
    rows = markdown_rows(
        table({"clean": [99.0, 99.0], "pgd": [10.04, 10.4], "di": [10.04, 10.4]}, decimals=1, mean_row=True)
    )
    assert rows["Mean"] == ["<u>10.0</u>", "**10.4**"]


def test_the_mean_row_is_not_the_mean_of_printed_values() -> None:
    rows = markdown_rows(table({"pgd": [0.4], "di": [0.4], "mi": [0.8]}, decimals=0, mean_row=True))
    assert rows["Mean"] == ["**1**"]


def test_what_is_missing_is_printed_as_missing() -> None:
    layout = accuracy_layout(["clean", "pgd"], [column("none"), column("at")], decimals=0, mean_row=True)
    cells = [cell("clean", "none", 90), cell("clean", "at", 80), None, cell("pgd", "at", 20)]
    rendered = plain(render(layout, cells))
    rows = markdown_rows(rendered)
    assert (rows["PGD"], rows["Mean"]) == (["missing", "**20**"], ["missing", "**20**"])
    assert "Incomplete: 1 of 4 cells are missing." in rendered[".md"]
    assert list(frame(rendered).attack) == ["clean", "clean", "pgd"]


def test_a_rule_stands_above_the_mean_row() -> None:
    lines = table({"pgd": [1]}, mean_row=True)[".tex"].splitlines()
    assert lines[lines.index("Mean") - 1] == r"\midrule"


def test_there_is_no_mean_row_unless_asked_for() -> None:
    assert "Mean" not in markdown_rows(table({"pgd": [1]}))


def off_diagonal_table(pairs: str) -> dict[str, str]:
    layout = accuracy_layout(["clean", "pgd"], [column("none"), column("at")], pairs=pairs, decimals=0, mean_row=True)
    cells = [
        cell("clean", "none", 90),
        cell("clean", "at", 80),
        cell("pgd", "none", 10, off_diagonal=30),
        cell("pgd", "at", 20, off_diagonal=25),
    ]
    return plain(render(layout, cells))


def test_all_pairs_are_averaged_by_default() -> None:
    rows = markdown_rows(off_diagonal_table("all"))
    assert rows["PGD"] == rows["Mean"] == ["<u>10</u>", "**20**"]


def test_the_diagonal_is_left_out_where_the_layout_says_so() -> None:
    rows = markdown_rows(off_diagonal_table("off_diagonal"))
    assert rows["PGD"] == rows["Mean"] == ["**30**", "<u>25</u>"]


def test_the_clean_row_has_no_diagonal() -> None:
    assert markdown_rows(off_diagonal_table("off_diagonal"))["Clean"] == ["**90**", "<u>80</u>"]


@pytest.mark.parametrize(("pairs", "words"), [("all", "attacked on itself"), ("off_diagonal", "different surrogate")])
def test_the_caption_says_which_pairs(pairs: str, words: str) -> None:
    assert words in off_diagonal_table(pairs)[".md"]


def test_the_csv_holds_both_means() -> None:
    pgd = frame(off_diagonal_table("off_diagonal")).query("attack == 'pgd' and column == 'none'").iloc[0]
    assert (pgd.accuracy, pgd.mean_all, pgd.mean_off_diagonal) == (30, 10, 30)


def test_the_deviation_over_seeds_is_printed_beside_the_mean() -> None:
    layout = accuracy_layout(["pgd"], [column("at", seeds=3)])
    rendered = render(layout, [cell("pgd", "at", 50, deviation=1.234)])
    assert "± 1.23" in rendered[".md"]
    assert r"$\pm$\,1.23" in rendered[".tex"]
    assert "3 seeds for at" in rendered[".md"]


def test_one_seed_prints_no_deviation() -> None:
    rendered = render(accuracy_layout(["pgd"], [column("none")]), [cell("pgd", "none", 50, deviation=None)])
    assert "± " not in rendered[".md"].splitlines()[-1]
    assert "One seed per network." in rendered[".md"]


def test_the_caption_says_what_the_protocol_changes() -> None:
    fewer = Change(label="L2T", parameter="paths", declared=3, value=1)
    other = Change(label="AT", parameter="step_size", declared=None, value="4/255")
    caption = table({"pgd": [50]}, changes=[fewer, other])[".md"].splitlines()[0]
    assert "This protocol runs L2T with paths 1 instead of 3 and AT with step size 4/255." in caption
    assert "This protocol" not in table({"pgd": [50]})[".md"]


def test_the_caption_states_the_threat_model() -> None:
    caption = table({"pgd": [50]})[".md"].splitlines()[0]
    assert "Perturbations up to 8/255 in 20 iterations, 1,000 test images." in caption
    assert "Digits; networks VGG and ResNet." in caption


def test_adjacent_columns_of_a_group_share_a_heading() -> None:
    columns = [column("none"), column("fixed_8", group="Ours"), column("fixed_64", group="Ours")]
    cells = [cell("pgd", c.name, 1.0) for c in columns]
    text = render(accuracy_layout(["pgd"], columns), cells)[".tex"]
    assert r"& \multicolumn{2}{c}{Ours}" in text
    assert r"\cmidrule(lr){3-4}" in text


def test_a_latex_row_has_as_many_entries_as_there_are_columns() -> None:
    body = table({"clean": [1, 2, 3], "pgd": [4, 5, 6]}, mean_row=True)[".tex"]
    rows = body.partition(r"\toprule")[2].partition(r"\bottomrule")[0].split(r"\\")[:-1]
    assert [len(re.findall(r"(?<!\\)&", row)) for row in rows] == [3, 3, 3, 3]
    assert r"\begin{tabular}{lrrr}" in body


@pytest.mark.parametrize("special", SPECIALS)
def test_no_special_character_reaches_latex_as_it_is(special: str) -> None:
    escaped = escape_latex(special)
    assert escaped != special
    assert escaped.startswith("\\")


def test_escapes_are_not_escaped_again() -> None:
    assert escape_latex(r"\{") == r"\textbackslash{}\{"


def test_ordinary_text_is_left_alone_in_latex() -> None:
    assert escape_latex("ResNet-18 (xs), 8/255: 5.0") == "ResNet-18 (xs), 8/255: 5.0"


def labelled(text: str) -> dict[str, str]:
    """A table that has a text wherever config allows one."""
    columns = [column("none", label=text, group=text), column("at", label="plain", group=text)]
    protocol = facts(dataset=text, networks={"vgg-s": text})
    layout = accuracy_layout(["pgd"], columns, labels=[text], title=text, protocol=protocol)
    return render(layout, [cell("pgd", c.name, 1.0) for c in columns])


def test_labels_are_escaped_everywhere_in_latex() -> None:
    text = labelled(TRICKY)[".tex"]
    assert TRICKY not in text
    assert text.count(escape_latex(TRICKY)) == 7  # title, its data set, data set, network, group, column, row
    assert "<script>" not in text


def test_latex_braces_are_balanced_whatever_the_labels_say() -> None:
    text = labelled("}{ } \\")[".tex"].replace(r"\{", "").replace(r"\}", "")
    assert text.count("{") == text.count("}")


def test_labels_are_escaped_everywhere_in_markdown() -> None:
    text = labelled("<script>alert(1)</script> a|b *c* _d_ `e` [f](g)")[".md"]
    assert not re.search(r"(?<!\\)<(?!/?u>)", text)
    assert not re.search(r"(?<!\\)[`\[]", text)
    assert r"\<script>" in text


def test_a_bar_in_a_label_adds_no_markdown_column() -> None:
    rows = markdown_rows(labelled("a|b"))
    assert {len(entries) for entries in rows.values()} == {2}


@pytest.mark.parametrize("character", r"\|*_`<[")
def test_markdown_specials_are_escaped(character: str) -> None:
    assert escape_markdown(character) == f"\\{character}"


def test_the_csv_quotes_what_it_must() -> None:
    layout = accuracy_layout(["pgd"], [column('a,"b"')])
    assert frame(render(layout, [cell("pgd", "x", 1.0)]))["column"].tolist() == ['a,"b"']


def test_the_csv_holds_unrounded_values() -> None:
    values = {"pgd": [12.345678, 98.7654321], "di": [1 / 3, 2 / 3]}
    data = frame(table(values, decimals=0))
    assert data["accuracy"].tolist() == pytest.approx([*values["pgd"], *values["di"]], abs=1e-6)


def test_the_csv_has_one_line_per_cell() -> None:
    data = frame(table({"clean": [1, 2], "pgd": [3, 4]}, mean_row=True))
    assert list(zip(data["attack"], data["column"], strict=True)) == [
        ("clean", "none"),
        ("clean", "at"),
        ("pgd", "none"),
        ("pgd", "at"),
    ]


def test_the_csv_holds_intervals() -> None:
    data = frame(render(accuracy_layout(["pgd"], [column("none")]), [cell("pgd", "none", 50, deviation=1)]))
    assert data["interval_low"].iloc[0] < 50 < data["interval_high"].iloc[0]


def test_one_seed_has_no_interval_in_the_csv() -> None:
    alone = frame(render(accuracy_layout(["pgd"], [column("none")]), [cell("pgd", "none", 50, deviation=None)]))
    assert alone["interval_low"].isna().all()


def test_rendering_twice_gives_the_same_bytes() -> None:
    values = {"clean": [91.5, 80.25], "pgd": [1.75, 60.125]}
    assert table(values, mean_row=True) == table(values, mean_row=True)


def test_rendering_leaves_layout_and_cells_alone() -> None:
    layout, cells = accuracy_layout(["pgd"], [column("at")], mean_row=True), [cell("pgd", "at", 1.0)]
    before = repr((layout, cells))
    render(layout, cells)
    assert repr((layout, cells)) == before


def test_a_cell_that_is_missing_is_an_error() -> None:
    layout = accuracy_layout(["pgd", "di"], [column("none"), column("at")])
    with pytest.raises(ValueError, match="zip"):
        render(layout, [cell("pgd", "none", 1.0), cell("pgd", "at", 1.0), cell("di", "none", 1.0)])


def test_every_file_ends_with_one_line_break() -> None:
    for text in table({"pgd": [1]}).values():
        assert text.endswith("\n")
        assert not text.endswith("\n\n")


def picture(side: int = 4) -> str:
    buffer = io.BytesIO()
    ramp = np.arange(side * side * 3, dtype=np.uint8).reshape(side, side, 3)
    Image.fromarray(ramp).save(buffer, format="PNG")
    return base64.b64encode(buffer.getvalue()).decode()


def trigger_cell(paradigm: str, mean_squares: dict[tuple[str, int], float]) -> TriggerStudy:
    triggers = [
        MeasuredTrigger(network=network, seed=seed, mean_square=value, largest=0.25, picture=picture())
        for (network, seed), value in mean_squares.items()
    ]
    return TriggerStudy(paradigm=paradigm, triggers=triggers)


def trigger_layout(*slots: ShownProtocol) -> TriggerLayout:
    return TriggerLayout(kind="trigger", number="XI", title="Magnitudes", decimals=2, slots=list(slots))


def slot(dataset: str = "Digits", label: str = "Ours", seeds: int = 1) -> ShownProtocol:
    columns = [column("fixed_64", label="Fixed"), column("learn_4", label=label, seeds=seeds)]
    return ShownProtocol(protocol=facts(dataset=dataset), columns=columns)


FIXED = trigger_cell("fixed_64", {("vgg-s", 0): 0.063, ("resnet18-xs", 0): 0.063})
LEARNT = trigger_cell("learn_4", {("vgg-s", 0): 0.01, ("resnet18-xs", 0): 0.02})
TWO_SEEDS = trigger_cell(
    "learn_4", {("vgg-s", 0): 0.01, ("resnet18-xs", 0): 0.02, ("vgg-s", 1): 0.03, ("resnet18-xs", 1): 0.02}
)


def test_magnitudes_are_printed_in_hundredths() -> None:
    rows = markdown_rows(render(trigger_layout(slot()), [FIXED, LEARNT]))
    assert rows["Trigger"] == ["VGG", "ResNet"]
    assert rows["Digits, Fixed"] == ["6.30", "6.30"]
    assert rows["Digits, Ours"] == ["1.00", "2.00"]


def test_magnitudes_average_over_seeds() -> None:
    rows = markdown_rows(render(trigger_layout(slot(seeds=2)), [FIXED, TWO_SEEDS]))
    assert rows["Digits, Ours"] == ["2.00 ± 1.41", "2.00 ± 0.00"]


def test_each_data_set_has_its_rows() -> None:
    rendered = render(trigger_layout(slot(), slot("Photos")), [FIXED, LEARNT, FIXED, TWO_SEEDS])
    labels = ["Digits, Fixed", "Digits, Ours", "Photos, Fixed", "Photos, Ours"]
    assert list(markdown_rows(rendered))[1:] == labels


def test_a_network_that_a_data_set_lacks_has_a_dash() -> None:
    other = slot("Photos").model_copy(update={"protocol": facts(dataset="Photos", networks={"vgg-s": "VGG", "b": "B"})})
    photos = [trigger_cell(name, {("vgg-s", 0): 0.05, ("b", 0): 0.07}) for name in ("fixed_64", "learn_4")]
    rows = markdown_rows(render(trigger_layout(slot(), other), [FIXED, LEARNT, *photos]))
    assert rows["Trigger"] == ["VGG", "ResNet", "B"]
    assert rows["Digits, Ours"] == ["1.00", "2.00", "–"]
    assert rows["Photos, Ours"] == ["5.00", "–", "7.00"]


def test_the_trigger_csv_has_one_line_per_network_and_seed() -> None:
    data = frame(render(trigger_layout(slot()), [FIXED, TWO_SEEDS]))
    assert len(data) == 6
    assert data["mean_square"].tolist() == [0.063, 0.063, 0.01, 0.02, 0.03, 0.02]


def flip_cell() -> FlipStudy:
    points = [
        FlipPoint(fraction=fraction, accuracy=[10 + 80 * fraction, 12 + 80 * fraction], loss=[2.3 - fraction] * 2)
        for fraction in (0, 0.25, 0.5, 0.75, 1)
    ]
    return FlipStudy(paradigm="fixed_64", network="vgg-s", images=1000, points=points)


def figure_layout(kind: str, label: str = "Ours", title: str = "A figure") -> AnyFigureLayout:
    layout: dict[str, Any] = {
        "kind": kind,
        "number": "2",
        "title": title,
        "slots": [{"protocol": facts(), "paradigms": {"fixed_64": label, "learn_4": "Learnt"}}],
    }
    return FlipLayout(**layout) if kind == "flip" else TriggersLayout(**layout)


def figure_cells(kind: str) -> list[Content]:
    return [flip_cell()] if kind == "flip" else [FIXED, TWO_SEEDS]


def saved(kind: str, suffix: str, folder: Path, label: str = "Ours") -> bytes:
    """A figure's file, with the metadata that the stage writes."""
    figure, _ = draw(figure_layout(kind, label), figure_cells(kind))
    no_dates: dict[str, dict[str, Any]] = {
        "png": {"Software": None},
        "pdf": {"CreationDate": None, "Producer": None, "Creator": None},
    }
    figure.savefig(folder / f"figure.{suffix}", format=suffix, metadata=no_dates[suffix])
    return (folder / f"figure.{suffix}").read_bytes()


@pytest.mark.parametrize("suffix", ["png", "pdf"])
@pytest.mark.parametrize("kind", ["flip", "triggers"])
def test_a_figure_has_the_same_bytes_twice(kind: str, suffix: str, tmp_path: Path) -> None:
    assert saved(kind, suffix, tmp_path) == saved(kind, suffix, tmp_path)


def test_a_figure_ignores_the_style_of_the_session(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import matplotlib as mpl

    before = saved("flip", "png", tmp_path)
    monkeypatch.setitem(mpl.rcParams, "font.size", 20.0)
    assert saved("flip", "png", tmp_path) == before


@pytest.mark.parametrize("kind", ["flip", "triggers"])
def test_any_label_can_be_drawn(kind: str, tmp_path: Path) -> None:
    assert saved(kind, "png", tmp_path, label=TRICKY)


@pytest.mark.parametrize("kind", ["flip", "triggers"])
def test_a_figure_caption_says_what_was_used(kind: str) -> None:
    _, caption = draw(figure_layout(kind), figure_cells(kind))
    assert caption.startswith("**Figure 2.** A figure")
    assert "Digits" in caption
    assert caption.endswith("\n")


@pytest.mark.parametrize("kind", ["flip", "triggers"])
def test_a_figure_caption_is_escaped(kind: str) -> None:
    _, caption = draw(figure_layout(kind, title="<script>"), figure_cells(kind))
    assert not re.search(r"(?<!\\)<script>", caption)


def test_the_triggers_figure_shows_one_fixed_and_every_learnt_trigger() -> None:
    figure, _ = draw(figure_layout("triggers"), figure_cells("triggers"))
    assert [axes.get_title() for axes in figure.axes] == ["Ours\nVGG", "Learnt\nVGG", "Learnt\nResNet"]


def test_the_flip_figure_starts_at_chance() -> None:
    figure, _ = draw(figure_layout("flip"), figure_cells("flip"))
    accuracy, loss = figure.axes
    assert [line.get_label() for line in accuracy.lines] == ["Ours", "guessing at random"]
    assert list(accuracy.lines[0].get_ydata()) == [11, 31, 51, 71, 91]
    assert loss.lines[1].get_ydata()[0] == pytest.approx(np.log(10))
