"""What ``--only`` means: cells by label, or by setting.

Owns how it is read: a name that is both a label's and a setting's means the label. Knows cells, not
their data.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Protocol, TypeVar

from runner.components.settings import Settings
from runner.core.errors import SpecError, UsageError, nearest
from runner.core.run import Cell
from runner.spec.experiment import Experiment
from runner.spec.folds import FOLD_INDEX
from runner.spec.matching import cell_matches, label_values, setting_value, swept_values
from runner.spec.names import setting_path
from runner.spec.nodes import Node, as_yaml, to_node
from runner.spec.options import setting_paths
from runner.spec.sweep import label_text
from runner.spec.unknown import likely_settings
from runner.spec.variants import parse_set
from runner.spec.yaml_loader import parse_yaml

SHOWN_VALUES = 12


class HasCell(Protocol):
    """Anything about one cell."""

    @property
    def cell(self) -> Cell:
        """The cell."""


SomeCell = TypeVar("SomeCell", bound=HasCell)


def select_cells(cells: Sequence[SomeCell], only: Iterable[str]) -> list[SomeCell]:
    """Return the cells that every ``--only`` admits.

    Args:
        cells: all cells.
        only: label texts, ``label=text`` or ``setting=value``; several of one label or setting
            admit any of them.

    Raises:
        UsageError: when no cell is left.
    """
    asked = list(only)
    selected = list(cells)
    groups: dict[str, set[int]] = {}
    for text in asked:
        matching, kind = _matching(cells, text)
        if not matching:
            raise _no_match([cell.cell for cell in cells], text)
        groups.setdefault(kind, set()).update(matching)
    for admitted in groups.values():
        selected = [cell for cell in selected if id(cell) in admitted]
    if asked and not selected:
        raise UsageError(f"no cell matches all of: {', '.join(asked)}")
    return selected


def with_selected_cells(experiments: Sequence[Experiment], only: Sequence[str]) -> list[Experiment]:
    """Return the experiments with the cells that every ``--only`` admits; see :func:`select_cells`.

    One of several experiments may be left without cells.

    Raises:
        UsageError: when no cell of any is left.
    """
    cells = [cell for experiment in experiments for cell in experiment.cells]
    selected = {id(cell) for cell in select_cells(cells, only)}
    return [
        replace(experiment, cells=tuple(item for item in experiment.cells if id(item) in selected))
        for experiment in experiments
    ]


def _matching(cells: Sequence[HasCell], text: str) -> tuple[set[int], str]:
    """Return the ids of what an ``--only`` admits, and of what label or setting it speaks."""
    labelled = {id(cell) for cell in cells if text in cell.cell.labels.values()}
    if labelled:
        items = {item for cell in cells for item in cell.cell.labels.items()}
        return labelled, "label " + ", ".join(sorted(key for key, value in items if value == text))
    name, equals, value = text.partition("=")
    name = name.strip()
    if not equals:
        return set(), ""
    is_label = any(name in cell.cell.labels for cell in cells)
    texts = _as_label(value)
    admitted = {id(cell) for cell in cells if cell.cell.labels.get(name) in texts}
    if setting_path(name) is None:
        return admitted, f"label {name}"
    path, node = _setting(text, is_label)
    if node is not None:
        others = [cell for cell in cells if name not in cell.cell.labels]
        admitted |= {id(cell) for cell in others if cell_matches(cell.cell, {path: node})}
    return admitted, f"label {name}" if is_label else path


def _as_label(value: str) -> set[str]:
    """Return the label texts that a value may mean: as it stands, or as a spec would write it."""
    texts = {value, value.strip()}
    with suppress(SpecError):
        texts.add(label_text(parse_yaml(value, "--only")))
    return texts


def _setting(text: str, is_label: bool) -> tuple[str, Node | None]:
    """Return path and value of ``setting=value``; a label's text need not be a value."""
    try:
        return parse_set(text)
    except SpecError:
        if is_label:
            return "", None
        raise


def _no_match(cells: Sequence[Cell], text: str) -> UsageError:
    """Return the error that nothing matches, with what there is and the nearest spelling."""
    name, equals, _ = text.partition("=")
    name = name.strip()
    labels, settings = label_values(cells), swept_values(cells)
    there = {label: [repr(each) for each in texts] for label, texts in labels.items()}
    path = setting_path(name)
    if equals and name in labels:
        there = {name: there[name]}
    elif equals and path is not None and _is_setting(name):
        there = {name: [as_yaml(setting_value(cell.settings, path)) for cell in cells]}
    else:
        there |= {short: values for short, values in settings.items() if short not in there}
        there["seed"] = [str(cell.seed) for cell in cells]
        if folds := [str(cell.fold) for cell in cells if cell.fold]:
            there[FOLD_INDEX] = folds
    return UsageError(
        f"--only {text!r} matches no cell",
        allowed="\n".join(_listed(*each) for each in there.items()),
        suggestion=_suggestion(labels, text, cells[0] if cells else None),
    )


def _is_setting(name: str) -> bool:
    """Return whether some component has a setting of this name; a path alone is only a path."""
    return ".".join(setting_path(name) or ()) in setting_paths(Settings)


def _suggestion(labels: Mapping[str, Sequence[str]], text: str, cell: Cell | None) -> str:
    name, equals, value = text.partition("=")
    name = name.strip()
    if not equals:
        return nearest(text, [each for texts in labels.values() for each in texts])
    if name in labels:
        near = nearest(value.strip(), labels[name])
        return f"{name}={near}" if near else ""
    if _is_setting(name):
        return ""
    labelled = next((each for each, texts in labels.items() if value.strip() in texts), "")
    if labelled:
        return f"{labelled}={value.strip()}"
    tree = None if cell is None else to_node(cell.settings)
    likely = likely_settings(name, sorted(labels), tree)
    return likely if not likely or ", " in likely or " " in likely else f"{likely}={value}"


def _listed(name: str, values: Sequence[str]) -> str:
    distinct = list(dict.fromkeys(values))
    more = ", …" if len(distinct) > SHOWN_VALUES else ""
    return f"{name}: {', '.join(distinct[:SHOWN_VALUES])}{more}"
