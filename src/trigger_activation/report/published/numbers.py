"""The numbers that the paper prints, as typed into ``config/published/published.csv``."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation

from trigger_activation.errors import UserError

CLEAN, MEAN = "Clean", "Mean"
FIELDS = ("table", "dataset", "attack", "defense", "param", "metric", "value", "mark")


@dataclass(frozen=True)
class PrintedColumn:
    """A defense and its parameter as the paper prints them, such as ``ours_fixed`` and ``eps_t=64/255``."""

    defense: str
    param: str = ""

    def __str__(self) -> str:
        """Both, as audits and comparisons print them."""
        return f"{self.defense} {self.param}".strip()


@dataclass(frozen=True)
class Number:
    """One printed cell."""

    table: str
    dataset: str
    row: str
    """An attack, ``Clean``, ``Mean``, or in Tables V and XI the metric and the data set."""
    column: PrintedColumn
    network: str
    """Of Table XI; elsewhere empty, for a mean over networks."""
    value: Decimal | None
    """In the unit of the table; None where the print is illegible."""
    mark: str
    """``best``, ``second`` or ``none``."""


class Published:
    """All numbers, by table, row and column."""

    def __init__(self, numbers: Iterable[Number]) -> None:
        self.numbers = list(numbers)
        self._by_place: dict[tuple[str, str, PrintedColumn], list[Number]] = {}
        for number in self.numbers:
            self._by_place.setdefault((number.table, number.row, number.column), []).append(number)

    @property
    def tables(self) -> list[str]:
        """Roman numbers in the paper's order."""
        return list(dict.fromkeys(number.table for number in self.numbers))

    def of(self, table: str) -> list[Number]:
        """The cells of one table, row by row."""
        return [number for number in self.numbers if number.table == table]

    def rows(self, table: str) -> list[str]:
        """All rows of a table."""
        return list(dict.fromkeys(number.row for number in self.of(table)))

    def attacks(self, table: str) -> list[str]:
        """The rows of a table that are neither ``Clean`` nor ``Mean``."""
        return [row for row in self.rows(table) if row not in (CLEAN, MEAN)]

    def columns(self, table: str, defense: str | None = None) -> list[PrintedColumn]:
        """The columns of a table, or those of one defense."""
        columns = dict.fromkeys(number.column for number in self.of(table))
        return [column for column in columns if defense in (None, column.defense)]

    def dataset(self, table: str) -> str:
        """What the paper calls the data set of an accuracy table."""
        return self.of(table)[0].dataset

    def value(self, table: str, row: str, column: PrintedColumn) -> Decimal | None:
        """A cell, in Table XI the mean over networks; None if it is illegible or not there."""
        values = [number.value for number in self._by_place.get((table, row, column), [])]
        legible = [value for value in values if value is not None]
        return sum(legible, Decimal()) / len(legible) if legible and len(legible) == len(values) else None


def slug(label: str) -> str:
    """The name that config gives an attack: ``diffpgd`` for ``Diff-PGD``."""
    return "".join(character for character in label.lower() if character.isalnum())


def parse(text: str) -> Published:
    """Read the CSV file.

    Raises:
        UserError: it has other columns, a line too short or too long, no number for a value, or a cell twice.
    """
    reader = csv.DictReader(io.StringIO(text))
    try:
        return Published(_numbers(reader))
    except csv.Error as error:
        raise UserError(f"published.csv is no CSV file after line {reader.line_num} ({error}): restore it") from None


def _numbers(reader: csv.DictReader[str]) -> Iterator[Number]:
    if tuple(reader.fieldnames or ()) != FIELDS:
        raise UserError(f"published.csv does not have the columns {', '.join(FIELDS)}: restore its first line")
    seen: set[tuple[str, ...]] = set()
    for record in reader:
        if None in record or None in record.values():
            raise UserError(f"published.csv, line {reader.line_num}, does not have {len(FIELDS)} fields: complete it")
        place = tuple(record[field] for field in FIELDS[:6])
        if place in seen:
            raise UserError(f"published.csv, line {reader.line_num}, repeats a cell of Table {place[0]}: keep one")
        seen.add(place)
        yield _number(record, reader.line_num)


def _number(record: dict[str, str], line: int) -> Number:
    try:
        value = Decimal(record["value"]) if record["value"] else None
        if value is not None and not value.is_finite():
            raise InvalidOperation
    except InvalidOperation:
        raise UserError(
            f"published.csv, line {line}, has the value {record['value']!r}: write a number, or nothing if the print "
            "is illegible"
        ) from None
    clean = record["metric"] == "clean_acc"
    param, _, network = record["param"].partition(";model=")
    row = record["attack"] or (CLEAN if clean else f"{record['metric']}, {record['dataset']}")
    return Number(
        record["table"], record["dataset"], row, PrintedColumn(record["defense"], param), network, value, record["mark"]
    )
