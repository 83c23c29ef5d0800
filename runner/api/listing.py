"""The verbs `list` and `show`: what is recorded, and where a number comes from."""

from __future__ import annotations

import json
import shlex
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from runner.bind.named_runs import check_variant, find_record, known_experiment
from runner.bind.workspace import DEFAULT_DATABASE, REFERENCE, Workspace, workspace
from runner.spec.cell_names import Given, cell_names, cell_reference
from runner.spec.names import short_name
from runner.spec.nodes import as_yaml
from runner.spec.variants import variant_options
from runner.store.database import Database
from runner.store.queries import run_rows
from runner.store.stored_cells import stored_cells

if TYPE_CHECKING:
    import pandas as pd

CELL_COLUMNS = [
    *("experiment", "variant", "position", "seed", "labels", "swept", "run", "status"),
    *("best_epoch", "last_epoch", "val_accuracy", "test_accuracy", "seconds"),
]


@dataclass(frozen=True, slots=True)
class Listed:
    """What `list` shows.

    Attributes:
        rows: one mapping per cell: the columns in ``CELL_COLUMNS``, ``cell``, the name by which
            other commands know it, and ``name``, what it is called in words.
        left_out: how many unfinished cells of which (experiment, variant) are not among them.
    """

    rows: list[dict[str, Any]]
    left_out: Mapping[tuple[str, str], int]


def list_runs(
    experiment: str | None = None, db: str | Path | None = None, variant: str | None = None
) -> pd.DataFrame:
    """Return one row per cell, with the columns in ``CELL_COLUMNS``.

    Args:
        experiment: only of this experiment.
        db: the database; results.db when not given.
        variant: only of this variant, "" for the specs as written. When it is not given, all are
            shown, but of variants no unfinished cells.

    Raises:
        UsageError: for an unknown experiment or variant.
    """
    import pandas as pd

    with workspace(db).open(create=False) as database:
        listed = listed_cells(database, experiment, variant)
        return pd.DataFrame(listed.rows, columns=CELL_COLUMNS)


def listed_cells(
    database: Database, experiment: str | None = None, variant: str | None = None
) -> Listed:
    """Return what is shown of the recorded cells; see :func:`list_runs`.

    A variant is often begun to try a spec, and never ended: its cells without a result would hide
    those of the specs as written.

    Raises:
        UsageError: for an unknown experiment or variant.
    """
    if experiment is not None:
        known_experiment(database, experiment)
    rows = _named(run_rows(database, experiment))
    if variant is not None:
        check_variant(variant, [row["variant"] for row in rows], experiment or "")
        return Listed([row for row in rows if row["variant"] == variant], {})
    is_shown = [not row["variant"] or row["status"] != "unfinished" for row in rows]
    left_out = Counter(
        (row["experiment"], row["variant"])
        for row, shown in zip(rows, is_shown, strict=True)
        if not shown
    )
    return Listed([row for row, shown in zip(rows, is_shown, strict=True) if shown], left_out)


def _named(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return all rows of some experiments with what their cells are called."""
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
    place = workspace(db)
    with place.open(create=False) as database:
        record = find_record(database, name)
        _name_cells(database, record["cells"])
        record["changed_code"] = list(_changed(database, place, record))
    record["command"] = make_again(record["cells"], db)
    return record


def _name_cells(database: Database, cells: Sequence[dict[str, Any]]) -> None:
    """Give cells of a record their names, as those of :class:`Listed` have them."""
    names: dict[tuple[str, str], dict[int, str]] = {}
    for experiment in dict.fromkeys(cell["experiment"] for cell in cells):
        given: dict[str, dict[int, Given]] = {}
        for each in stored_cells(database, experiment):
            given.setdefault(each.variant, {})[each.position] = (each.labels, each.swept)
        names |= {(experiment, variant): cell_names(mine) for variant, mine in given.items()}
    for cell in cells:
        cell["cell"] = _reference(cell)
        cell["name"] = names[cell["experiment"], cell["variant"]][cell["position"]]


def _changed(database: Database, place: Workspace, record: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the modules that a run used and that now have other code; none of the reference's."""
    from pydantic import ValidationError

    from runner.bind.changed_code import changed_modules
    from runner.bind.code_digests import Sources
    from runner.components.settings import Settings

    if place.database_path == REFERENCE or record["result"] is None:
        return ()
    try:
        settings = Settings.model_validate_json(json.dumps(record["settings"]))
    except ValidationError:  # of a component that is not there any more
        return ()
    return changed_modules(database, Sources(place.folder), record["run_key"], settings)


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
