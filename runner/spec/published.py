"""Published values of a spec's top-level list, assigned to cells.

Owns the shape of that list. Published values in rows of a sweep come with their combinations.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

from runner.core.errors import Problem, SpecError
from runner.core.run import Cell
from runner.spec.matching import cell_matches, what_varies
from runner.spec.names import setting_path
from runner.spec.nodes import Node, plain
from runner.spec.sizes import check_published
from runner.spec.sweep import published_value, published_values
from runner.spec.unknown import unknown_setting


def published_entries(
    node: Node | None,
) -> Iterator[tuple[Node, dict[str, Node], dict[str, Node]]]:
    """Yield (entry, conditions, values) of the ``published`` list.

    Raises:
        SpecError: for an entry of another shape.
    """
    if node is None:
        return
    allowed = "a list, as [{where: {lr: 0.1}, values: {TEST_ACC: 0.49}}]"
    if not node.is_sequence:
        raise SpecError([Problem(node.position, f"published is {node.describe()}", allowed)])
    for entry in node.value:
        where, values = entry.get("where"), entry.get("values")
        if where is None or values is None or set(entry.value) != {"where", "values"}:
            keys = f" of {', '.join(entry.value)}" if entry.is_mapping and entry.value else ""
            found = f"an entry of published is {entry.describe()}{keys}"
            raise SpecError([Problem(entry.position, found, "{where: {…}, values: {…}}")])
        if not where.is_mapping:
            raise SpecError([Problem(where.position, f"where is {where.describe()}", "a mapping")])
        yield entry, dict(where.value), published_values(values)


def with_published(
    cells: Sequence[Cell], labels: Sequence[str], node: Node | None, is_variant: bool
) -> list[Cell]:
    """Return the cells with the published values whose ``where`` they match.

    Args:
        cells: all of a spec.
        labels: names of all labels in it.
        node: its ``published`` list, or None.
        is_variant: whether the list is only checked; variants have no published values.

    Raises:
        SpecError: for a list of another shape, and conditions that name nothing or match no cell.
    """
    result = list(cells)
    if node is not None:
        check_published(node, len(cells))
    for entry, where, values in published_entries(node):
        for name, child in where.items():
            if name not in labels and setting_path(name) is None:
                raise unknown_setting(name, child, sorted(labels))
        if is_variant:
            continue
        matches = [index for index, cell in enumerate(result) if cell_matches(cell, where)]
        if not matches:
            conditions = ", ".join(f"{name}: {plain(child)!r}" for name, child in where.items())
            position = entry.value["where"].position
            found = f"where {{{conditions}}} matches no cell"
            raise SpecError([Problem(position, found, what_varies(cells))])
        numbers = {title: published_value(child) for title, child in values.items()}
        for index in matches:
            cell = result[index]
            result[index] = replace(cell, published={**cell.published, **numbers})
    return result
