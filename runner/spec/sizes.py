"""Limits on the size of a spec, checked on its tree before anything is expanded.

Owns the limits of sweeps, cells and tables. Malformed parts count as small; their expansion reports
them.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import NamedTuple

from runner.core.errors import Problem, SpecError
from runner.spec.names import setting_path, short_name
from runner.spec.nodes import Node

MAX_COMBINATIONS = 100_000
MAX_CELLS = 100_000
MAX_VALUES = 10_000_000
"""Values in all cells together, or all that are compared with them."""

MAX_PHASES = 1_000_000
"""Phases of the learning rate in the trainings of all cells together."""

MAX_LABELS = 100
MAX_COLUMNS = 500
MAX_ANALYSIS_COLUMNS = 400
"""Of a table; the query has four columns for each of them, and SQLite takes 2,000."""

SIGNS_A_VALUE = 100
"""Signs of a text that count as one value."""


class SweepSize(NamedTuple):
    """Number of combinations of a sweep, and of all values in them."""

    combinations: int
    values: int


ONE = SweepSize(1, 0)


def num_values(node: Node) -> int:
    """Return the number of values in a tree, itself included; long texts count as several."""
    if isinstance(node.value, dict):
        return 1 + sum(num_values(child) for child in node.value.values())
    if isinstance(node.value, tuple):
        return 1 + sum(num_values(child) for child in node.value)
    return 1 + (len(node.value) // SIGNS_A_VALUE if isinstance(node.value, str) else 0)


def sweep_size(node: Node) -> SweepSize:
    """Return the size of a sweep, or of a row: of the product of its rows, zip and grid.

    Raises:
        SpecError: at the innermost mapping with too many combinations or values.
    """
    parts = list(_parts(node))
    count = math.prod(part.combinations for _, part in parts)
    if count > MAX_COMBINATIONS:
        factors = " × ".join(f"{part.combinations} ({name})" for name, part in parts)
        found = f"{count} combinations: {factors}"
        allowed = f"at most {MAX_COMBINATIONS} in one sweep"
        raise SpecError([Problem(node.position, found, allowed)])
    values = sum(part.values * (count // part.combinations) for _, part in parts)
    _check_values(node, f"{count} combinations", values)
    return SweepSize(count, values)


def _check_values(node: Node, what: str, values: int) -> None:
    if values > MAX_VALUES:
        found = f"{what} with {values} values in all"
        raise SpecError([Problem(node.position, found, f"at most {MAX_VALUES}")])


def _parts(node: Node) -> Iterator[tuple[str, SweepSize]]:
    rows, zipped, grid = (node.get(key) for key in ("rows", "zip", "grid"))
    if rows is not None and rows.is_sequence and rows.value:
        sizes = [_row(row) for row in rows.value]
        count, values = (sum(numbers) for numbers in zip(*sizes, strict=True))
        yield f"{len(sizes)} rows", SweepSize(count, values)
    if zipped is not None and zipped.is_mapping:
        lengths = [len(axis.value) for axis in zipped.value.values() if axis.is_sequence]
        yield "zip", SweepSize(max(1, *lengths, 1), sum(map(_in_list, zipped.value.values())))
    if grid is not None and grid.is_mapping:
        for name, axis in grid.value.items():
            if axis.is_sequence and axis.value:
                path = setting_path(name)
                title = short_name(".".join(path)) if path else name
                yield title, SweepSize(len(axis.value), _in_list(axis))


def _in_list(node: Node) -> int:
    return sum(num_values(child) for child in node.value) if node.is_sequence else 0


def _row(row: Node) -> SweepSize:
    if not row.is_mapping:
        return ONE
    inside = sweep_size(row)
    own = [child for key, child in row.value.items() if key not in ("rows", "zip", "grid")]
    values = inside.values + inside.combinations * sum(num_values(child) for child in own)
    _check_values(row, f"{inside.combinations} combinations", values)
    return SweepSize(inside.combinations, values)


def check_cells(
    combinations: int, axes: Mapping[str, int], settings: Node, axes_node: Node | None
) -> None:
    """Check the number of cells, and of settings in all cells.

    Args:
        combinations: of the sweep, those that a profile keeps.
        axes: what each is done with, as `seeds`, and how many.
        settings: that all cells have.
        axes_node: where they are given, None where they are not.

    Raises:
        SpecError: at the axes, or the settings.
    """
    cells = combinations * math.prod(axes.values())
    if cells > MAX_CELLS and axes_node is not None:
        each = "".join(f" × {count} {name}" for name, count in axes.items() if count > 1)
        found = f"{cells} cells ({combinations} combinations{each})"
        raise SpecError([Problem(axes_node.position, found, f"at most {MAX_CELLS}")])
    values = num_values(settings)
    _check_values(settings, f"{cells} cells of {values} settings,", cells * values)


def check_phases(phases: int, cells: int, document: Node) -> None:
    """Check the number of learning rates in the trainings of all cells.

    Raises:
        SpecError: at the settings of the training.
    """
    if phases > MAX_PHASES:
        found = f"{phases} learning rates in the trainings of {cells} cells, each planned by itself"
        hint = "use a cosine or plateau schedule, which is one rule"
        node = document.get("train") or document
        raise SpecError([Problem(node.position, found, f"at most {MAX_PHASES}", hint=hint)])


def check_published(published: Node, cells: int) -> None:
    """Check the number of comparisons of published values with cells.

    Raises:
        SpecError: at the values.
    """
    values = num_values(published)
    if values * cells > MAX_VALUES:
        found = f"{values} published values and what they are for, compared with {cells} cells"
        allowed = f"a product of at most {MAX_VALUES}"
        hint = "published values in a row of the sweep are compared with no other cell"
        raise SpecError([Problem(published.position, found, allowed, hint=hint)])
