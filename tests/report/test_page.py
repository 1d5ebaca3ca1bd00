"""The results page: what it shows, and HTML that everyone can use."""

from __future__ import annotations

import csv
import itertools
import json
import math
import re
from collections import Counter
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from scipy import stats

from tests.support.means import mean_of
from tests.support.pages import TITLE, make
from tests.support.projects import ROOT
from trigger_activation.plan import Plan
from trigger_activation.plan.contents import Cell, CodeState, Content, KindTotal, RunTotals
from trigger_activation.report import page
from trigger_activation.report.page.build import flattened
from trigger_activation.report.page.details import sheets
from trigger_activation.report.wording import LEAD
from trigger_activation.science.sanity import SanityLimits
from trigger_activation.store.documents import read_document
from trigger_activation.store.records import read_content

LABELS = {"vgg-s": "VGG", "resnet18-xs": "ResNet"}
VOID = {"input", "meta", "link", "img", "col", "br"}


class Element:
    """An element, its attributes, and the text in it."""

    def __init__(self, name: str, attributes: dict[str, str], parent: Element | None) -> None:
        self.name, self.attributes, self.parent = name, attributes, parent
        self.text = ""

    def inside(self, name: str) -> bool:
        return self.parent is not None and (self.parent.name == name or self.parent.inside(name))

    def inside_of(self, element: Element) -> bool:
        return self.parent is not None and (self.parent is element or self.parent.inside_of(element))


class Document(HTMLParser):
    """All elements of a page in order; an element closed in the wrong place is an error."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.elements: list[Element] = []
        self._open: list[Element] = []
        self.feed(html)
        self.close()
        assert not self._open

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        element = Element(tag, {key: value or "" for key, value in attrs}, self._open[-1] if self._open else None)
        self.elements.append(element)
        if tag not in VOID:
            self._open.append(element)

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop().name == tag

    def handle_data(self, data: str) -> None:
        for element in self._open:
            element.text += data

    def all(self, *names: str) -> list[Element]:
        return [element for element in self.elements if element.name in names]

    def values(self, *attributes: str) -> list[str]:
        return [e.attributes[name] for e in self.elements for name in attributes if name in e.attributes]


@pytest.fixture(scope="module")
def path(results_page: tuple[Plan, Path]) -> Path:
    return results_page[1]


@pytest.fixture(scope="module")
def document(path: Path) -> Document:
    return Document(path.read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def data(document: Document) -> dict[str, Any]:
    (element,) = (e for e in document.all("script") if e.attributes.get("id") == "data")
    found: dict[str, Any] = json.loads(element.text)
    return found


class TestMarkup:
    def test_one_main_heading_and_none_skipped(self, document: Document) -> None:
        levels = [int(heading.name[1]) for heading in document.all("h1", "h2", "h3", "h4") if heading.text.strip()]
        assert levels[0] == 1
        assert levels.count(1) == 1
        assert all(after <= before + 1 for before, after in itertools.pairwise(levels))

    def test_language_title_and_viewport_are_given(self, document: Document) -> None:
        assert document.all("html")[0].attributes["lang"] == "en"
        assert "Trigger Activation (gallery)" in document.all("title")[0].text
        assert any(meta.attributes.get("name") == "viewport" for meta in document.all("meta"))

    def test_pictures_are_described(self, document: Document) -> None:
        descriptions = [e.attributes["aria-label"] for e in document.all("svg")][1:]
        assert re.fullmatch(r"Two line plots.* accuracy \d+ % at 0 % flipped, at most \d+ %.*", descriptions[0])
        assert descriptions[1].startswith("3 coloured noise patterns in a row, from left to right: Ours")

    def test_every_heading_cell_says_what_it_heads(self, document: Document) -> None:
        assert document.all("th")
        assert {th.attributes.get("scope") for th in document.all("th")} == {"col", "row", "colgroup"}

    def test_every_table_has_a_caption(self, document: Document) -> None:
        tables, captions = document.all("table"), document.all("caption")
        assert [caption.parent for caption in captions] == tables
        assert all(caption.text.strip() for caption in captions)

    def test_ids_are_unique_and_what_refers_to_them_finds_them(self, document: Document) -> None:
        ids = Counter(document.values("id"))
        assert [name for name, count in ids.items() if count > 1] == []
        links = [href[1:] for href in document.values("href") if href.startswith("#")]
        assert {*links, *document.values("aria-labelledby", "aria-describedby")} <= set(ids)

    def test_the_contents_name_every_table_and_figure(self, document: Document) -> None:
        links = [e.attributes["href"] for e in document.all("a") if e.inside("nav")]
        assert links == [
            *("#findings", "#leaders", "#protocol", "#table1", "#figure2", "#table2", "#table5", "#table8", "#figure3"),
            "#table11",
            "#differences",
            "#run",
        ]

    def test_rows_are_as_wide_as_their_table(self, document: Document) -> None:
        for table in document.all("table"):
            cells = [e for e in document.all("th", "td") if e.inside_of(table)]
            head = [e for e in cells if e.inside("thead")]
            rows = Counter(e.parent for e in cells if not e.inside("thead"))
            wide = sum(int(e.attributes.get("colspan", 1)) for e in head if e.parent is head[0].parent)
            below = sum(e.attributes.get("scope") == "col" for e in head)
            assert set(rows.values()) == {wide} == {below}

    def test_texts_from_config_are_escaped(self, document: Document) -> None:
        assert TITLE in document.all("header")[0].text
        assert not any("alert" in script.text for script in document.all("script"))


class TestSelfContained:
    def test_nothing_is_loaded(self, document: Document) -> None:
        assert all(source.startswith("data:") for source in document.values("src", "srcset", "poster", "action"))
        assert [link.attributes for link in document.all("link")] == [{"rel": "icon", "href": "data:,"}]
        style = document.all("style")[0].text
        assert not re.search(r"url\(|@import|@font-face", style)
        assert all(target.startswith(("#", "data:")) for target in document.values("xlink:href"))

    def test_the_policy_forbids_loading(self, document: Document) -> None:
        policies = [m.attributes["content"] for m in document.all("meta") if "http-equiv" in m.attributes]
        assert policies[0].startswith("default-src 'none'; img-src data:;")
        assert "http" not in policies[0]

    def test_links_lead_to_files_nearby(self, document: Document, path: Path) -> None:
        links = [href for href in document.values("href") if not href.startswith(("#", "data:", "https:"))]
        assert {"table1.tex", "table1.csv", "table1.md", "figure2.pdf"} <= set(links)
        assert all((path.parent / link).exists() for link in links)

    def test_the_script_is_short_and_the_page_small(self, path: Path) -> None:
        script = Path(page.__file__).parent / "templates/page.js"
        assert len(script.read_text().splitlines()) < 260
        assert path.stat().st_size < 3e6

    def test_it_is_the_same_bytes_again(self, results_page: tuple[Plan, Path], monkeypatch: pytest.MonkeyPatch) -> None:
        plan, path = results_page
        before = path.read_bytes()
        monkeypatch.chdir(path.parents[2])
        make(plan, plan.targets["gallery"]["page"])
        assert path.read_bytes() == before


class TestNumbers:
    def test_tables_hold_the_numbers_of_their_csv(self, document: Document, data: dict[str, Any], path: Path) -> None:
        """Value, cell and order: an accuracy table against the file that was rendered from it."""
        frame = pd.read_csv(path.parent / "table8.csv")
        shown = [e.attributes for e in document.all("td") if _table(e) == "table8" and not e.inside("tfoot")]
        assert [float(cell["data-value"]) for cell in shown] == frame["accuracy"].tolist()
        paths = [data["cells"][int(cell["data-cells"])]["path"] for cell in shown]
        assert [Path(p).parent.name for p in paths] == frame["attack"].tolist()
        assert [Path(p).stem for p in paths] == frame["column"].tolist()

    def test_marks_and_deviations_are_those_of_the_markdown(self, path: Path) -> None:
        html = path.read_text(encoding="utf-8")
        section = re.search(r'id="table2">(.*?)</table>', html, re.DOTALL)
        markdown = (path.parent / "table2.md").read_text(encoding="utf-8")
        assert section
        assert re.findall(r"<strong>(.*?)</strong>", section[1]) == re.findall(r"\*\*(\d.*?)\*\*", markdown)
        assert re.findall(r"<u>(.*?)</u>", section[1]) == re.findall(r"<u>(.*?)</u>", markdown)
        assert re.findall(r"± ([\d.]+)", section[1]) == re.findall(r"± ([\d.]+)", markdown.split("\n\n")[1])

    def test_only_summaries_stand_in_the_foot(self, document: Document) -> None:
        foot = [e.text for e in document.all("th") if e.inside("tfoot") and _table(e)]
        assert foot == ["Mean", "Mean"]

    def test_a_summary_is_computed_from_the_cells_above_it(self, document: Document) -> None:
        cells = [e for e in document.all("td") if _table(e) == "table8"]
        above = [e.attributes["data-cells"] for e in cells if not e.inside("tfoot")]
        means = [e.attributes["data-cells"].split() for e in cells if e.inside("tfoot")]
        assert means == [above[column :: len(means)] for column in range(len(means))]

    def test_recipes_are_those_of_the_records(self, data: dict[str, Any], path: Path) -> None:
        for cell in data["cells"][::7]:
            record = json.loads((path.parents[2] / cell["path"]).read_text())["provenance"]
            assert cell["recipe"] == record["recipe"]

    def test_every_parameter_behind_a_cell_is_told(self, data: dict[str, Any], results_page: tuple[Plan, Path]) -> None:
        plan = results_page[0]
        for cell in data["cells"][::11]:
            told = [dict(cell["own"]), *(dict(data["settings"][position][1]) for position in cell["behind"])]
            for artifact in plan.upstream([cell["path"]]):
                resolved = flattened({**artifact.settings, "versions": artifact.versions})
                lines = {key: value for key, value in resolved if key != "seed" and not key.startswith("network.")}
                assert any(lines.items() <= parameters.items() for parameters in told), artifact.path

    def test_networks_are_told_too(self, data: dict[str, Any]) -> None:
        titles = [data["settings"][position][0] for position in data["cells"][0]["behind"]]
        assert "Network vgg-s" in titles
        assert "Network resnet18-xs" in titles


def _table(element: Element) -> str | None:
    """The name of the experiment's table that an element is in."""
    parent = element.parent
    while parent is not None and parent.attributes.get("class") != "table":
        parent = parent.parent
    return parent.attributes["id"] if parent else None


MEAN = mean_of(25, 50, images=2.0)
CELL = Cell(
    surrogate_paradigm="standard",
    attack="pgd",
    column="none",
    victims=["vgg-s", "resnet18-xs"],
    surrogates=["vgg-s", "resnet18-xs"],
    seeds=[0, 1],
    images=200,
    correct=[[[20, 40], [60, 80]], [[40, 80], [120, 160]]],
    means={"all": MEAN, "off_diagonal": mean_of(25, 50, images=1.0)},
)


class Novelty(Content):
    """A study of a kind that the page knows nothing of."""

    robust_accuracy: float
    networks: dict[str, int]
    network: str


class TestDetails:
    def test_the_matrix_is_the_mean_over_seeds(self) -> None:
        _, matrix, first, second = sheets(CELL, LABELS, None)
        assert matrix.columns == ["VGG", "ResNet"]
        assert matrix.rows == [("VGG", [{"same": "15.00"}, "30.00"]), ("ResNet", ["45.00", {"same": "60.00"}])]
        assert first.rows[1] == ("ResNet", ["30.00", {"same": "40.00"}])
        assert second.rows[0] == ("VGG", [{"same": "20.00"}, "40.00"])

    def test_what_was_observed_stands_beside_its_limit(self) -> None:
        observed = CELL.model_copy(update={"evidence": {"white_box": [14.25, 3.0], "budget": [100.0]}})
        checks = sheets(observed, LABELS, SanityLimits(white_box=10.0, budget=100.0))[-1]
        assert checks.rows == [
            ("white box", ["14.25", "10", "failed"]),
            ("budget", ["100.00", "100", "passed"]),
        ]

    def test_both_means_stand_side_by_side_with_their_uncertainty(self) -> None:
        def both(deviation: float, images: float) -> float:
            """Student's interval by Satterthwaite: two seeds, ten blocks of images."""
            seeds = deviation**2 / 2
            freedom = (seeds + images**2) ** 2 / (seeds**2 + images**4 / 9)
            return float(stats.t.ppf(0.975, freedom)) * math.sqrt(seeds + images**2)

        means = sheets(CELL, LABELS, None)[0]
        assert means.columns == ["All pairs", "Off diagonal"]
        assert means.rows == [
            ("Mean", ["37.50", "37.50"]),
            ("95 % over images", ["± 4.52", "± 2.26"]),
            ("95 % over images and seeds", [f"± {both(17.6777, 2):.2f}", f"± {both(17.6777, 1):.2f}"]),
            ("Deviation over seeds", ["17.68", "17.68"]),
            ("Seed 0", ["25.00", "25.00"]),
            ("Seed 1", ["50.00", "50.00"]),
        ]

    def test_one_seed_has_one_matrix_and_no_deviation(self) -> None:
        means = {"all": mean_of(25, images=2.0)}
        cell = CELL.model_copy(update={"seeds": [0], "correct": CELL.correct[:1], "means": means})
        printed, matrix = sheets(cell, LABELS, None)
        assert [label for label, _ in printed.rows] == ["Mean", "95 % over images"]
        assert matrix.caption == "Seed 0"

    def test_clean_cells_have_one_column(self) -> None:
        clean = CELL.model_copy(update={"surrogates": [], "correct": [[[100], [150]], [[110], [170]]]})
        matrix = sheets(clean, LABELS, None)[1]
        assert (matrix.columns, matrix.rows) == (["Clean images"], [("VGG", ["52.50"]), ("ResNet", ["80.00"])])

    def test_a_measurement_of_an_unknown_kind_shows_its_values(self) -> None:
        (sheet,) = sheets(Novelty(robust_accuracy=1.5, networks={"a": 1}, network="vgg-s"), LABELS, None)
        assert sheet.rows == [("network", ["VGG"]), ("robust accuracy", ["1.5"])]

    def test_parameters_become_lines(self) -> None:
        nested = {"attack": {"eps": "8/255", "random_start": True}, "networks": ["a", "b"], "images": None}
        assert flattened(nested) == [
            ("attack.eps", "8/255"),
            ("attack.random_start", "yes"),
            ("networks", "a, b"),
            ("images", "–"),
        ]


@pytest.fixture
def built(results_page: tuple[Plan, Path], monkeypatch: pytest.MonkeyPatch) -> Any:
    """Build the page again, with other things beside the cells."""
    plan, path = results_page
    monkeypatch.chdir(path.parents[2])
    artifact = plan[plan.targets["gallery"]["page"]]
    cells = {path: found for path in artifact.inputs["cells"] if (found := read_document(path))}

    def build(**changes: Any) -> page.Page:
        return page.build(artifact.parameters, cells, **changes)

    return build


RUN = RunTotals(
    kinds=[
        KindTotal(kind="checkpoint", artifacts=4, seconds=3700.0, cpu_seconds=65.0, peak_memory_mib=1234.6),
        KindTotal(kind="novelty", artifacts=2, seconds=20.0, cpu_seconds=5.0, peak_memory_mib=99.0),
    ],
    devices=["Abacus", "Slide rule"],
    machines=2,
    commits=[CodeState(commit="0123456789abcdef", dirty=True)],
    packages={"torch": ["2.0"]},
)


class TestStory:
    def test_published_values_are_compared(self, path: Path) -> None:
        html = path.read_text(encoding="utf-8")
        with (ROOT / "config/published/published.csv").open(newline="") as file:
            printed = [
                row["value"]
                for row in csv.DictReader(file)
                if (row["table"], row["attack"], row["param"]) == ("I", "PGD", "eps_t=64/255")
            ]
        sentences = re.findall(r'id="table1/pgd/64-255"[^>]* data-published="([^"]*)"', html)
        assert [sentence.count(f": {printed[0]}.") for sentence in sentences] == [1]
        assert "magnitudes cannot" in sentences[0]

    def test_unlike_parameters_never_stand_side_by_side(self, document: Document) -> None:
        """The learnable trigger has a step of 32/255 here and of 4/255 in the paper's Table II."""
        shown = {e.attributes["id"]: e.attributes for e in document.all("td") if "id" in e.attributes}
        told = shown["table2/pgd/ours-l-32-255"]["data-published"]
        assert told == (
            "Not compared: in the paper this column's role is filled by learnable trigger α = 4/255, another parameter."
        )
        assert "59.61" not in told

    def test_captions_are_short_and_titles_name_the_data_set(self, document: Document) -> None:
        notes = [e for e in document.all("p") if e.attributes.get("class") == "notes" and not e.inside("details")]
        assert notes
        assert max(len(e.text.split()) for e in notes) <= LEAD
        titles = {e.text.strip() for e in document.all("h3") if "-title" in e.attributes.get("id", "")}
        assert "Table I Accuracy under transfer attacks for fixed triggers of growing magnitude, " in " ".join(titles)
        assert all("Fashion-MNIST" in title for title in titles if title.startswith(("Table I ", "Table II ")))

    def test_findings_lead_to_numbers_on_the_page(self, document: Document, path: Path) -> None:
        found = read_content(str(path.parent / "findings.json"))
        ids = set(document.values("id"))
        addresses = {verdict["address"] for verdict in found["verdicts"]} - {""}
        assert addresses
        assert addresses <= ids
        assert all(sentence in document.all("main")[0].text for sentence in found["headline"])

    def test_the_ranking_holds_clean_mean_and_worst_of_a_table(self, document: Document) -> None:
        numbers = [e for e in document.all("td") if "data-value" in e.attributes]
        values = {e.attributes.get("id"): float(e.attributes["data-value"]) for e in numbers}
        (ranking,) = (e for e in document.all("section") if e.attributes.get("id") == "leaders")
        rows = [row for row in document.all("tr") if row.inside("tbody") and row.inside_of(ranking)]
        assert len(rows) == 9
        attacks = ("pgd", "i-fgsm", "mi-fgsm", "di-fgsm")
        for row in rows:
            own = [e.attributes for e in numbers if e.parent is row and "class" not in e.attributes]
            shown = [float(attributes["data-value"]) for attributes in own]
            target = next(e.attributes["href"] for e in document.all("a") if e.inside_of(row))
            column = target.rpartition("/")[2]
            under = [values[f"table1/{attack}/{column}"] for attack in attacks]
            assert shown[:3] == [values[f"table1/clean/{column}"], pytest.approx(sum(under) / 4), min(under)]

    def test_another_data_set_is_a_miniature(self, path: Path) -> None:
        assert "magnitudes cannot" in path.read_text(encoding="utf-8")

    def test_without_a_run_it_says_how_to_record_one(self, built: Any) -> None:
        assert "<code>snakemake --config experiment=gallery complete=true</code>" in page.render(built())

    def test_a_run_is_summed_up(self, built: Any) -> None:
        document = Document(page.render(built(run=(RUN, True))))
        rows = [[e.text for e in document.all("th", "td") if e.parent is row] for row in document.all("tr")]
        assert ["Networks", "4", "1 h 1 min", "1 min 5 s", "1,235 MiB"] in rows
        assert ["novelty", "2", "20 s", "5 s", "99 MiB"] in rows
        assert ["All", "6", "1 h 2 min", "1 min 10 s", "1,235 MiB"] in rows
        text = " ".join(document.all("main")[0].text.split())
        assert "Abacus and Slide rule" in text
        assert "commit 0123456789ab with uncommitted changes" in text
        assert "has changed since this run" not in text

    def test_a_run_of_another_config_is_not_passed_off_as_this_one(self, built: Any) -> None:
        assert "The configuration has changed since this run" in page.render(built(run=(RUN, False)))

    def test_substitutes_and_what_is_left_out_are_named(self, document: Document) -> None:
        text = " ".join(document.all("main")[0].text.split())
        assert "Of Table XI, the data of slots B and C" in text
        assert "Of Table II, the columns JPEG 75, Gauss 0.6, Gauss 0.7, R&P 1.2, NRP, DiffPure, AT, RAT, TDAT" in text
        assert "the rows I-FGSM, MI-FGSM, DI-FGSM, RPA and L2T" in text
        assert "Table III, Accuracy of defenses under transfer attacks" in text
