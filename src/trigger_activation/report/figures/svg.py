"""Figures as SVG inside a page: small, and in the colours of the page, whether these are light or dark."""

from __future__ import annotations

import re

DIGITS = 5
"""Of coordinates, which are in points, and of scales: more than any screen shows."""


def embedded(svg: str, name: str, description: str) -> str:
    """The element to put into HTML.

    Args:
        svg: a complete file, as matplotlib writes it.
        name: of the figure, which makes ids unique on a page.
        description: for those who cannot see it.
    """
    body = svg[svg.index("<svg") :]
    body = re.sub(r"<metadata>.*?</metadata>", "", body, flags=re.DOTALL)
    body = re.sub(
        r'(<image [^>]*?) id="[^"]*"', r"\1", body
    )  # Equal pictures have equal ids, and nothing refers to them.
    body = re.sub(r'( id="|href="#|url\(#)', rf"\1{name}-", body)
    body = re.sub(r"(?<![\w#.])-?\d+\.\d{3,}", _rounded, body)
    body = re.sub(r"#([0-9a-f]{6})\b", _themed, body)
    body = re.sub(r">\s+<", "><", body).strip()
    width, height = (float(size) for size in re.search(r'viewBox="0 0 ([\d.]+) ([\d.]+)"', body).groups())  # type: ignore[union-attr]
    opening = (
        f'<svg viewBox="0 0 {width:g} {height:g}" class="drawn" role="img" aria-label="{_escaped(description)}" '
        f'style="width: {width / 72 * INCH:.0f}px">'
    )
    return opening + body[body.index(">") + 1 :]


INCH = 120
"""CSS pixels of an inch in print: a little larger than there."""


def _rounded(found: re.Match[str]) -> str:
    return f"{float(found[0]):.{DIGITS}g}"


def _themed(found: re.Match[str]) -> str:
    """Greys are turned over in the dark; colours that tell curves apart stay."""
    red, green, blue = (int(found[1][at : at + 2], 16) for at in (0, 2, 4))
    if max(red, green, blue) - min(red, green, blue) > 2:
        return found[0]
    if red == 255:
        return "var(--page)"
    dark = 235 - round(0.8 * red)
    return f"light-dark({found[0]}, #{dark:02x}{dark:02x}{dark:02x})"


def _escaped(text: str) -> str:
    return text.replace("&", "&amp;").replace('"', "&quot;").replace("<", "&lt;")
