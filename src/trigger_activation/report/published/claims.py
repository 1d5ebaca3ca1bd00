"""What the paper's text says about its tables, as inequalities between printed cells.

Each claim is one sentence and a function that lists the inequalities it comes to. Claims speak of published rows and
columns only, so the same ones can be put to the published numbers and to a run that has counterparts of these columns.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations, pairwise, product

from trigger_activation.report.published.numbers import CLEAN, PrintedColumn, Published

SLIGHT = 5.0
"""Points of accuracy. The paper gives no number for `slight`, `comparable` and the like; this one is ours."""

ADAPTIVE_OF = {"VIII": "II", "IX": "III", "X": "IV"}
"""Tables with adaptive attackers -> those of the same data set with undefended surrogates."""

Defenses = Sequence[str]

NONE, AT, DIFFPURE = ("none",), ("at_pgd",), ("diffpure",)
FIXED, LEARNABLE = ("ours_fixed",), ("ours_learnable",)
TRIGGERS = FIXED + LEARNABLE
ADVERSARIAL = (*AT, "rat_trades", "tdat")
FILTERS = ("jpeg", "bdr", "gaussian", "rp")
THRESHOLD = PrintedColumn("ours_fixed", "eps_t=16/255")
"""The bound of the fixed trigger beyond which Table I shows little gain."""


@dataclass(frozen=True)
class Term:
    """The mean of some rows of one column."""

    table: str
    rows: tuple[str, ...]
    column: PrintedColumn


@dataclass(frozen=True)
class Inequality:
    """``left`` minus ``right`` lies between two bounds, in the unit of the table."""

    left: Term
    right: Term
    above: float = 0.0
    below: float = math.inf


class View:
    """One published table, and the inequalities that claims state about it."""

    def __init__(self, published: Published, table: str) -> None:
        self.published = published
        self.table = table
        self.attacks = published.attacks(table)

    def columns(self, defenses: Defenses) -> list[PrintedColumn]:
        """The columns of some defenses."""
        return [column for defense in defenses for column in self.published.columns(self.table, defense)]

    def differences(
        self,
        rows: Iterable[Sequence[str]],
        pairs: Iterable[tuple[PrintedColumn, PrintedColumn]],
        above: float = 0.0,
        below: float = math.inf,
    ) -> list[Inequality]:
        """The first column of each pair minus the second, for each group of rows whose mean is taken."""
        return [
            Inequality(Term(self.table, tuple(group), left), Term(self.table, tuple(group), right), above, below)
            for group, (left, right) in product(list(rows), list(pairs))
        ]

    def pairs(self, ahead: Defenses, behind: Defenses) -> Iterator[tuple[PrintedColumn, PrintedColumn]]:
        """Every column of some defenses with every column of others."""
        return product(self.columns(ahead), self.columns(behind))

    def under(self, attacks: Iterable[str], ahead: Defenses, behind: Defenses) -> list[Inequality]:
        """Some defenses are ahead of others under each of these attacks."""
        return self.differences([[attack] for attack in attacks], self.pairs(ahead, behind))

    def in_each_row(self, ahead: Defenses, behind: Defenses) -> list[Inequality]:
        """Some defenses are ahead of others under every attack."""
        return self.under(self.attacks, ahead, behind)

    def in_the_mean(self, ahead: Defenses, behind: Defenses) -> list[Inequality]:
        """Some defenses are ahead of others in the mean over attacks."""
        return self.differences([self.attacks], self.pairs(ahead, behind))

    def on_clean_images(self, ahead: Defenses, behind: Defenses) -> list[Inequality]:
        """Some defenses are ahead of others without an attack."""
        return self.under([CLEAN], ahead, behind)


@dataclass(frozen=True)
class Claim:
    """A statement of the paper."""

    sentence: str
    section: str
    tables: tuple[str, ...]
    inequalities: Callable[[View], list[Inequality]]


def _growing(view: View) -> list[Inequality]:
    """Each bound against the one below it, up to the threshold."""
    columns = view.columns(FIXED)
    below_threshold = columns[: columns.index(THRESHOLD) + 1]
    rows = [[attack] for attack in view.attacks]
    return view.differences(rows, [(larger, smaller) for smaller, larger in pairwise(below_threshold)])


def _saturating(view: View) -> list[Inequality]:
    """The largest bound against the threshold: little gain under attack, a loss without."""
    largest = view.columns(FIXED)[-1]
    rows = [[attack] for attack in view.attacks]
    gains = view.differences(rows, [(largest, THRESHOLD)], above=-math.inf, below=SLIGHT)
    return [*gains, *view.differences([[CLEAN]], [(THRESHOLD, largest)])]


def _cost_of_bound(view: View) -> list[Inequality]:
    smallest, *_, largest = view.columns(FIXED)
    return view.differences([[CLEAN]], [(smallest, largest)], below=SLIGHT)


def _insensitive(view: View) -> list[Inequality]:
    rows = [[attack] for attack in view.attacks]
    return view.differences(rows, combinations(view.columns(LEARNABLE), 2), above=-SLIGHT, below=SLIGHT)


def _improved_attack(view: View) -> list[Inequality]:
    """A defense under undefended surrogates against the same one under surrogates of its own kind."""
    other = ADAPTIVE_OF[view.table]
    return [
        Inequality(Term(other, (attack,), column), Term(view.table, (attack,), column))
        for attack in view.attacks
        for column in view.columns((*AT, *LEARNABLE))
    ]


CLAIMS = [
    Claim(
        "Fixed triggers of any bound are more robust than no defense, under every attack",
        "III-B",
        ("I",),
        lambda view: view.in_each_row(FIXED, NONE),
    ),
    Claim("AT is more robust than any fixed trigger", "III-B", ("I",), lambda view: view.in_each_row(AT, FIXED)),
    Claim("Robustness grows with the bound of the fixed trigger, up to 16/255", "III-B", ("I",), _growing),
    Claim(
        f"Beyond 16/255 a larger bound adds little (up to {SLIGHT:g} points) and costs clean accuracy",
        "III-C",
        ("I",),
        _saturating,
    ),
    Claim(
        f"From the smallest to the largest bound, clean accuracy drops slightly (up to {SLIGHT:g} points)",
        "III-B",
        ("I",),
        _cost_of_bound,
    ),
    Claim(
        "Learnable triggers are more robust than fixed ones, under every attack",
        "III-C",
        ("II", "III", "IV"),
        lambda view: view.in_each_row(LEARNABLE, FIXED),
    ),
    Claim(
        "Learnable triggers cost less clean accuracy than fixed ones",
        "III-C",
        ("II", "III", "IV"),
        lambda view: view.on_clean_images(LEARNABLE, FIXED),
    ),
    Claim(
        "Learnable triggers are behind AT under DI-FGSM",
        "IV-B",
        ("II",),
        lambda view: view.under(["DI-FGSM"], AT, LEARNABLE),
    ),
    Claim(
        "Learnable triggers are more robust than AT, RAT and TDAT, in the mean over attacks",
        "IV-B",
        ("II", "III", "IV"),
        lambda view: view.in_the_mean(LEARNABLE, ADVERSARIAL),
    ),
    Claim(
        "Learnable triggers are more robust than AT, RAT and TDAT, under every attack",
        "IV-B, read strictly",
        ("II", "III", "IV"),
        lambda view: view.in_each_row(LEARNABLE, ADVERSARIAL),
    ),
    Claim(
        "Learnable triggers cost less clean accuracy than AT, RAT and TDAT",
        "IV-B",
        ("II", "III", "IV"),
        lambda view: view.on_clean_images(LEARNABLE, ADVERSARIAL),
    ),
    Claim(
        "Learnable triggers are more robust than JPEG, BDR, Gaussian filter and R&P, under every attack",
        "IV-B",
        ("II",),
        lambda view: view.in_each_row(LEARNABLE, FILTERS),
    ),
    Claim(
        "Learnable triggers cost less clean accuracy than JPEG, BDR, Gaussian filter and R&P",
        "II-B, IV-B",
        ("II",),
        lambda view: view.on_clean_images(LEARNABLE, FILTERS),
    ),
    Claim(
        f"DiffPure is slightly more robust than learnable triggers (up to {SLIGHT:g} points in the mean)",
        "IV-B",
        ("II",),
        lambda view: view.differences([view.attacks], view.pairs(DIFFPURE, LEARNABLE), below=SLIGHT),
    ),
    Claim(
        "DiffPure with a diffusion model of other data is less robust than learnable triggers, under every attack",
        "IV-B",
        ("III",),
        lambda view: view.in_each_row(LEARNABLE, DIFFPURE),
    ),
    Claim(
        "DiffPure is more robust than learnable triggers under attacks on the cross entropy",
        "IV-B",
        ("IV",),
        lambda view: view.under(["PGD", "I-FGSM", "MI-FGSM", "DI-FGSM", "GRA", "BSR"], DIFFPURE, LEARNABLE),
    ),
    Claim(
        "DiffPure is less robust than learnable triggers under NAA and RPA",
        "IV-B",
        ("IV",),
        lambda view: view.under(["NAA", "RPA"], LEARNABLE, DIFFPURE),
    ),
    Claim(
        "Learnable triggers cost less clean accuracy than DiffPure",
        "IV-B",
        ("II", "III", "IV"),
        lambda view: view.on_clean_images(LEARNABLE, DIFFPURE),
    ),
    Claim(
        "AT and RAT take longer to train than models with a trigger",
        "IV-B",
        ("V",),
        lambda view: view.under(
            [row for row in view.attacks if row.startswith("train_hours")], (*AT, "rat_trades"), ("ours",)
        ),
    ),
    Claim(
        f"The step of the learnable trigger hardly matters (any two within {SLIGHT:g} points)",
        "V-A",
        ("VII",),
        _insensitive,
    ),
    Claim(
        "Attackers who know the training paradigm do better (against AT, learnable triggers)",
        "V-B",
        ("VIII", "IX", "X"),
        _improved_attack,
    ),
    Claim(
        f"Against them, models with a trigger are comparable to AT (within {SLIGHT:g} points in the mean)",
        "V-B",
        ("VIII", "IX"),
        lambda view: view.differences([view.attacks], view.pairs(TRIGGERS, AT), above=-SLIGHT, below=SLIGHT),
    ),
    Claim(
        "Against them, models with a trigger are more robust than AT on ImageNet, in the mean",
        "V-B",
        ("X",),
        lambda view: view.in_the_mean(TRIGGERS, AT),
    ),
    Claim(
        "Learnable triggers are smaller than fixed ones (mean square)",
        "V-C",
        ("XI",),
        lambda view: view.in_each_row(FIXED, LEARNABLE),
    ),
]
"""The statements that the tables can decide, in the paper's order; the wording is ours."""
