"""Whether a cell has the labels or settings that a spec or an option names.

Owns what it means that a resolved setting is what somebody wrote. Knows single cells only.
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
    """Return the texts that each label has in some cell, by label name, each once."""
    found: dict[str, dict[str, None]] = {}
    for cell in cells:
        for name, text in cell.labels.items():
            found.setdefault(name, {})[text] = None
    return {name: list(texts) for name, texts in found.items()}


def swept_values(cells: Iterable[Cell]) -> dict[str, list[str]]:
    """Return the values that the sweep gives in some cell, as YAML by short name, each once."""
    found: dict[str, dict[str, None]] = {}
    for cell in cells:
        for path, value in cell.swept.items():
            found.setdefault(short_name(path), {})[as_yaml(value)] = None
    return {name: list(values) for name, values in found.items()}


def setting_value(settings: Mapping[str, Any], path: Sequence[str]) -> Any:
    """Return the setting at ``path`` of canonical settings, or None where there is none."""
    value: Any = settings
    for key in path:
        if not isinstance(value, Mapping) or key not in value:
            return None
        value = value[key]
    return value


def same_value(resolved: Any, written: Any) -> bool:
    """Return whether a resolved setting is what a spec writes: ``adam`` is ``{name: adam, …}``."""
    if isinstance(resolved, Mapping):
        named = resolved.get("name", resolved.get("dataset"))
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
