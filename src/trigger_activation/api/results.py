"""What an evaluation finds, as frozen models that are written to files and read again."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from pydantic import ValidationError

from trigger_activation.errors import UserError
from trigger_activation.parameters import FrozenModel
from trigger_activation.store.atomic import write_text

if TYPE_CHECKING:
    import pandas as pd

COVERS = "the choice of test images, neither other trainings of the model nor other draws of an attack"
"""What the intervals are about: a model comes once, and its surrogates and their images are given."""


class Accuracy(FrozenModel):
    """An accuracy in percent, a mean over images and surrogates."""

    mean: float
    margin: float | None
    """Half the width of its 95 % interval, which is about :data:`COVERS`; None where one image says nothing."""

    def __str__(self) -> str:
        """For people: ``61.3 ± 2.1``."""
        return f"{self.mean:.1f}" if self.margin is None else f"{self.mean:.1f} ± {self.margin:.1f}"


class UnderAttack(FrozenModel):
    """What a model keeps under one attack, or under all of them in the mean (paper, Eq. 7)."""

    all: Accuracy
    """Over all surrogates."""
    other_families: Accuracy | None
    """Over surrogates of other families than the model's; None if its family is unknown or there are no others."""
    per_surrogate: dict[str, float]
    """Surrogate -> accuracy on what was crafted on it (Eq. 6)."""


class Evaluation(FrozenModel):
    """One row of a leaderboard: what a model of one's own keeps of a protocol's images."""

    format: Literal[1] = 1
    """Of the files that hold it."""
    model: str
    protocol: str
    dataset: str
    images: int
    surrogates: list[str]
    surrogate_paradigm: str
    """How they were trained."""
    surrogate_seed: int
    family: str | None
    """The model's, as its owner named it."""
    clean: Accuracy
    attacks: dict[str, UnderAttack]
    mean: UnderAttack
    """Over all attacks."""
    covers: str = COVERS

    def row(self) -> dict[str, float]:
        """Clean accuracy, that under each attack, and their mean, in percent, by name."""
        under = {name: found.all.mean for name, found in self.attacks.items()}
        return {"clean": self.clean.mean, **under, "mean": self.mean.all.mean}

    def series(self) -> pd.Series[float]:
        """The same as a row of a pandas table, named after the model; needs pandas."""
        import pandas as pd

        return pd.Series(self.row(), name=self.model)

    def write(self, path: Path) -> None:
        """Write it as JSON."""
        content = self.model_dump(mode="json")
        write_text(path, f"{json.dumps(content, indent=1, ensure_ascii=False)}\n")

    @classmethod
    def read(cls, path: Path) -> Evaluation:
        """What :meth:`write` wrote.

        Raises:
            UserError: there is no such file, or it holds something else.
        """
        try:
            return cls.model_validate_json(path.read_text(encoding="utf-8"))
        except OSError as error:
            raise UserError(f"{path} cannot be read ({error.strerror}): name a file that `--json` wrote") from None
        except (ValidationError, UnicodeDecodeError):
            raise UserError(f"{path} is no evaluation: name a file that `trigact evaluate --json` wrote") from None

    def __str__(self) -> str:
        """A table for terminals, with what the numbers are."""
        lines = [f"{self.model} on {self.dataset}, {self.images} test images, accuracy in percent", ""]
        known = self.family is not None
        width = max(map(len, ["all attacks", *self.attacks]))
        heads = ["all surrogates", *(["other families"] if known else []), *self.surrogates]
        lines.append("  ".join([" " * width, *(f"{head:>14}" for head in heads)]))
        lines.append(f"{'clean':<{width}}  {self.clean!s:>14}")
        for name, found in {**self.attacks, "all attacks": self.mean}.items():
            others = "-" if found.other_families is None else str(found.other_families)
            cells = [str(found.all), *([others] if known else [])]
            cells += [f"{found.per_surrogate[surrogate]:.1f}" for surrogate in self.surrogates]
            lines.append("  ".join([f"{name:<{width}}", *(f"{cell:>14}" for cell in cells)]))
        lines += ["", f"±: 95 %, over {self.covers}."]
        if not known:
            lines.append("With `family` the mean is also taken without surrogates of the model's own family.")
        return "\n".join(lines)
