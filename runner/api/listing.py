"""The verbs `list` and `show`: what is recorded, and where a number comes from."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from runner.api.workspace import workspace
from runner.core.errors import UsageError
from runner.spec.names import short_name
from runner.store.database import Database
from runner.store.queries import find_runs, run_record, run_rows

if TYPE_CHECKING:
    import pandas as pd


def list_runs(experiment: str | None = None, db: str | Path | None = None) -> pd.DataFrame:
    """Return one row per cell: experiment, variant, position, seed, labels, run, status, numbers.

    Args:
        experiment: only of this experiment.
        db: the database; results.db when not given.
    """
    import pandas as pd

    database = workspace(db).open(create=False)
    try:
        return pd.DataFrame(run_rows(database, experiment))
    finally:
        database.close()


def show(name: str, db: str | Path | None = None) -> dict[str, Any]:
    """Return everything recorded of a run.

    Args:
        name: the beginning of a run key, or a cell as ``experiment:position`` or
            ``experiment:position:seed``.
        db: the database; results.db when not given.

    Raises:
        UsageError: when nothing or several runs are meant.
    """
    database = workspace(db).open(create=False)
    try:
        record = run_record(database, resolve_run(database, name))
    finally:
        database.close()
    record["command"] = make_again(record["cells"])
    return record


def resolve_run(database: Database, name: str) -> str:
    """Return the run key that ``name`` means; see :func:`show`."""
    found = _runs_of_cell(database, name) if ":" in name else find_runs(database, name)
    if len(found) == 1:
        return found[0]
    if not found:
        raise UsageError(f"no run '{name}'; `runner list` shows all")
    shown = ", ".join(key[:12] for key in found[:8])
    raise UsageError(f"'{name}' means {len(found)} runs: {shown}")


def _runs_of_cell(database: Database, name: str) -> list[str]:
    experiment, _, rest = name.partition(":")
    numbers = rest.split(":")
    if not all(number.isdigit() for number in numbers):
        raise UsageError(f"'{name}' is not experiment:position or experiment:position:seed")
    rows = run_rows(database, experiment)
    wanted = [row for row in rows if row["position"] == int(numbers[0]) and not row["variant"]]
    if len(numbers) > 1:
        wanted = [row for row in wanted if row["seed"] == int(numbers[1])]
    return list(dict.fromkeys(row["run"] for row in wanted))


def make_again(cells: list[Mapping[str, Any]]) -> str:
    """Return the command that makes a run again, from one of its cells."""
    if not cells:
        return ""
    cell = next((each for each in cells if not each["variant"]), cells[0])
    words = ["runner", "run", str(cell["path"]), "--rerun"]
    for text in cell["labels"].values():
        words += ["--only", text]
    for path, value in cell["swept"].items():
        named = value.get("name", value.get("dataset")) if isinstance(value, dict) else value
        words += ["--only", f"{short_name(path)}={_yaml(named)}"]
    words += ["--only", f"seed={cell['seed']}"]
    return " ".join(shlex.quote(word) for word in words)


def _yaml(value: Any) -> str:
    if isinstance(value, bool) or value is None:
        return str(value).lower().replace("none", "null")
    if isinstance(value, list | tuple):
        return "[" + ", ".join(_yaml(item) for item in value) + "]"
    return str(value)
