"""What ``--only`` means: cells by label, or by setting."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Protocol, TypeVar

from runner.core.errors import UsageError
from runner.core.types import Cell
from runner.spec.matching import cell_matches
from runner.spec.names import setting_path
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
            raise UsageError(f"--only {text!r} matches no cell\n    {_labels(cells)}")
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


def _labels(cells: Sequence[HasCell]) -> str:
    labels = dict.fromkeys(text for cell in cells for text in cell.cell.labels.values())
    shown = ", ".join(repr(text) for text in labels)
    return f"labels: {shown}" if shown else "no cell has a label; give setting=value, as lr=0.1"
