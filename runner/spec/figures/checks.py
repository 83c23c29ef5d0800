"""Checks the figures of a spec against its cells: what no cell can fill is an error before work.

Owns which cells a figure's `only` admits.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

from runner.components.settings import Settings
from runner.core.errors import Problem, SpecError, UsageError
from runner.core.run import Cell
from runner.spec.figures.declared import DeclaredFigure, Figures
from runner.spec.figures.kinds import AugmentationsFigure, SettingFigure
from runner.spec.figures.setting import setting_table
from runner.spec.matching import cell_matches, what_varies
from runner.spec.names import setting_path
from runner.spec.nodes import Node
from runner.spec.unknown import unknown_setting


def admits(figure: DeclaredFigure, cell: Cell) -> bool:
    """Return whether a figure's `only` admits a cell."""
    only = figure.tree.get("only")
    if only is None or not only.is_mapping:
        return True
    return all(
        any(cell_matches(cell, {name: each}) for each in _alternatives(cell, name, node))
        for name, node in only.value.items()
    )


def _alternatives(cell: Cell, name: str, node: Node) -> Sequence[Node]:
    """Return the values that a condition allows: a list may be one, or hold several."""
    if not node.is_sequence:
        return (node,)
    items: tuple[Node, ...] = node.value
    return items if name in cell.labels else (node, *items)


def figure_problems(
    figures: Figures,
    cells: Sequence[Cell],
    settings: Mapping[str, Settings],
    own: Mapping[str, str],
    is_variant: bool,
) -> Iterator[Problem]:
    """Yield the problems of figures.

    Args:
        figures: of the spec.
        cells: all of it.
        settings: of the cells, by their key.
        own: full names of the spec's own metrics, and those under which they are stored.
        is_variant: whether cells or settings are others than those written: a figure need not show
            anything of them.

    Raises:
        SpecError: for an `only` that names neither a label nor a setting.
    """
    for figure in figures:
        _check_names(figure, cells)
        if is_variant:
            continue
        shown = [cell for cell in cells if admits(figure, cell)]
        if not shown:
            found = f"figure {figure.name}: only matches no cell"
            yield Problem(figure.position("only"), found, what_varies(cells))
            continue
        yield from _problems(figure, shown, settings, own)


def _check_names(figure: DeclaredFigure, cells: Sequence[Cell]) -> None:
    only = figure.tree.get("only")
    labels = sorted({label for cell in cells for label in cell.labels})
    for name, node in only.value.items() if only is not None and only.is_mapping else ():
        if name not in labels and setting_path(name) is None:
            raise unknown_setting(name, node, labels)


def _problems(
    figure: DeclaredFigure,
    cells: Sequence[Cell],
    settings: Mapping[str, Settings],
    own: Mapping[str, str],
) -> Iterator[Problem]:
    distinct = list({cell.settings_key: settings[cell.settings_key] for cell in cells}.values())
    if isinstance(figure.settings, AugmentationsFigure):
        if all(each.train.augment is None for each in distinct):
            found = f"figure {figure.name}: no cell augments its images (train.augment)"
            yield Problem(figure.position(), found)
    elif isinstance(figure.settings, SettingFigure):
        try:
            setting_table(cells, distinct, figure, own)
        except SpecError as error:
            for each in error.problems:
                yield replace(each, found=f"figure {figure.name}: {each.found}")
        except UsageError as error:
            found = f"figure {figure.name}: {error.found}"
            yield Problem(
                figure.position("x"),
                found,
                error.allowed,
                hint=error.hint,
                suggestion=error.suggestion,
            )
