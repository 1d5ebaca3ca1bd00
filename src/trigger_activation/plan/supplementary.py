"""Rows of supplementary tables: what each is called, and the cell or study behind each of its entries."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from trigger_activation.plan.config.tables import SupplementaryRow
from trigger_activation.plan.config.values import CLEAN, STANDARD, WHITE_BOX, WITHOUT_TRIGGER
from trigger_activation.plan.layouts import ShownAttack, ShownColumn
from trigger_activation.plan.studies import ProtocolStudies

PAIRS_IN_LABELS = {
    "all": "all pairs",
    "off_diagonal": "different architectures",
    "same_architecture": "same architecture, other seed",
}
KNOWLEDGE_IN_LABELS = {
    "victim": " on the victim",
    "trigger": ", different architectures, trigger known",
    "trigger_trained": ", different architectures, trained with the known trigger",
}


class SupplementaryRows:
    """The rows of one table.

    Args:
        slot: the protocol that the table shows.
        label: the label of an attack, or of clean images.
    """

    def __init__(self, slot: ProtocolStudies, label: Callable[[str], str]) -> None:
        self.slot = slot
        self.label = label

    def shown(self, row: SupplementaryRow) -> ShownAttack:
        """What the table says of a row."""
        if row.attack is None:
            name = row.white_box or WHITE_BOX
            return ShownAttack(label=self._white_box_label(row), attack=name, surrogates="victim", pairs=None)
        label = self.label(row.attack)
        if row.attack == CLEAN and row.without_trigger:
            return ShownAttack(label=f"{label}, f(x)", attack=CLEAN, surrogates=None, pairs=WITHOUT_TRIGGER)
        if row.attack == CLEAN:
            return ShownAttack(label=label, attack=CLEAN, surrogates=None, pairs=row.pairs)
        if row.knows is not None:
            return ShownAttack(
                label=f"{label}{KNOWLEDGE_IN_LABELS[row.knows]}",
                attack=row.attack,
                surrogates=row.knows,
                pairs=None if row.knows == "victim" else "off_diagonal",
                knows=row.knows,
            )
        surrogates, attackers = self._surrogates(row.surrogates)
        label += f", {PAIRS_IN_LABELS[row.pairs]}{attackers}"
        return ShownAttack(label=label, attack=row.attack, surrogates=surrogates, pairs=row.pairs)

    def cells(self, row: SupplementaryRow, columns: Sequence[ShownColumn]) -> list[str]:
        """The paths of a row's cells or studies."""
        return [self._cell(row, column) for column in columns]

    def _cell(self, row: SupplementaryRow, column: ShownColumn) -> str:
        if row.attack is None:
            return self.slot.white_box(column.victim)
        if row.knows is not None:
            return self.slot.informed(row.knows, row.attack, column)
        surrogates, _ = self._surrogates(row.surrogates)
        return self.slot.shown_cell(surrogates, row.attack, column)

    def _white_box_label(self, row: SupplementaryRow) -> str:
        pgd = self.slot.config.attacks[WHITE_BOX].label.replace("PGD", f"PGD-{self.slot.protocol.attack.steps}")
        return f"White-box {'AutoAttack' if row.white_box == 'autoattack' else pgd}"

    def _surrogates(self, name: str) -> tuple[str, str]:
        """What a row names as surrogates: the name in paths, and what labels say of them."""
        if name in {STANDARD, "same"}:
            return name, ", adaptive" if name == "same" else ""
        trained = self.slot.protocol.roles.get(name, name)
        if (paradigm := self.slot.config.paradigms.get(trained)) is not None:
            return trained, f", {paradigm.label} surrogates"
        return name, f", ensemble of {self.slot.ensemble(name).label}"
