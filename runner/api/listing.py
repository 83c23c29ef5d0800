"""The verb `list`: every recorded cell with its run, status and accuracies."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from runner.api.frames import Framed
from runner.bind.named_runs import check_variant, known_experiment
from runner.bind.workspace import workspace
from runner.spec.cell_names import Given, cell_names, cell_reference
from runner.store.database import Database
from runner.store.queries import run_rows

if TYPE_CHECKING:
    import pandas as pd

CELL_COLUMNS = [
    *("experiment", "variant", "position", "seed", "fold", "labels", "swept", "run", "status"),
    *("best_epoch", "last_epoch", "val_accuracy", "test_accuracy", "seconds"),
]


@dataclass(frozen=True, slots=True, repr=False)
class CellList(Framed):
    """Recorded cells.

    Attributes:
        rows: one mapping per cell: the columns in ``CELL_COLUMNS``, ``cell``, the name by which
            other commands know it, and ``name``, what it is called in words.
        left_out: how many unfinished cells of which (experiment, variant) are not among them.
    """

    rows: tuple[Mapping[str, Any], ...]
    left_out: Mapping[tuple[str, str], int]

    def frame(self) -> pd.DataFrame:
        """Return one row per cell, with the columns in ``CELL_COLUMNS``."""
        return cell_frame(self.rows)


def cell_frame(rows: Iterable[Mapping[str, Any]]) -> pd.DataFrame:
    """Return rows of cells as a DataFrame, with the columns in ``CELL_COLUMNS``."""
    import pandas as pd

    return pd.DataFrame(list(rows), columns=CELL_COLUMNS)


def list_runs(
    experiment: str | None = None, db: str | Path | None = None, variant: str | None = None
) -> CellList:
    """Return the recorded cells.

    A variant is often begun to try a spec, and never ended: its cells without a result would hide
    those of the specs as written.

    Args:
        experiment: only of this experiment.
        db: the database; results.db when not given.
        variant: only of this variant, "" for the specs as written. When it is not given, all are
            listed, but of variants no unfinished cells.

    Raises:
        UsageError: for an unknown experiment or variant.
    """
    with workspace(db).open(create=False) as database:
        if experiment is not None:
            known_experiment(database, experiment)
        rows = _named_rows(database, experiment)
    if variant is not None:
        check_variant(variant, [row["variant"] for row in rows], experiment or "")
        return CellList(tuple(row for row in rows if row["variant"] == variant), {})
    listed, left_out = [], Counter[tuple[str, str]]()
    for row in rows:
        if row["variant"] and row["status"] == "unfinished":
            left_out[row["experiment"], row["variant"]] += 1
        else:
            listed.append(row)
    return CellList(tuple(listed), left_out)


def _named_rows(database: Database, experiment: str | None) -> list[dict[str, Any]]:
    """Return all rows of some experiments with what their cells are called."""
    rows = run_rows(database, experiment)
    given: dict[tuple[str, str], dict[int, Given]] = {}
    for row in rows:
        of_variant = given.setdefault((row["experiment"], row["variant"]), {})
        of_variant[row["position"]] = (row["labels"], row["swept"])
    names = {which: cell_names(cells) for which, cells in given.items()}
    return [
        {
            "cell": recorded_reference(row),
            **row,
            "name": names[row["experiment"], row["variant"]][row["position"]],
        }
        for row in rows
    ]


def recorded_reference(cell: Mapping[str, Any]) -> str:
    """Return what other commands call a recorded cell, from its row."""
    return cell_reference(
        cell["experiment"], cell["position"], cell["seed"], cell["variant"], cell["fold"]
    )
