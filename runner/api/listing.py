"""The verbs `list` and `show`: what is recorded, and where a number comes from."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from runner.api.finding import find_record, known_experiment
from runner.api.workspace import DEFAULT_DATABASE, REFERENCE, workspace
from runner.spec.cell_names import Given, cell_names, cell_reference
from runner.spec.names import short_name
from runner.spec.nodes import as_yaml
from runner.spec.variants import variant_options
from runner.store.database import Database
from runner.store.queries import run_rows, stored_cells

if TYPE_CHECKING:
    import pandas as pd

CELL_COLUMNS = [
    *("experiment", "variant", "position", "seed", "labels", "swept", "run", "status"),
    *("best_epoch", "last_epoch", "val_accuracy", "test_accuracy", "seconds"),
]


def list_runs(experiment: str | None = None, db: str | Path | None = None) -> pd.DataFrame:
    """Return one row per cell, with the columns in ``CELL_COLUMNS``.

    Args:
        experiment: only of this experiment.
        db: the database; results.db when not given.

    Raises:
        UsageError: for an unknown experiment.
    """
    import pandas as pd

    database = workspace(db).open(create=False)
    try:
        return pd.DataFrame(cell_rows(database, experiment), columns=CELL_COLUMNS)
    finally:
        database.close()


def cell_rows(database: Database, experiment: str | None = None) -> list[dict[str, Any]]:
    """Return one mapping per cell; see :func:`list_runs`.

    Beside its columns, each has ``cell``, the name by which other commands know it, and ``name``,
    what it is called in words.

    Raises:
        UsageError: for an unknown experiment.
    """
    if experiment is not None:
        known_experiment(database, experiment)
    rows = run_rows(database, experiment)
    given: dict[tuple[str, str], dict[int, Given]] = {}
    for row in rows:
        mine = given.setdefault((row["experiment"], row["variant"]), {})
        mine[row["position"]] = (row["labels"], row["swept"])
    names = {which: cell_names(cells) for which, cells in given.items()}
    return [
        {
            "cell": _reference(row),
            **row,
            "name": names[row["experiment"], row["variant"]][row["position"]],
        }
        for row in rows
    ]


def _reference(cell: Mapping[str, Any]) -> str:
    """Return what other commands call a row or cell of a record."""
    return cell_reference(cell["experiment"], cell["position"], cell["seed"], cell["variant"])


def show(name: str, db: str | Path | None = None) -> dict[str, Any]:
    """Return everything recorded of a run.

    Args:
        name: the beginning of a run key, or a cell as ``experiment:position`` or
            ``experiment:position:seed``, of a variant with ``@variant`` behind it.
        db: the database; results.db when not given.

    Raises:
        UsageError: when nothing or several runs are meant.
    """
    database = workspace(db).open(create=False)
    try:
        record = find_record(database, name)
        _name_cells(database, record["cells"])
    finally:
        database.close()
    record["command"] = make_again(record["cells"], db)
    return record


def _name_cells(database: Database, cells: Sequence[dict[str, Any]]) -> None:
    """Give cells of a record what :func:`cell_rows` gives them: ``cell`` and ``name``."""
    names: dict[tuple[str, str], dict[int, str]] = {}
    for experiment in dict.fromkeys(cell["experiment"] for cell in cells):
        given: dict[str, dict[int, Given]] = {}
        for each in stored_cells(database, experiment):
            given.setdefault(each.variant, {})[each.position] = (each.labels, each.swept)
        names |= {(experiment, variant): cell_names(mine) for variant, mine in given.items()}
    for cell in cells:
        cell["cell"] = _reference(cell)
        cell["name"] = names[cell["experiment"], cell["variant"]][cell["position"]]


def make_again(cells: list[Mapping[str, Any]], db: str | Path | None = None) -> str:
    """Return the command that makes a run again, from one of its cells."""
    if not cells:
        return ""
    cell = next((each for each in cells if not each["variant"]), cells[0])
    words = ["runner", "run", str(cell["path"]), "--rerun", *variant_options(cell["variant"])]
    labels = cell["labels"]
    for name, text in labels.items():
        words += ["--only", f"{name}={text}"]
    for path, value in cell["swept"].items():
        name = short_name(path)  # one that is a label's, too, would mean the label
        words += ["--only", f"{path if name in labels else name}={as_yaml(value)}"]
    words += ["--only", f"seed={cell['seed']}"]
    own = db is not None and str(db) not in (DEFAULT_DATABASE, REFERENCE)
    words += ["--db", str(db)] if own else []
    return " ".join(shlex.quote(word) for word in words)
