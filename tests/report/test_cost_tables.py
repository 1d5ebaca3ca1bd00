"""Tables V and VI from cells written down by hand."""

from __future__ import annotations

from typing import Any

import pytest

from tests.report.test_tables import cell, facts
from tests.support.projects import shipped_config
from trigger_activation.errors import UserError
from trigger_activation.plan.config.loader import validate
from trigger_activation.plan.config.tables import Characteristic, CharacteristicsTable
from trigger_activation.plan.contents import BatchTiming, Cell, CostStudy, TrainingTime
from trigger_activation.plan.layouts import CharacteristicsLayout, CostLayout, ShownColumn, ShownProtocol, ShownRow
from trigger_activation.report.tables import render
from trigger_activation.report.tables.characteristics import verdict
from trigger_activation.report.tables.grid import significant

PROTOCOL = facts(networks={"vgg-s": "VGG (s)"})


def column(name: str, preprocessing: str | None = None) -> ShownColumn:
    return ShownColumn(name=name, label=name.upper(), preprocessing=preprocessing, victim=name, group="", seeds=1)


def cost(
    name: str, seconds: float, milliseconds: float, helper: int = 0, batches: int = 100, deviation: float = 0.0
) -> CostStudy:
    return CostStudy(
        column=name,
        network="vgg-s",
        device="Abacus",
        threads=1,
        timings=[
            BatchTiming(
                batch_size=32 * k, milliseconds=k * milliseconds, deviation=k * deviation, repeats=5, batches=batches
            )
            for k in (1, 4)
        ],
        training=TrainingTime(seconds=seconds, clock="cpu", device="Abacus"),
        helper_parameters=helper,
    )


def accuracy(mean: float) -> Cell:
    return cell("pgd", "none", mean)


def judged(label: str, measure: Any, limits: list[float], verdicts: list[str]) -> Characteristic:
    return Characteristic(label=label, measure=measure, limits=limits, verdicts=verdicts, published=["p", "q"])


class TestCosts:
    LAYOUT = CostLayout(
        kind="cost",
        number="V",
        title="Costs",
        slots=[ShownProtocol(protocol=PROTOCOL, columns=[column("none"), column("slow", "slow")])],
    )

    @pytest.fixture(scope="class")
    @staticmethod
    def rendered() -> dict[str, str]:
        return render(
            TestCosts.LAYOUT, [cost("none", 36, 1.2345, deviation=0.026), cost("slow", 7200, 34567.8, batches=3)]
        )

    def test_a_missing_cost_is_printed_as_missing(self) -> None:
        table = render(self.LAYOUT, [None, cost("slow", 7200, 5)])[".md"]
        assert "| NONE | missing | missing | missing |" in table
        assert "| SLOW | 2.0 | 5.00 | 20.0 |" in table

    def test_hours_have_two_digits_and_milliseconds_what_their_spread_leaves_certain(
        self, rendered: dict[str, str]
    ) -> None:
        assert "| NONE | 0.010 | 1.23 ± 0.03 | 4.9 ± 0.1 |" in rendered[".md"]
        assert "| SLOW | 2.0 | 34568 | 138271 |" in rendered[".md"]

    def test_the_caption_tells_how_far_jobs_of_one_network_differ(self) -> None:
        columns = [column("none"), column("at"), column("slow", "slow")]
        layout = self.LAYOUT.model_copy(update={"slots": [ShownProtocol(protocol=PROTOCOL, columns=columns)]})
        times = {"none": 8.0, "at": 10.0, "slow": 80.0}
        table = render(layout, [cost(name, 36, milliseconds) for name, milliseconds in times.items()])[".md"]
        assert (
            "The 2 defenses without preprocessing run one network, and between jobs take up to 1.25 times as long."
            in table
        )

    def test_short_trainings_are_told_in_seconds(self) -> None:
        table = render(self.LAYOUT, [cost("none", 9.4, 1.5), cost("slow", 359, 5)])[".md"]
        assert "training (s)" in table
        assert "| NONE | 9.4 |" in table
        assert "training (h)" in render(self.LAYOUT, [cost("none", 9.4, 1.5), cost("slow", 360, 5)])[".md"]

    def test_the_caption_tells_device_and_how_many_batches(self, rendered: dict[str, str]) -> None:
        caption = (
            "VGG (s) on Abacus, 1 thread, means of 3 to 100 batches and ± the standard deviation over 5 repeats in"
        )
        assert caption in rendered[".md"]

    def test_the_csv_is_unrounded(self, rendered: dict[str, str]) -> None:
        assert "mini,slow,vgg-s,7200.0,32,3,34567.8,5,0.0,Abacus" in rendered[".csv"]


@pytest.mark.parametrize(
    ("value", "text"), [(0.00123456, "0.00123"), (1.5, "1.50"), (99.96, "100.0"), (12345.6, "12346"), (0, "0.00")]
)
def test_significant_digits(value: float, text: str) -> None:
    assert significant(value).text == text


class TestCharacteristics:
    def test_verdicts_follow_from_measured_cells(self) -> None:
        columns = [column("filter", "filter"), column("learn_4")]
        layout = CharacteristicsLayout(
            kind="characteristics",
            number="VI",
            title="Characteristics",
            columns=columns,
            characteristics=[
                judged("Pre", "preprocessing", [], ["no", "yes"]),
                judged("Helper", "helper", [], ["no", "yes"]),
                judged("Speed", "test_time", [50], ["High", "Low"]),
                judged("Training", "training_time", [3], ["High", "Low"]),
                judged("Drop", "clean_drop", [8, 15], ["Low", "Medium", "High"]),
                judged("TAEs", "accuracy_on_taes", [0.5, 0.8], ["L", "M", "H"]),
            ],
            rows=[ShownRow(attack="pgd", label="PGD"), ShownRow(attack="mifgsm", label="MI")],
            protocol=PROTOCOL,
        )
        costs = [cost("none", 10, 1), cost("filter", 10, 51, helper=7), cost("learn_4", 31, 1)]
        clean = [accuracy(80), accuracy(64), accuracy(72)]
        attacked = [accuracy(30), accuracy(70), accuracy(49), accuracy(60)]  # PGD: filter, learn_4; then MI
        table = render(layout, [*costs, *clean, *attacked])[".md"]
        expected = {
            "Pre": ("yes", "no"),
            "Helper": ("yes", "no"),
            "Speed": ("Low", "High"),
            "Training": ("High", "Low"),
            "Drop": ("High", "Low"),  # 16 and 8 points
            "TAEs": ("L", "H"),  # 39.5 / 80 and 65 / 80
        }
        for label, (left, right) in expected.items():
            assert f"| {label} | {left} (p) | {right} (q) |" in table
        incomplete = render(layout, [*costs, *clean, *attacked[:2], None, attacked[3]])[".md"]
        for label, (_, right) in expected.items():
            assert f"| {label} | missing (p) | {right} (q) |" in incomplete

    def test_limits_give_the_papers_verdicts_on_its_own_numbers(self) -> None:
        """CIFAR-10 in Tables II and V; JPEG and NRP under attack are the exceptions that config names."""
        undefended = {"clean": 94.25, "hours": 0.5, "ms": 1.745}
        published = {  # clean, mean under attack, hours, ms
            "JPEG": (76.12, 61.55, 0.5, 47.82),
            "NRP": (92.05, 26.80, 0.5, 121.3),
            "DiffPure": (89.12, 86.08, 0.5, 25918),
            "AT": (83.31, 82.26, 3.6, 1.813),
            "Ours (l)": (91.93, 83.91, 0.86, 1.791),
        }
        table = shipped_config().tables["table6"]
        assert isinstance(table, CharacteristicsTable)
        differing = set()
        for characteristic in table.characteristics:
            if not characteristic.limits:
                continue
            for (name, (clean, attacked, hours, ms)), printed in zip(
                published.items(), characteristic.published, strict=True
            ):
                numbers = {
                    "clean_drop": undefended["clean"] - clean,
                    "accuracy_on_taes": attacked / undefended["clean"],
                    "training_time": hours / undefended["hours"],
                    "test_time": ms / undefended["ms"],
                }
                if verdict(characteristic, numbers) != printed:
                    differing.add((name, characteristic.measure))
        assert differing == {("JPEG", "accuracy_on_taes"), ("NRP", "accuracy_on_taes")}

    @pytest.mark.parametrize(
        ("change", "message"),
        [
            ({"limits": [2, 1]}, "3 verdicts do not fit 2 limits"),
            ({"limits": [1]}, "3 verdicts do not fit 1 limits"),
            ({"published": ["High"]}, "Drop has 1 published verdicts for 2 columns"),
        ],
    )
    def test_verdicts_that_do_not_fit_are_refused(self, change: dict[str, Any], message: str) -> None:
        drop = {
            "label": "Drop",
            "measure": "clean_drop",
            "limits": [8, 15],
            "verdicts": ["Low", "Medium", "High"],
            "published": ["Low", "High"],
        }
        content = {
            "kind": "characteristics",
            "number": "VI",
            "title": "T",
            "slots": ["A"],
            "rows": ["pgd"],
            "columns": [{"preprocessing": "jpeg_low"}, {"victim": "at"}],
            "characteristics": [{**drop, **change}],
        }
        with pytest.raises(UserError, match=message):
            validate(CharacteristicsTable, content, "table6.yaml")
