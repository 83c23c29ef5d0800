"""Matches cells with labels and settings that a spec or an option names.

Owns when a resolved setting equals a written one. Knows single cells only.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from runner.core.run import Cell
from runner.spec.names import setting_path, short_name, spell_out
from runner.spec.nodes import Node, as_yaml, plain
from runner.spec.sweep import label_text


def cell_matches(cell: Cell, where: Mapping[str, Node]) -> bool:
    """Return whether a cell has all these labels or settings.

    A name that is neither a label of this cell nor a setting matches nothing.
    """
    for name, node in where.items():
        if name in cell.labels:
            if cell.labels[name] != label_text(node):
                return False
            continue
        path = setting_path(name)
        if path is None:
            return False
        written = plain(spell_out(".".join(path), node))
        if not same_value(setting_value(cell.settings, path), written):
            return False
    return True


def label_values(cells: Iterable[Cell]) -> dict[str, list[str]]:
    """Return the distinct texts of each label, by label name."""
    texts: dict[str, dict[str, None]] = {}
    for cell in cells:
        for name, text in cell.labels.items():
            texts.setdefault(name, {})[text] = None
    return {name: list(distinct) for name, distinct in texts.items()}


def swept_values(cells: Iterable[Cell]) -> dict[str, list[str]]:
    """Return the distinct swept values of each setting, as YAML, by short name."""
    values: dict[str, dict[str, None]] = {}
    for cell in cells:
        for path, value in cell.swept.items():
            values.setdefault(short_name(path), {})[as_yaml(value)] = None
    return {name: list(distinct) for name, distinct in values.items()}


def what_varies(cells: Sequence[Cell]) -> str:
    """Return labels and swept settings of cells with their values, for an error message."""
    values = {**label_values(cells), **swept_values(cells)}
    varying = [f"{name}: {', '.join(seen[:12])}" for name, seen in values.items()]
    return "; ".join(varying) or "nothing varies between the cells"


def setting_value(settings: Mapping[str, Any], path: Sequence[str]) -> Any:
    """Return the setting at ``path`` of canonical settings, or None."""
    value: Any = settings
    for key in path:
        if not isinstance(value, Mapping) or key not in value:
            return None
        value = value[key]
    return value


def same_value(resolved: Any, written: Any) -> bool:
    """Return whether a resolved setting equals a written one: ``adam`` is ``{name: adam, …}``."""
    if isinstance(resolved, Mapping):
        named = resolved.get("dataset", resolved.get("name"))
        if isinstance(written, Mapping):
            return all(same_value(resolved.get(key), value) for key, value in written.items())
        return named is not None and bool(named == written)
    if isinstance(resolved, list) and isinstance(written, list | tuple):
        return len(resolved) == len(written) and all(
            same_value(one, other) for one, other in zip(resolved, written, strict=True)
        )
    if isinstance(resolved, bool) or isinstance(written, bool):
        return resolved is written
    return bool(resolved == written)
