"""What pydantic's errors allow, in words, and the nearest spelling of what was found.

Knows the kinds of pydantic's errors, no component and no place in a spec.
"""

from __future__ import annotations

from collections.abc import Sequence

from pydantic_core import ErrorDetails

from runner.core.errors import nearest
from runner.spec.nodes import Node

WANTED = {
    "int_type": "a whole number",
    "int_from_float": "a whole number",
    "float_type": "a number",
    "string_type": "text",
    "bool_type": "true or false",
    "tuple_type": "a list",
    "model_type": "a mapping",
    "model_attributes_type": "a mapping",
    "dict_type": "a mapping",
    "none_required": "null",
    "finite_number": "a finite number",
}
LIMITS = {
    "greater_than": ("gt", "above"),
    "greater_than_equal": ("ge", "at least"),
    "less_than": ("lt", "below"),
    "less_than_equal": ("le", "at most"),
}
MOST_FIXED = 4
"""Items of the longest list whose length is given; limits of other lists are larger."""


def wanted(detail: ErrorDetails) -> str:
    """Return what one branch of a union allows."""
    kind, context = detail["type"], detail.get("ctx", {})
    if kind in LIMITS:
        name, word = LIMITS[kind]
        limit = context[name]
        return f"{word} {limit if isinstance(limit, int) else f'{limit:.15g}'}"
    if kind == "literal_error":
        return ", ".join(words_of(detail, "expected"))
    if kind in ("too_short", "string_too_short"):
        least = int(context["min_length"])
        if least == 1:
            return "one that is not empty"
        is_list = kind == "too_short"
        return f"a list of at least {least}" if is_list else f"text of at least {least} characters"
    if kind == "string_pattern_mismatch":
        return f"text that matches {context['pattern']}"
    if kind == "multiple_of":
        return f"a multiple of {context['multiple_of']}"
    if kind == "too_long":
        limit = int(context["max_length"])
        return f"a list of {limit}" if limit <= MOST_FIXED else f"a list of at most {limit}"
    if kind == "string_too_long":
        return f"text of at most {context['max_length']} characters"
    return WANTED.get(kind, str(detail["msg"]))


def spelling_of(details: Sequence[ErrorDetails], node: Node) -> str:
    """Return what was probably meant by a value that several branches refused, or ""."""
    kinds = {detail["type"] for detail in details}
    if isinstance(node.value, float) and "int_type" in kinds and node.value.is_integer():
        return str(int(node.value))
    if not isinstance(node.value, str):
        return ""
    if kinds & {"int_type", "float_type"} and node.value.replace(".", "", 1).isdecimal():
        return f"{node.value} without quotes"
    words = [word for item in details for word in words_of(item, "expected")]
    return nearest(node.value, words)


def words_of(detail: ErrorDetails, name: str) -> list[str]:
    """Split pydantic's list ``'a', 'b' or 'c'``."""
    text = str(detail.get("ctx", {}).get(name, ""))
    return text.replace("'", "").replace(" or ", ", ").split(", ") if text else []
