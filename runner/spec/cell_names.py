"""Names of cells: in words, unique within an experiment, and as commands take them.

Labels are enough where they differ; swept settings are added to labels that several cells share.
Knows nothing of what settings mean.
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
    """Return a unique one-line name for each combination of an experiment.

    A name is the labels, or else the swept settings; combinations with equal labels also get the
    swept settings in which they differ. Without a sweep the only name is "".

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
    """Return the name of a cell's run within its experiment: the cell's, the fold, the seed."""
    fold = f" fold={cell.fold}" if cell.fold else ""
    return f"{cell.name}{fold} seed={cell.seed}".strip()


def cell_reference(
    experiment: str, position: int, seed: int | None, variant: str, fold: int = 0
) -> str:
    """Return ``experiment:position[:seed[:fold]][@variant]``; without a seed it means all seeds.

    Args:
        experiment: its name.
        position: of the combination.
        seed: None for all.
        variant: "" for the spec as written.
        fold: from 1, 0 where there are none.
    """
    name = f"{experiment}:{position}" + ("" if seed is None else f":{seed}")
    name += f":{fold}" if fold else ""
    return f"{name}@{variant}" if variant else name


def settings_words(settings: Mapping[str, Any]) -> str:
    """Return settings, given by dotted path, in one line with short names."""
    return " ".join(
        f"{short_name(path)}={as_yaml(_shortest(path, value))}" for path, value in settings.items()
    )


def _shortest(path: str, value: Any) -> Any:
    """Return a pipeline without a probability of its own as its list of steps, others unchanged."""
    if path == PIPELINE and isinstance(value, Mapping) and set(value) == {"p", "steps"}:
        return value["steps"] if value["p"] == WHOLE_PIPELINE else value
    return value


def _alike(names: Mapping[int, str]) -> Iterator[list[int]]:
    """Yield the positions of each name that occurs more than once."""
    positions: dict[str, list[int]] = {}
    for position, name in names.items():
        positions.setdefault(name, []).append(position)
    yield from (each for each in positions.values() if len(each) > 1)


def _varying(swept: Sequence[Mapping[str, Any]]) -> set[str]:
    """Return the paths that are not equal in all of these."""
    first = swept[0]
    return {
        path
        for each in swept[1:]
        for path in {*first, *each}
        if path not in first or path not in each or first[path] != each[path]
    }
