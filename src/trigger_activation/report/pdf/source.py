"""LaTeX of the document and of figures in it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from trigger_activation.plan.config.paper import Paper
from trigger_activation.plan.contents import Findings, RunTotals, Verdict
from trigger_activation.plan.layouts import Facts
from trigger_activation.report.published.findings import by_outcome
from trigger_activation.report.references import Reference, cited
from trigger_activation.report.tables.grid import latex_environment, unescape_markdown
from trigger_activation.report.wording import folded, listed, sentences


@dataclass(frozen=True)
class Shown:
    """A table or figure of the document."""

    name: str
    """Of its LaTeX file, without suffix."""
    word: str
    """``Table`` or ``Figure``."""
    number: str
    title: str
    lead: str
    """What stands beside it."""
    notes: str
    """The rest of its caption."""


@dataclass(frozen=True)
class Report:
    """Everything in the document."""

    experiment: str
    title: str
    folder: str
    """Where tables and figures lie, seen from where LaTeX runs."""
    shown: Sequence[Shown]
    """In the paper's order."""
    paper: Paper | None = None
    findings: Findings | None = None
    protocols: Sequence[Facts] = ()
    references: Sequence[Reference] = ()
    run: RunTotals | None = None

    @property
    def verdicts(self) -> list[tuple[str, list[Verdict]]]:
        """Outcomes in this run, and the statements that come to them."""
        return by_outcome(self.findings.verdicts if self.findings else [])

    @property
    def notes(self) -> list[tuple[str, str]]:
        """What captions leave out, each sentence once: of which tables and figures, and what."""
        of_sentence: dict[str, list[str]] = {}
        for shown in self.shown:
            for sentence in sentences(shown.notes):
                of_sentence.setdefault(sentence, []).append(f"{shown.word} {shown.number}")
        groups: dict[str, list[str]] = {}
        for sentence, owners in of_sentence.items():
            groups.setdefault(_called(owners), []).append(sentence)
        return [(owners, " ".join(told)) for owners, told in groups.items()]


def _called(owners: Sequence[str]) -> str:
    """``Tables I and II, Figure 3``."""
    words = dict.fromkeys(owner.split()[0] for owner in owners)
    numbers = {word: [owner.split()[1] for owner in owners if owner.startswith(word)] for word in words}
    return ", ".join(f"{word}{'s' * (len(each) > 1)} {listed(each)}" for word, each in numbers.items())


def shown(name: str, number: str, markdown: str) -> Shown:
    """An entry of the document.

    Args:
        name: of its files without suffix.
        number: of the table or figure.
        markdown: its Markdown file, whose first line is the caption.
    """
    line = unescape_markdown(markdown.partition("\n")[0])
    word = "Table" if line.startswith("**Table") else "Figure"
    title, *rest = sentences(line.removeprefix(f"**{word} {number}.** "))
    lead, notes = folded(rest) if rest else ("", "")
    return Shown(name, word, number, title.removesuffix("."), lead, notes)


def references(texts: Iterable[str]) -> list[Reference]:
    """Of the methods and data sets that texts name, by author; what one paper brought is one entry."""
    of_url: dict[str, list[Reference]] = {}
    for each in cited("\n".join(texts)):
        of_url.setdefault(each.url, []).append(each)
    joined = [replace(group[0], name=listed([each.name for each in group])) for group in of_url.values()]
    return sorted(joined, key=lambda each: (each.authors, each.where))


def assemble(report: Report) -> str:
    """The LaTeX source of the document."""
    return _render("paper.tex.j2", report=report)


def figure_environment(name: str, number: str, markdown: str) -> str:
    """A LaTeX figure.

    Args:
        name: of its PDF file without suffix.
        number: of the figure.
        markdown: its caption file, whose first line is the caption.
    """
    caption = unescape_markdown(markdown.partition("\n")[0]).removeprefix(f"**Figure {number}.** ")
    return _render("figure.tex.j2", name=name, number=number, caption=caption)


def _render(template: str, **values: object) -> str:
    environment = latex_environment("trigger_activation.report.pdf")
    environment.filters["listed"] = listed
    return environment.get_template(template).render(**values)
