"""The numbers of each finished run beside the settings that its sweep gave it.

For figures of a metric against a setting, and for parallel coordinates.
"""

from __future__ import annotations

from typing import Any

from runner.report.page.structure import Structure
from runner.spec.names import short_name
from runner.store.database import Database
from runner.store.watched_numbers import summary_numbers

METRICS = ("val_accuracy", "test_accuracy", "max_val_accuracy", "val_loss", "train_loss", "seconds")
"""Columns of `run_summary` that are drawn, the first that any run has in front."""


def measured_points(database: Database, structure: Structure) -> dict[str, Any]:
    """Return settings and numbers of an experiment's runs, as JSON values.

    Returns:
        ``settings``: swept settings of more than one value, as (path, short name) pairs;
        ``metrics``: names of numbers that any run has; ``points``: for each finished run its
        ``cell`` (id), ``name``, ``settings`` and ``metrics`` by these paths and names.
    """
    numbers = summary_numbers(database, structure.run_keys, METRICS)
    values: dict[str, list[Any]] = {}
    for cell in structure.cells:
        for path, value in cell.swept.items():
            known = values.setdefault(path, [])
            if value not in known:
                known.append(value)
    paths = [path for path, known in values.items() if len(known) > 1]
    points: list[dict[str, Any]] = [
        {
            "cell": structure.cell_id(cell),
            "position": cell.position,
            "name": structure.names[cell.position],
            "settings": {path: cell.swept.get(path) for path in paths},
            "metrics": numbers[cell.run_key],
        }
        for cell in structure.cells
        if cell.run_key in numbers
    ]
    found = {name for point in points for name in point["metrics"]}
    return {
        "settings": [[path, short_name(path)] for path in paths],
        "metrics": [name for name in METRICS if name in found],
        "points": points,
    }
