"""Config files as somebody might have broken them, drawn by hypothesis."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

from hypothesis import strategies as st

from tests.support.projects import Project, one_sentence
from trigger_activation.errors import UserError

NAMES = ["pgd", "nrp", "standard", "learn_4", "learnable", "purifier", "vgg-s", "inception_v4", "mini", "table1", "A"]
ODD_TEXTS = [
    *("", "~", "null", "yes", "1e3", "1e999", "1e999999999", "-1/255", "8/0", "0x1F", "1_000", "2024-01-01", "1:30"),
    *("..", "../../etc/passwd", "/etc/passwd", "a__b", "$(touch executed)", "`touch executed`", "; touch executed"),
    *("a\nb", "\t", "\x00", "\u2028", "\ud7ff", "é", "８/255", "{{ 7 * 7 }}", "%s", "\\input{/etc/passwd}"),
    *("<script>", ".nan", "x" * 5000),
]
"""What people and programs mistake for something else."""
HUGE = [2**31, 2**63 - 1, 2**64, 10**400, -(2**63), 1e308, 5e-324, float("inf"), float("nan")]
SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-1000, 1000),
    st.floats(allow_nan=False, allow_infinity=False, width=32),
    st.sampled_from(NAMES),
    st.sampled_from(ODD_TEXTS),
    st.sampled_from(HUGE),
    st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=8),
)
VALUES = st.recursive(
    SCALARS, lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(st.sampled_from(NAMES), inner))
)
ODD_YAML = [
    *("&a ", "*a", "<<: *a\n", "!!python/name:os.system ", "!!python/object/apply:os.system [touch executed] "),
    *("!!int '' ", "!!timestamp x ", "!!binary x ", "!!set {a} ", "!x ", "%YAML 9.9\n---\n", "---\n", "...\n"),
    *("[", "]", "{", "}", "- ", ": ", ", ", "? ", "|\n", ">-\n", "'", '"', "#", "\r", "\n", "  ", "\t", "\x00", "\x07"),
    *("9" * 5000, "0x" + "f" * 5000, "1.0e+999", "[" * 300),
]
"""What means something to YAML, or nearly."""


def places(node: Any) -> list[tuple[Any, Any]]:
    """Every (container, key) of a document."""
    items = node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ()
    return [place for key, value in items for place in ((node, key), *places(value))]


def edit(content: dict[str, Any], draw: st.DataObject) -> None:
    """Replace a value, give it to another key, delete a key or list entry, or add a key."""
    if not content:
        return
    container, key = draw.draw(st.sampled_from(places(content)), label="place")
    match draw.draw(st.sampled_from(["replace", "swap", "delete", "add"]), label="edit"):
        case "replace":
            container[key] = draw.draw(VALUES, label="value")
        case "swap":
            other, place = draw.draw(st.sampled_from(places(content)), label="other place")
            container[key] = deepcopy(other[place])
        case "delete":
            del container[key]
        case "add" if isinstance(container, dict):
            container[draw.draw(st.sampled_from([*NAMES, "steps", "label", "like"]), label="key")] = draw.draw(VALUES)


def scribbled(text: str, draw: st.DataObject) -> str:
    """A text with something odd in place of a few characters."""
    first = draw.draw(st.integers(0, len(text)), label="from")
    last = draw.draw(st.integers(first, min(first + 8, len(text))), label="to")
    return text[:first] + draw.draw(st.sampled_from(ODD_YAML), label="odd") + text[last:]


def outcome(project: Project) -> str:
    """``accepted``, or the sentence of the refusal; any other exception is a bug."""
    try:
        project.plan()
    except UserError as error:
        return one_sentence(str(error))
    return "accepted"
