"""What changed of an experiment since another version of it was finished: spec, cells, numbers."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from statistics import fmean
from typing import Any

from runner.api.comparing import leaves
from runner.report.page.structure import Structure
from runner.spec.cell_names import cell_names
from runner.store.database import Database
from runner.store.finished_grids import FinishedGrid, last_finished
from runner.store.watched import WatchedCell
from runner.store.watched_numbers import AT_END, end_numbers

MOST = 30
"""Combinations that are shown, and names of them."""

Numbers = Mapping[str, Mapping[str, float]]


def since_finished(database: Database, structure: Structure) -> dict[str, Any] | None:
    """Return what changed since the last finished version of an experiment, as JSON values.

    Combinations are the same where their labels and swept settings are; cells, where seed and fold
    are, too.

    Returns:
        None where no other version was ever finished, or ``recorded`` (when that one was run last,
        seconds since 1970); ``spec``: what differs in the spec, with ``name``, ``first`` and
        ``second``; ``cells``: how many have the same run (``same``), another one (``other``), or
        are in one version alone (``new``, ``gone``); ``new`` and ``gone``: names of combinations;
        ``moved``: combinations whose runs are others and done in both versions, with ``cell``,
        ``name`` and ``numbers`` (by metric before and now, means over seeds and folds), those that
        moved most in front, and ``runs``, how many; ``more``: how many of these are left out.

    Raises:
        DamagedDatabase: when something of it is not what was recorded.
    """
    before = last_finished(database, structure.stored.id)
    if before is None:
        return None
    was = {_place(each): str(each["run_key"]) for each in before.cells}
    now = {_place(_recorded(each)): each.run_key for each in structure.cells}
    others = {place for place in was.keys() & now.keys() if was[place] != now[place]}
    numbers = end_numbers(database, {side[place] for place in others for side in (was, now)})
    moved = _moved(structure, others, was, numbers)
    parts = {each["position"]: (each["labels"], each["swept"]) for each in before.cells}
    known = {_combination(each) for each in before.cells}
    there = {_combination(_recorded(each)) for each in structure.cells}
    return {
        "recorded": before.recorded,
        "spec": list(_differences(before, structure)),
        "cells": {
            "same": len(was.keys() & now.keys()) - len(others),
            "other": len(others),
            "new": len(now.keys() - was.keys()),
            "gone": len(was.keys() - now.keys()),
        },
        "new": _named(structure.names, map(_recorded, structure.cells), known),
        "gone": _named(cell_names(parts), before.cells, there),
        "moved": moved[:MOST],
        "more": max(0, len(moved) - MOST),
    }


def _recorded(cell: WatchedCell) -> Mapping[str, Any]:
    names = ("position", "seed", "fold", "labels", "swept")
    return {name: getattr(cell, name) for name in names}


def _combination(cell: Mapping[str, Any]) -> str:
    return json.dumps([cell["labels"], cell["swept"]], sort_keys=True)


def _place(cell: Mapping[str, Any]) -> tuple[str, int, int]:
    return _combination(cell), cell["seed"], cell["fold"]


def _differences(before: FinishedGrid, structure: Structure) -> Iterator[dict[str, Any]]:
    """Yield the settings in which two versions of a spec differ."""
    one, other = (dict(leaves(each)) for each in (before.document, structure.stored.document))
    for name in dict.fromkeys([*one, *other]):
        first, second = one.get(name), other.get(name)
        if first != second or (name in one) != (name in other):
            yield {"name": name, "first": first, "second": second}


def _named(names: Mapping[int, str], cells: Any, known: set[str]) -> list[str]:
    """Return the names of combinations that another version does not have."""
    found = {each["position"] for each in cells if _combination(each) not in known}
    return [names[position] or "run" for position in sorted(found)]


def _moved(
    structure: Structure,
    others: set[tuple[str, int, int]],
    was: Mapping[tuple[str, int, int], str],
    numbers: Numbers,
) -> list[dict[str, Any]]:
    """Return the numbers of combinations before and now."""
    pairs: dict[int, list[tuple[WatchedCell, str]]] = {}
    for cell in structure.cells:
        place = _place(_recorded(cell))
        if place in others and cell.run_key in numbers and was[place] in numbers:
            pairs.setdefault(cell.position, []).append((cell, was[place]))
    rows = []
    for position, found in pairs.items():
        first = [numbers[earlier] for _, earlier in found]
        second = [numbers[cell.run_key] for cell, _ in found]
        means = {
            name: [fmean(each[name] for each in side) for side in (first, second)]
            for name in AT_END
            if all(name in each for each in (*first, *second))
        }
        name = structure.names[position] or "run"
        row = {"cell": structure.cell_id(found[0][0]), "name": name, "numbers": means}
        rows.append(row | {"runs": len(found)})
    return sorted(rows, key=_gap, reverse=True)


def _gap(row: Mapping[str, Any]) -> float:
    """Return by how much the first metric that both versions have moved."""
    pairs: Sequence[Sequence[float]] = list(row["numbers"].values())
    return abs(pairs[0][0] - pairs[0][1]) if pairs else -1.0
