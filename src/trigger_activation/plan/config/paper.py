"""What the paper is: title, authors, where it can be read, and how its numbers came to be typed."""

from __future__ import annotations

from trigger_activation.parameters import FrozenModel


class Paper(FrozenModel):
    """The content of ``config/published/paper.yaml``."""

    title: str
    authors: list[str]
    venue: str
    year: int
    preprint: str
    """Its number: ``arXiv:2504.14541``."""
    url: str
    transcribed: str
    """Which edition the published numbers were typed from, and how."""

    @property
    def reference(self) -> str:
        """Venue, year and preprint in one line."""
        return f"{self.venue}, {self.year}; {self.preprint}"
