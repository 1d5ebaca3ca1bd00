"""Labels beside points, so that none covers another one or a point."""

from __future__ import annotations

import math
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import product

from matplotlib.axes import Axes
from matplotlib.path import Path
from matplotlib.transforms import Bbox

from trigger_activation.report.figures._captions import SMALL, text_width

ANGLES = (0, 180, 90, 270, 45, 135, 315, 225, 22.5, 157.5, 337.5, 202.5, 67.5, 112.5, 292.5, 247.5)
"""Directions in degrees in which a label may lie, the best first."""
DISTANCES = (5, 8, 12, 17, 23, 30, 38, 47, 57, 68, 80)
"""Points between a point and the nearest end of its label."""
JOINED = 12
"""From this distance on a line joins the label to its point."""
MARKER = 7
"""Points across that a marker takes."""
FORBIDDEN, CROSSING, UNWANTED = 1000, 300, 20
"""How far a label goes to cover no marker and no label and to stay inside; how far so that no leader crosses these; and
how far to cover no bar.
"""
ORDERS = 8
"""In which labels are placed at most until no leader crosses anything."""

Point = tuple[float, float]


@dataclass(frozen=True)
class Spot:
    """A place for a label, in points from the lower left of the figure."""

    point: Point
    distance: float
    box: Bbox

    @property
    def middle(self) -> Point:
        """Of the label."""
        return (self.box.x0 + self.box.x1) / 2, (self.box.y0 + self.box.y1) / 2

    @property
    def leader(self) -> list[Path]:
        """The line that joins the label to its point, if there is one."""
        return [Path([self.point, self.middle])] if self.distance >= JOINED else []


@dataclass(frozen=True)
class Surroundings:
    """What is there already when a label is placed, in points from the lower left of the figure."""

    inside: Bbox
    markers: Sequence[Bbox]
    bars: Sequence[Path]
    own: int = 0
    """Which marker is that of the label's point, where its leader begins."""
    placed: Sequence[Spot] = ()

    def cost(self, spot: Spot) -> float:
        """Its distance, and more for whatever the label covers and its leader crosses."""
        labels = [other.box for other in self.placed]
        others = [*self.markers[: self.own], *self.markers[self.own + 1 :], *labels]
        covered = sum(spot.box.overlaps(box) for box in (*self.markers, *labels))
        covered += self.inside.count_contains(spot.box.corners()) < 4
        if covered:
            return FORBIDDEN * covered + spot.distance
        crossed = sum(leader.intersects_bbox(spot.box) for other in self.placed for leader in other.leader)
        crossed += sum(leader.intersects_bbox(box) for leader in spot.leader for box in others)
        over = sum(bar.intersects_bbox(spot.box) for bar in self.bars)
        return spot.distance + CROSSING * crossed + UNWANTED * over


def place(axes: Axes, points: Sequence[Point], texts: Sequence[str], bars: Sequence[tuple[Point, Point]]) -> None:
    """Label points, the most crowded first, each where it costs least.

    Args:
        axes: with final limits, in a figure whose layout is final.
        points: in data coordinates.
        texts: one per point, of one line.
        bars: ends of lines in data coordinates that labels should rather not cover.
    """
    scale = 72 / axes.figure.dpi
    inside = Bbox(scale * axes.get_window_extent().get_points())
    centres: list[Point] = [tuple(scale * axes.transData.transform(point)) for point in points]
    markers = [_box(centre, MARKER, MARKER) for centre in centres]
    lines = [Path(scale * axes.transData.transform(ends)) for ends in bars]
    start = Surroundings(inside, markers, lines)
    crowded_first = sorted(range(len(points)), key=lambda index: _loneliness(centres, index))
    best: dict[int, Spot] = {}
    lowest = math.inf
    for order in _orders(crowded_first):
        chosen, cost = _placed(order, centres, texts, start)
        if cost < lowest:
            best, lowest = chosen, cost
        if lowest < CROSSING:
            break
    for index, spot in best.items():
        _write(axes, points[index], texts[index], spot)


def _orders(first: list[int]) -> Iterator[list[int]]:
    """The one given, then others, the same in each run."""
    yield first
    generator = random.Random(0)
    for _ in range(ORDERS - 1):
        yield generator.sample(first, len(first))


def _placed(
    order: Sequence[int], centres: Sequence[Point], texts: Sequence[str], start: Surroundings
) -> tuple[dict[int, Spot], float]:
    """A spot for each label, one after the other where it costs least; and the highest cost of one."""
    chosen: dict[int, Spot] = {}
    highest = 0.0
    for index in order:
        around = replace(start, own=index, placed=list(chosen.values()))
        spot, cost = _cheapest(_spots(centres[index], text_width(texts[index]) + 3, 1.3 * SMALL), around)
        chosen[index] = spot
        highest = max(highest, cost)
    return chosen, highest


def _box(middle: Point, width: float, height: float) -> Bbox:
    return Bbox.from_bounds(middle[0] - width / 2, middle[1] - height / 2, width, height)


def _loneliness(centres: Sequence[Point], index: int) -> float:
    """Distance to the third nearest point, or to the farthest if there are fewer."""
    return sorted(math.dist(centres[index], other) for other in centres)[:4][-1]


def _spots(point: Point, width: float, height: float) -> Iterator[Spot]:
    """The nearest first."""
    for distance, angle in product(DISTANCES, map(math.radians, ANGLES)):
        across, up = math.cos(angle) * (distance + width / 2), math.sin(angle) * (distance + height / 2)
        yield Spot(point, distance, _box((point[0] + across, point[1] + up), width, height))


def _cheapest(spots: Iterator[Spot], around: Surroundings) -> tuple[Spot, float]:
    best, lowest = None, math.inf
    for spot in spots:
        if spot.distance >= lowest:
            break
        cost = around.cost(spot)
        if cost < lowest:
            best, lowest = spot, cost
    assert best is not None
    return best, lowest


def _write(axes: Axes, point: Point, text: str, spot: Spot) -> None:
    offset = spot.middle[0] - spot.point[0], spot.middle[1] - spot.point[1]
    line = {"arrowstyle": "-", "linewidth": 0.5, "color": "0.5", "shrinkA": 0, "shrinkB": 2}
    label = axes.annotate(
        text,
        point,
        offset,
        textcoords="offset points",
        size=SMALL,
        ha="center",
        va="center_baseline",
        arrowprops=line if spot.leader else None,
    )
    label.set_in_layout(False)
