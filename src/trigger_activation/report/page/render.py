"""A page as HTML, with style and script inside."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import resources

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from trigger_activation.plan import kinds
from trigger_activation.report.page.build import Page, TableOnPage
from trigger_activation.report.wording import duration, listed

PLURALS: Mapping[str, str] = {kind.name: kind.plural or kind.name for kind in kinds.KINDS}
"""Kind of artifact -> what the page calls them."""


def render(page: Page) -> str:
    """The complete file; every text from config or results is escaped."""
    environment = Environment(
        loader=PackageLoader("trigger_activation.report.page"),
        undefined=StrictUndefined,
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.policies["json.dumps_kwargs"] = {"separators": (",", ":"), "ensure_ascii": False}
    environment.filters |= {"duration": duration, "listed": listed}
    environment.tests["tabular"] = lambda shown: isinstance(shown, TableOnPage)
    template = environment.get_template("index.html.j2")
    return template.render(page=page, kinds=PLURALS, style=_asset("style.css"), script=_asset("page.js"))


def _asset(name: str) -> Markup:
    """Our own CSS or JavaScript, which is not escaped inside its element."""
    folder = resources.files("trigger_activation.report.page") / "templates"
    return Markup(folder.joinpath(name).read_text(encoding="utf-8"))
