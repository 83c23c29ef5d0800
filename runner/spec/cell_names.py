"""What cells are called: in words that tell them apart, and by place as commands take them.

Owns that no two cells of an experiment have one name: labels are enough where they differ, swept
settings stand beside labels that several cells share. Knows nothing of what settings mean.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from runner.core.run import Cell
from runner.spec.names import PIPELINE, WHOLE_PIPELINE, short_name
from runner.spec.nodes import as_yaml

Given = tuple[Mapping[str, str], Mapping[str, Any]]
"""What the spec gives a combination: labels by name, swept settings by dotted path."""


def cell_names(cells: Mapping[int, Given]) -> dict[int, str]:
    """Return what each combination of an experiment is called, in one line.

    Its labels, or else its swept settings; of combinations that share their labels, also the swept
    settings in which these differ. The only combination of a spec without a sweep is called "".

    Args:
        cells: all combinations of one experiment and variant, by position.
    """
    names = {
        position: ", ".join(labels.values()) if labels else settings_words(swept)
        for position, (labels, swept) in cells.items()
    }
    for alike in _alike(names):
        swept = {position: cells[position][1] for position in alike}
        varying = _varying(list(swept.values()))
        for position in alike:
            own = {path: value for path, value in swept[position].items() if path in varying}
            names[position] += f" ({settings_words(own)})" if own else ""
    for alike in _alike(names):  # a variant can make swept settings equal
        for position in alike:
            names[position] = f"{names[position]} (position {position})".strip()
    return names


def run_name(cell: Cell) -> str:
    """Return what the run of a cell is called among those of its experiment: with its seed."""
    return f"{cell.name} seed={cell.seed}".strip()


def cell_reference(experiment: str, position: int, seed: int | None, variant: str) -> str:
    """Return what commands call a cell, or with no seed those of all seeds, in one word or more."""
    name = f"{experiment}:{position}" + ("" if seed is None else f":{seed}")
    return f"{name}@{variant}" if variant else name


def settings_words(settings: Mapping[str, Any]) -> str:
    """Return settings by dotted path as short as they can be written, in one line."""
    return " ".join(
        f"{short_name(path)}={as_yaml(_shortest(path, value))}" for path, value in settings.items()
    )


def _shortest(path: str, value: Any) -> Any:
    """Return a setting as short as it can be written."""
    if path == PIPELINE and isinstance(value, Mapping) and set(value) == {"p", "steps"}:
        return value["steps"] if value["p"] == WHOLE_PIPELINE else value
    return value


def _alike(names: Mapping[int, str]) -> Iterator[list[int]]:
    """Yield the positions of each name that several have."""
    positions: dict[str, list[int]] = {}
    for position, name in names.items():
        positions.setdefault(name, []).append(position)
    yield from (each for each in positions.values() if len(each) > 1)


def _varying(swept: Sequence[Mapping[str, Any]]) -> set[str]:
    """Return the paths that some of these lack, or that have another value in some."""
    first = swept[0]
    return {
        path
        for each in swept[1:]
        for path in {*first, *each}
        if path not in first or path not in each or first[path] != each[path]
    }
