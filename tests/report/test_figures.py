"""Figures from synthetic cells, in the layouts of the shipped experiments."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.collections import QuadMesh
from matplotlib.figure import Figure
from matplotlib.path import Path as Path2D
from matplotlib.text import Text
from matplotlib.transforms import Bbox

from tests.report.test_tables import cell
from tests.support.means import mean_of
from tests.support.projects import Project, shipped_config, shipped_plan
from trigger_activation.plan import Artifact
from trigger_activation.plan.contents import Cell, ConceptStudy, Content, Example, NetworkTheory, TheoryStudy
from trigger_activation.plan.layouts import MatricesLayout, TradeoffLayout
from trigger_activation.report.figures import draw
from trigger_activation.report.figures._labels import place
from trigger_activation.report.figures.matrices import matrix
from trigger_activation.report.figures.svg import embedded
from trigger_activation.report.figures.theory import chance_interval
from trigger_activation.report.figures.tradeoff import estimated_by_bars, under_strongest_attack
from trigger_activation.run.stages.reports import save_figure, with_picture
from trigger_activation.science.evaluation.results import FirstOrder, mean_over
from trigger_activation.store.pictures import encode_png

NEW = ("figure1", "theory", "matrices", "tradeoff")
SHOWN = [(experiment, name) for experiment in ("demo", "paper") for name in NEW]
every_figure = pytest.mark.parametrize(("experiment", "name"), SHOWN)
SMALLEST = 6
"""Points."""


def planned(experiment: str, name: str) -> Artifact:
    return shipped_plan()[shipped_plan().targets[experiment][name]]


def accuracy_cell(artifact: Artifact, generator: np.random.Generator) -> Cell:
    given = artifact.settings
    networks, seeds = given["networks"], given["seeds"]
    clean = given["attack"] == "clean"
    shape = (len(seeds), len(networks), 1 if clean else len(networks))
    correct = generator.integers(60 if clean else 5, 95, shape)
    mean = mean_of(*correct.mean(axis=(1, 2)), images=1.0)
    return Cell(
        surrogate_paradigm=given["surrogates"],
        **{key: given[key] for key in ("attack", "column", "seeds")},
        victims=networks,
        surrogates=[] if clean else networks,
        images=100,
        correct=correct.tolist(),
        means={"all": mean, "off_diagonal": mean},
    )


def theory_cell(artifact: Artifact, generator: np.random.Generator) -> TheoryStudy:
    given = artifact.settings
    eps_t = int(given["paradigm"].removeprefix("fixed_")) / 255
    quantities = ("inner_product", "hoelder_bound", "loss_without_trigger", "loss_with_trigger", "linearity_gap")

    def split() -> FirstOrder:
        agreement = generator.uniform(0.4, 0.9)
        return FirstOrder(sign_agreement=agreement, **{q: generator.uniform(0.1, 2.4) for q in quantities})

    networks = [
        NetworkTheory(
            network=network,
            trigger_eps=eps_t,
            entries=768,
            train=split(),
            test=split(),
            transferred_loss={surrogate: generator.uniform(0.2, 3) for surrogate in given["networks"]},
            worst_case_loss=generator.uniform(0.2, 3),
            loss_bound=8 / 255 / eps_t * math.log(given["classes"]),
        )
        for network in given["networks"]
    ]
    keys = ("paradigm", "attack", "eps", "classes", "images")
    return TheoryStudy(**{key: given[key] for key in keys}, networks=networks)


def concept_cell(artifact: Artifact, generator: np.random.Generator) -> ConceptStudy:
    given = artifact.settings

    def png() -> str:
        return encode_png(generator.integers(0, 256, (16, 16, 3), dtype=np.uint8))

    def answer() -> list[float]:
        return generator.dirichlet(np.full(10, 0.2)).tolist()

    unchanged, triggered = ("clean", "adversarial"), ("clean_triggered", "adversarial_triggered")
    examples = [
        Example(
            position=position,
            label=label,
            pictures={name: png() for name in ("perturbation", *unchanged, *triggered)},
            probabilities={
                **{name: {"undefended": answer(), "with_trigger": answer()} for name in unchanged},
                **{name: {"with_trigger": answer()} for name in triggered},
            },
        )
        for position, label in ((3, 9), (11, 0), (12, 4))
    ]
    keys = ("paradigm", "network", "surrogate", "attack", "images")
    return ConceptStudy(**{key: given[key] for key in keys}, fooled=17, kept=11, trigger=png(), examples=examples)


MAKERS: Mapping[str, Callable[[Artifact, np.random.Generator], Content]] = {
    "cell": accuracy_cell,
    "theory": theory_cell,
    "concept": concept_cell,
}


@cache
def cells(experiment: str, name: str) -> list[Any]:
    generator = np.random.default_rng(0)
    parents = [shipped_plan()[path] for path in planned(experiment, name).input_paths]
    return [MAKERS[parent.kind.name](parent, generator) for parent in parents]


def drawn(experiment: str, name: str) -> tuple[Figure, str]:
    return draw(planned(experiment, name).parameters, cells(experiment, name))


@cache
def rendered(experiment: str, name: str) -> tuple[Figure, str]:
    """A figure that has been drawn, to look at and not to change, and its caption."""
    figure, caption = drawn(experiment, name)
    FigureCanvasAgg(figure).draw()
    return figure, caption


def texts_of(axes: Axes) -> Iterator[Text]:
    yield from (axes.title, *axes.texts, *(axes.legend_.get_texts() if axes.legend_ else ()))
    for axis in (axes.xaxis, axes.yaxis) if axes.axison else ():
        low, high = sorted(axis.get_view_interval())
        yield axis.label
        shown = [tick for tick in axis.get_major_ticks() if low <= tick.get_loc() <= high]
        yield from (label for tick in shown for label in (tick.label1, tick.label2))
    for child in axes.child_axes:
        yield from texts_of(child)


def visible_texts(figure: Figure) -> list[Text]:
    found = [text for axes in figure.axes for text in texts_of(axes)]
    found += [text for legend in figure.legends for text in legend.get_texts()]
    return [text for text in found if text.get_visible() and text.get_text()]


@pytest.mark.parametrize("name", NEW)
def test_the_same_cells_give_the_same_bytes(name: str, tmp_path: Path) -> None:
    for time in ("first", "second"):
        figure, _ = drawn("demo", name)
        for suffix in ("png", "pdf"):
            save_figure(figure, tmp_path / f"{time}.{suffix}")
    for suffix in ("png", "pdf"):
        first, second = ((tmp_path / f"{time}.{suffix}").read_bytes() for time in ("first", "second"))
        assert first == second
        assert len(first) > 5000


@every_figure
def test_all_text_is_legible_and_on_the_canvas(experiment: str, name: str) -> None:
    figure, _ = rendered(experiment, name)
    texts = visible_texts(figure)
    assert min(text.get_fontsize() for text in texts) >= SMALLEST
    canvas = figure.bbox.padded(1)
    outside = [text.get_text() for text in texts if canvas.count_contains(box_of(text).corners()) < 4]
    assert outside == []


@every_figure
def test_figures_fit_a_page(experiment: str, name: str) -> None:
    width, height = rendered(experiment, name)[0].get_size_inches()
    assert width <= 7
    assert height <= 9


@every_figure
def test_captions_say_what_was_used(experiment: str, name: str) -> None:
    layout = planned(experiment, name).parameters
    _, caption = rendered(experiment, name)
    protocol = layout.table.protocol if isinstance(layout, MatricesLayout | TradeoffLayout) else layout.protocol
    assert caption.startswith(f"**Figure {layout.number}.** {layout.title}")
    for fact in (protocol.dataset, *protocol.networks.values()):
        assert fact in caption
    assert caption.endswith("\n")


def box_of(text: Text) -> Bbox:
    """Of the words alone, without the line that an annotation may have."""
    return Text.get_window_extent(text)


def test_leaders_cross_no_marker_and_no_label() -> None:
    """Points in a row: most labels lie apart from theirs, joined by lines."""
    figure = Figure(figsize=(3.5, 3.4))
    axes = figure.subplots()
    points = [(50 + 2 * index, 50.0 + index % 3) for index in range(14)]
    axes.plot(*zip(*points, strict=True), "o")
    axes.set(xlim=(40, 90), ylim=(40, 60))
    figure.draw_without_rendering()
    figure.set_layout_engine("none")
    place(axes, points, [f"Defense {index}" for index in range(14)], [])
    FigureCanvasAgg(figure).draw()
    pixels = [axes.transData.transform(point) for point in points]
    labels = [box_of(text) for text in axes.texts]
    leaders = [text for text in axes.texts if text.arrow_patch is not None]
    assert leaders
    for text in leaders:
        ends = axes.transData.transform(text.xy), _middle(box_of(text))
        line = Path2D(ends)
        others = [Bbox.from_bounds(x - 3, y - 3, 6, 6) for x, y in pixels if not np.allclose((x, y), ends[0])]
        assert not any(line.intersects_bbox(box) for box in others)
        assert sum(line.intersects_bbox(box) for box in labels) == 1  # its own


def _middle(box: Bbox) -> tuple[float, float]:
    return (box.x0 + box.x1) / 2, (box.y0 + box.y1) / 2


def test_figures_on_a_page_follow_its_colours_and_keep_their_hues() -> None:
    svg = (
        '<?xml version="1.0"?><svg width="72pt" height="36pt" viewBox="0 0 72 36"><metadata>x</metadata>'
        '<g id="a"><path d="M 1.23456789 2" style="fill: #0072b2; stroke: #ffffff"/></g>'
        '<use xlink:href="#a" transform="scale(0.015625)" style="fill: #262626"/></svg>'
    )
    assert embedded(svg, "figure9", 'a "b"') == (
        '<svg viewBox="0 0 72 36" class="drawn" role="img" aria-label="a &quot;b&quot;" style="width: 120px">'
        '<g id="figure9-a"><path d="M 1.2346 2" style="fill: #0072b2; stroke: var(--page)"/></g>'
        '<use xlink:href="#figure9-a" transform="scale(0.015625)" style="fill: light-dark(#262626, #cdcdcd)"/></svg>'
    )


def test_the_concept_tells_how_many_of_all_fooled_images_and_of_those_shown_are_right() -> None:
    caption = " ".join(rendered("demo", "figure1")[1].split())
    assert "(17 of 2,000 are such;" in caption
    assert re.search(r"Of all 17 fooled images fₜ gets 11 right\. Of the 3 shown, fₜ gets [0-3] right\.", caption)


def test_markdown_shows_the_picture_below_its_caption() -> None:
    assert with_picture("**Figure S1.** Words.\n\n| a |\n", "theory") == (
        "**Figure S1.** Words.\n\n![Figure](theory.svg)\n\n| a |\n"
    )


def overlapping(boxes: list[Bbox]) -> int:
    return sum(one.overlaps(other) for index, one in enumerate(boxes) for other in boxes[:index])


@pytest.mark.parametrize("experiment", ["demo", "paper"])
def test_labels_of_defenses_do_not_overlap(experiment: str) -> None:
    figure, _ = rendered(experiment, "tradeoff")
    labels = {column.label for column in planned(experiment, "tradeoff").parameters.table.columns}
    for axes in figure.axes:
        assert {text.get_text() for text in axes.texts} == labels
        assert overlapping([box_of(text) for text in axes.texts]) == 0


@pytest.mark.parametrize("seed", range(5))
def test_labels_find_room_in_a_crowd(seed: int) -> None:
    """Fourteen points in three clusters, in half a page."""
    generator = np.random.default_rng(seed)
    points = generator.normal(generator.choice([0, 5, 9], (14, 1)), 0.5, (14, 2))
    figure = Figure(figsize=(3.4, 3), layout="none")
    axes = figure.add_subplot(xlim=(-3, 12), ylim=(-3, 12))
    place(axes, [tuple(point) for point in points], [f"Defense {index}" for index in range(14)], [])
    FigureCanvasAgg(figure).draw()
    boxes = [box_of(text) for text in axes.texts]
    markers = [Bbox.from_bounds(x - 4, y - 4, 8, 8) for x, y in axes.transData.transform(points)]
    assert overlapping(boxes) == 0
    assert not any(box.overlaps(marker) for box in boxes for marker in markers)
    assert all(axes.bbox.count_contains(box.corners()) == 4 for box in boxes)


class TestMatrices:
    def test_rows_are_surrogates_and_columns_victims(self) -> None:
        correct = [[[20, 40, 60], [80, 100, 120]], [[40, 60, 80], [100, 120, 140]]]
        assert matrix(cell("pgd", "none", 50.0, images=200, correct=correct)).tolist() == [[15, 45], [25, 55], [35, 65]]

    @pytest.mark.parametrize("experiment", ["demo", "paper"])
    def test_every_cell_of_the_table_is_there(self, experiment: str) -> None:
        figure, _ = rendered(experiment, "matrices")
        meshes = [mesh for mesh in figure.axes[0].collections if isinstance(mesh, QuadMesh)]
        expected = [matrix(each) for each in cells(experiment, "matrices")]
        assert [mesh.get_array().tolist() for mesh in meshes] == [entries.tolist() for entries in expected]
        assert {mesh.get_clim() for mesh in meshes} == {(0, 100)}

    def test_values_are_printed_where_they_are_legible(self) -> None:
        assert {text.get_text() for text in rendered("demo", "matrices")[0].axes[0].texts} >= {"60", "80"}
        assert not any(text.get_text().isdigit() for text in rendered("paper", "matrices")[0].axes[0].texts)

    @pytest.mark.parametrize("experiment", ["demo", "paper"])
    def test_the_rules_of_groups_stay_clear_of_labels(self, experiment: str) -> None:
        figure, _ = rendered(experiment, "matrices")
        figure.dpi = 200  # as saved
        FigureCanvasAgg(figure).draw()
        axes, *_ = figure.axes
        lowest = min(rule.get_window_extent().y0 for rule in axes.lines)
        assert max(label.get_window_extent().y1 for label in axes.get_xticklabels()) < lowest
        right = next(child for child in axes.child_axes if child.get_ylabel() == "surrogates")
        assert overlapping([label.get_window_extent() for label in right.get_yticklabels()]) == 0

    def test_the_figure_reads_the_cells_of_the_table_and_no_others(self) -> None:
        for experiment in ("smoke", "demo", "cifar10-core", "paper"):
            table = planned(experiment, "table2").inputs
            assert planned(experiment, "matrices").inputs == planned(experiment, "tradeoff").inputs == table

    @pytest.mark.parametrize("table", ["table1", "table4", "table8", "table10"])
    def test_any_accuracy_table_can_be_rendered(self, table: str, tmp_path: Path) -> None:
        shown = planned("paper", table)
        generator = np.random.default_rng(0)
        found = [accuracy_cell(shipped_plan()[path], generator) for path in shown.input_paths]
        figure, _ = draw(planned("paper", "matrices").parameters.model_copy(update={"table": shown.parameters}), found)
        save_figure(figure, tmp_path / "figure.pdf")
        assert figure.get_size_inches().max() <= 9


class TestTradeoff:
    def test_the_mean_over_attacks_pairs_seeds_and_images(self) -> None:
        first, second = mean_of(40.0, 60.0, images=1.0), mean_of(36.0, 24.0, images=-1.0)
        both = estimated_by_bars(mean_over([first, second]))
        assert both.mean == 40
        assert both.deviation == pytest.approx(np.std([38, 42], ddof=1))
        assert both.margin == pytest.approx(12.706 * 2, rel=1e-3)
        assert under_strongest_attack([first, second]) == second

    def test_one_seed_has_no_spread(self) -> None:
        alone = estimated_by_bars(mean_of(50.0, images=1.0))
        assert alone.seeds == (50, 50)
        assert alone.margin == pytest.approx(2.262, rel=1e-3)

    def test_bars_end_where_accuracies_do(self) -> None:
        assert estimated_by_bars(mean_of(1.0, 3.0, images=0.1)).interval[0] == 0
        assert estimated_by_bars(mean_of(97.0, 99.0, images=0.1)).interval[1] == 100

    def test_families_are_told_apart(self) -> None:
        layout = planned("paper", "tradeoff").parameters
        families = dict(zip((column.name for column in layout.table.columns), layout.families, strict=True))
        assert families["none"] == "Undefended"
        assert families["nrp"] == families["jpeg_q50"] == "Preprocessing"
        assert families["tdat"] == families["at"] == "Adversarial training"
        assert families["fixed_64"] == families["learn_4"] == "Trigger activation"
        handles = rendered("paper", "tradeoff")[0].legends[0].legend_handles
        assert len({(handle.get_color(), handle.get_marker()) for handle in handles}) == 4

    def test_a_table_without_a_clean_row_is_refused(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.chdir(tmp_path)
        project = Project.shipped(tmp_path)
        project.replace("figures/tradeoff.yaml", "table: table2", "table: table8")
        assert "config/tables/table8.yaml has no clean row" in project.complaint()


class TestTheory:
    def test_it_shows_the_fixed_triggers_of_the_table(self) -> None:
        measured = [shipped_plan()[path].settings["paradigm"] for path in planned("paper", "theory").input_paths]
        assert measured == [f"fixed_{eps}" for eps in (1, 2, 4, 8, 16, 32, 64)]

    def test_predictions_are_rendered(self) -> None:
        figure, _ = rendered("paper", "theory")
        signs, change, losses, _, attacked, _ = figure.axes
        for axes, prediction in ((signs, 1), (change, math.log(10)), (losses, math.log(10)), (losses, 0)):
            assert any(set(line.get_ydata()) == {prediction} for line in axes.lines)
        bound = [8 / eps_t * math.log(10) for eps_t in (1, 2, 4, 8, 16, 32, 64)]
        assert any(list(line.get_ydata()) == pytest.approx(bound) for line in attacked.lines)

    def test_the_chance_interval_covers_95_percent_of_random_signs(self) -> None:
        agreement = np.random.default_rng(0).integers(0, 2, (4000, 768)).mean(axis=1)
        inside = np.abs(agreement - 0.5) < chance_interval(768)
        assert inside.mean() == pytest.approx(0.95, abs=0.015)

    def test_the_table_below_the_caption_holds_every_network_and_trigger(self) -> None:
        _, caption = rendered("paper", "theory")
        rows = [line for line in caption.splitlines() if line.startswith("| ")][2:]
        assert len(rows) == 7 * 5
        network = cells("paper", "theory")[0].networks[0]
        train, test = network.train.sign_agreement, network.test.sign_agreement
        assert rows[0].startswith(f"| 1/255 | ResNet-18 | {train:.3f} / {test:.3f} |")

    def test_caveats_are_printed(self) -> None:
        _, caption = rendered("demo", "theory")
        for part in ("diagnostics", "Eq. 8 does not follow from Eq. 9", "depends on the image", "says nothing"):
            assert part in caption

    def test_a_table_without_fixed_triggers_is_refused(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.chdir(tmp_path)
        project = Project.shipped(tmp_path)
        project.replace("figures/theory.yaml", "table: table1", "table: table7")
        assert "table7 shows no network with a fixed trigger" in project.complaint()


class TestConcept:
    def test_answers_stand_below_the_inputs_that_networks_were_given(self) -> None:
        figure, _ = rendered("demo", "figure1")
        names = shipped_config().datasets["fashion16"].class_names
        said = [text.get_text() for axes in figure.axes for text in axes.texts]
        assert len(said) == 3 * (2 * 2 + 2)
        for mark, *words in (text.split() for text in said):
            assert mark in "✓✗"
            assert " ".join(words[:-2]) in names

    def test_a_right_answer_is_marked(self) -> None:
        figure, _ = rendered("demo", "figure1")
        (example, *_) = cells("demo", "figure1")[0].examples
        answer = example.probabilities["clean"]["undefended"]
        right = int(np.argmax(answer)) == example.label
        first = next(text.get_text() for axes in figure.axes for text in axes.texts)
        assert first.startswith("✓" if right else "✗")
        assert first.endswith(f"{100 * max(answer):.0f} %")

    def test_the_victim_is_attacked_by_way_of_another_network(self) -> None:
        for experiment in ("smoke", "demo", "paper"):
            (path,) = planned(experiment, "figure1").input_paths
            study = shipped_plan()[path]
            assert study.settings["surrogate"] != study.settings["network"]
            assert f"/{study.settings['surrogate']}__standard/" in study.inputs["adversarial"][0]
            assert f"/{study.settings['network']}__standard/" in study.inputs["undefended"][0]
