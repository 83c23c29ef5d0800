"""The verbs `list` and `show`: what is recorded, and where a number comes from."""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from runner.api.workspace import DEFAULT_DATABASE, REFERENCE, Workspace, workspace
from runner.core.errors import UsageError, nearest
from runner.spec.names import short_name
from runner.spec.nodes import as_yaml
from runner.spec.variants import variant_options
from runner.store.database import Database
from runner.store.queries import find_runs, run_record, run_rows, stored_experiments

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

    Raises:
        UsageError: for an unknown experiment.
    """
    if experiment is not None:
        known_experiment(database, experiment)
    return run_rows(database, experiment)


def show(name: str, db: str | Path | None = None) -> dict[str, Any]:
    """Return everything recorded of a run.

    Args:
        name: the beginning of a run key, or a cell as ``experiment:position`` or
            ``experiment:position:seed``.
        db: the database; results.db when not given.

    Raises:
        UsageError: when nothing or several runs are meant.
    """
    place = workspace(db)
    database = place.open(create=False)
    try:
        record = run_record(database, resolve_run(database, name))
        record["changed_code"] = list(_changed(database, place, record))
    finally:
        database.close()
    record["command"] = make_again(record["cells"], db)
    return record


def _changed(database: Database, place: Workspace, record: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the modules that a run used and that now have other code; none of the reference's."""
    from pydantic import ValidationError

    from runner.api.changed_code import changed_modules
    from runner.api.sources import Sources
    from runner.spec.settings import Settings

    if place.database_path == REFERENCE or record["result"] is None:
        return ()
    try:
        settings = Settings.model_validate_json(json.dumps(record["settings"]))
    except ValidationError:  # of a component that is not there any more
        return ()
    return changed_modules(database, Sources(place.folder), record["run_key"], settings)


def resolve_run(database: Database, name: str) -> str:
    """Return the run key that ``name`` means; see :func:`show`."""
    found = _runs_of_cell(database, name) if ":" in name else find_runs(database, name)
    if len(found) == 1:
        return found[0]
    if not found:
        raise UsageError(f"no run '{name}'; `runner list` shows all")
    shown = ", ".join(key[:12] for key in found[:8]) + (", …" if len(found) > 8 else "")
    raise UsageError(f"'{name}' means {len(found)} runs: {shown}")


def _runs_of_cell(database: Database, name: str) -> list[str]:
    experiment, _, rest = name.partition(":")
    numbers = rest.split(":")
    if not all(number.isdigit() for number in numbers):
        raise UsageError(f"'{name}' is not experiment:position or experiment:position:seed")
    rows = run_rows(database, known_experiment(database, experiment))
    wanted = [row for row in rows if row["position"] == int(numbers[0]) and not row["variant"]]
    if len(numbers) > 1:
        wanted = [row for row in wanted if row["seed"] == int(numbers[1])]
    if len(numbers) == 1 and len({row["run"] for row in wanted}) > 1:
        seeds = ", ".join(f"{name}:{row['seed']}" for row in wanted)
        raise UsageError(f"'{name}' has {len(wanted)} seeds; which one?\n    there are: {seeds}")
    return list(dict.fromkeys(row["run"] for row in wanted))


def known_experiment(database: Database, name: str) -> str:
    """Return the name, if an experiment has it.

    Raises:
        UsageError: when none has.
    """
    names = list(dict.fromkeys(stored.name for stored in stored_experiments(database)))
    if name in names:
        return name
    suggestion = nearest(name, names)
    hint = f"\n    did you mean: {suggestion}" if suggestion else ""
    listed = ", ".join(names) or "none"
    raise UsageError(f"no experiment '{name}'{hint}\n    there are: {listed}")


def make_again(cells: list[Mapping[str, Any]], db: str | Path | None = None) -> str:
    """Return the command that makes a run again, from one of its cells."""
    if not cells:
        return ""
    cell = next((each for each in cells if not each["variant"]), cells[0])
    words = ["runner", "run", str(cell["path"]), "--rerun", *variant_options(cell["variant"])]
    for text in cell["labels"].values():
        words += ["--only", text]
    for path, value in cell["swept"].items():
        words += ["--only", f"{short_name(path)}={as_yaml(value)}"]
    words += ["--only", f"seed={cell['seed']}"]
    own = db is not None and str(db) not in (DEFAULT_DATABASE, REFERENCE)
    words += ["--db", str(db)] if own else []
    return " ".join(shlex.quote(word) for word in words)
