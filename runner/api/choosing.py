"""What ``--only`` means: cells by label, or by setting."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Protocol, TypeVar

from runner.core.errors import UsageError, nearest
from runner.core.types import Cell
from runner.spec.matching import cell_matches
from runner.spec.names import setting_path
from runner.spec.nodes import to_node
from runner.spec.options import setting_paths
from runner.spec.settings import Settings
from runner.spec.unknown import likely_settings
from runner.spec.variants import parse_set


class HasCell(Protocol):
    """Anything about one cell."""

    @property
    def cell(self) -> Cell:
        """The cell."""


Chosen = TypeVar("Chosen", bound=HasCell)


def choose(cells: Sequence[Chosen], only: Iterable[str]) -> list[Chosen]:
    """Return the cells that every ``--only`` admits.

    Args:
        cells: all cells.
        only: label texts, or ``setting=value``; several of one label or setting admit any of
            them.

    Raises:
        UsageError: when no cell is left.
    """
    asked = list(only)
    chosen = list(cells)
    groups: dict[str, set[int]] = {}
    for text in asked:
        matching, kind = _matching(cells, text)
        if not matching:
            raise UsageError(f"--only {text!r} matches no cell{_meant(cells, text)}")
        groups.setdefault(kind, set()).update(matching)
    for admitted in groups.values():
        chosen = [cell for cell in chosen if id(cell) in admitted]
    if asked and not chosen:
        raise UsageError(f"no cell matches all of: {', '.join(asked)}")
    return chosen


def _matching(cells: Sequence[HasCell], text: str) -> tuple[set[int], str]:
    labelled = {id(cell) for cell in cells if text in cell.cell.labels.values()}
    if labelled:
        items = {item for cell in cells for item in cell.cell.labels.items()}
        return labelled, "label " + ", ".join(sorted(key for key, value in items if value == text))
    name, equals, _ = text.partition("=")
    if not equals or setting_path(name.strip()) is None:
        return set(), "label"
    path, node = parse_set(text)
    return {id(each) for each in cells if cell_matches(each.cell, {path: node})}, path


def _meant(cells: Sequence[HasCell], text: str) -> str:
    """Return what may have been meant by a text that matches nothing, and the labels there are."""
    name, equals, _ = text.partition("=")
    name = name.strip()
    path = ".".join(setting_path(name) or ())
    labels = [each for cell in cells for each in cell.cell.labels.values()]
    meant = "" if equals else nearest(text, labels)
    if equals and path not in setting_paths(Settings):
        tree = to_node(cells[0].cell.settings) if cells else None
        meant = likely_settings(name, (), tree)
    hint = f"\n    did you mean: {meant}" if meant else ""
    return f"{hint}\n    {_labels(cells)}"


def _labels(cells: Sequence[HasCell]) -> str:
    labels = dict.fromkeys(text for cell in cells for text in cell.cell.labels.values())
    shown = ", ".join(repr(text) for text in labels)
    return f"labels: {shown}" if shown else "no cell has a label; give setting=value, as lr=0.1"
