"""Checks that printed texts of a spec are one line without control characters.

Otherwise a label or title could break a table, a terminal or a file. Recorded texts are escaped
when printed, not checked here.
"""

from __future__ import annotations

from collections.abc import Iterator

from runner.core.errors import Problem
from runner.core.text import first_breaking_character
from runner.spec.nodes import Node
from runner.spec.sweep import LABEL, SWEEP_KEYS

ALLOWED = "one line of text, without control characters"
IN_LINES = "text, without control characters but line breaks and tabs"


def text_problems(document: Node) -> Iterator[Problem]:
    """Yield the labels, names and titles of a document that are not one line of text."""
    yield from _about(document)
    yield from _labels(document.get("sweep"))
    yield from _keys(document.get("profiles"), "a profile's name")
    yield from _keys(document.get("analyses"), "an analysis' name")
    yield from _keys(document.get("metrics"), "a metric's name")
    tables = document.get("tables")
    yield from _keys(tables, "a table's name")
    for table in _children(tables):
        columns = table.get("columns")
        yield from _keys(table if columns is None else columns, "a column's title")
        yield from _about(table)
        pivot = table.get("pivot")
        for title in _children(None if pivot is None else pivot.get("titles")):
            yield from _text(title, "a title")
        for title in _children(table.get("melt")):
            yield from _text(title, "a title")


def _about(node: Node) -> Iterator[Problem]:
    about = node.get("about")
    if about is not None and isinstance(about.value, str):
        line = about.value.replace("\n", " ").replace("\t", " ")
        yield from _refused(about, line, "about", IN_LINES)


def _labels(sweep: Node | None) -> Iterator[Problem]:
    """Yield the problems of labels in a sweep, nested ones included."""
    rows = sweep.get(SWEEP_KEYS[0]) if sweep is not None else None
    for row in _children(rows):
        single, several = row.get(LABEL), row.get("labels")
        if single is not None:
            yield from _text(single, "a label")
        yield from _keys(several, "the name of a label")
        for label in _children(several):
            yield from _text(label, "a label")
        yield from _labels(row)


def _children(node: Node | None) -> tuple[Node, ...]:
    if node is None or not (node.is_mapping or node.is_sequence):
        return ()
    return tuple(node.value.values()) if node.is_mapping else node.value


def _keys(node: Node | None, what: str) -> Iterator[Problem]:
    if node is not None and node.is_mapping:
        for key, child in node.value.items():
            yield from _refused(child, key, what, ALLOWED, is_key=True)


def _text(node: Node, what: str) -> Iterator[Problem]:
    if isinstance(node.value, str):
        yield from _refused(node, node.value, what, ALLOWED)


def _refused(
    node: Node, text: str, what: str, allowed: str, is_key: bool = False
) -> Iterator[Problem]:
    character = first_breaking_character(text)
    if character is not None:
        position = (is_key and node.key_position) or node.position
        yield Problem(position, f"{what} holds the character {character!r}", allowed)
