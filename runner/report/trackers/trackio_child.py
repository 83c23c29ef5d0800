"""The process in which trackio works: started as a file of its own, it knows nothing of runner.

A line of JSON asks for one of the functions here, with arguments by name; a line of JSON answers.
Numbers are stored as trackio's own imports store them, with the moments at which they were
measured; of a run, numbers and settings are stored in one transaction.
"""

from __future__ import annotations

import json
import os
import re
import sys
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from itertools import count
from typing import Any

import trackio
from trackio.sqlite_storage import SQLiteStorage

EXPERIMENT = "runner.experiment"
"""In a project's metadata: of which experiment it is."""

STATE = "_runner"
"""In a run's settings, hidden by trackio: how far the run is there."""

NO_PROJECT = re.compile(r"[^\w-]+")
"""What trackio leaves out of the name of a project's file, so that other names could be its."""

LONGEST = 60


def find_project(experiment: str) -> dict[str, Any]:
    """Return the project of an experiment, which need not be there, and what runs it has, by id."""
    name = next(each for each in _names(experiment) if _is_free(each, experiment))
    configs = SQLiteStorage.get_all_run_configs(name)
    runs = {
        key: {"name": each["name"], "state": configs.get(key, {}).get(STATE)}
        for each in SQLiteStorage.get_run_records(name)
        if (key := each["id"]) is not None
    }
    return {"name": name, "runs": runs}


def log(
    project: str,
    experiment: str,
    key: str,
    name: str,
    config: dict[str, Any],
    rows: Sequence[tuple[int, float, dict[str, Any]]],
    replaced: bool,
) -> None:
    """Add numbers, tables and pictures to a run.

    Args:
        project: its name.
        experiment: whose project it is.
        key: the run's id.
        name: the run's name.
        config: settings, which take the place of earlier ones.
        rows: step, moment in seconds since 1970 (UTC), and values by name, each a number, a table
            ``{"rows": [...]}`` or a picture ``{"picture": path}``.
        replaced: whether what is there of the run is removed before.

    Raises:
        RuntimeError: when it cannot be removed.
    """
    if SQLiteStorage.get_project_metadata(project, EXPERIMENT) is None:
        SQLiteStorage.set_project_metadata(project, EXPERIMENT, experiment)
    if replaced and not SQLiteStorage.delete_run(project, name, run_id=key):
        raise RuntimeError(f"the run '{name}' of {project} cannot be replaced")
    SQLiteStorage.bulk_log(
        project=project,
        run=name,
        run_id=key,
        metrics_list=[
            {each: _stored(project, name, step, value) for each, value in values.items()}
            for step, _, values in rows
        ],
        steps=[step for step, _, _ in rows],
        timestamps=[_moment(moment) for _, moment, _ in rows],
        config=config,
    )


ASKED: dict[str, Callable[..., Any]] = {"find_project": find_project, "log": log}


def _names(experiment: str) -> Iterator[str]:
    """Yield names that the project may have: others may have the first ones, or trackio itself."""
    name = NO_PROJECT.sub("-", experiment).strip("-")[:LONGEST]
    yield name
    for number in count(2):
        yield f"runner-{name}-{number}"


def _is_free(name: str, experiment: str) -> bool:
    try:
        SQLiteStorage.validate_project_name(name)
    except ValueError:
        return False
    return SQLiteStorage.get_project_metadata(name, EXPERIMENT) in (None, experiment)


def _stored(project: str, run: str, step: int, value: Any) -> Any:
    """Return a value as trackio stores it; of a picture, a copy is put beside the project."""
    if not isinstance(value, dict):
        return value
    if "rows" in value:
        return trackio.Table(data=value["rows"])._to_dict(project, run, step)
    picture = trackio.Image(value["picture"])
    picture._save(project, run, step)
    return picture._to_dict()


def _moment(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="microseconds")


def main() -> None:
    """Answer until nothing more is asked."""
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "w", encoding="utf-8")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())  # what trackio prints is no answer
    for line in sys.stdin:
        name, arguments = json.loads(line)
        try:
            found = {"answer": ASKED[name](**arguments)}
        except Exception as error:
            found = {"error": f"{type(error).__name__}: {error}"}
        answers.write(json.dumps(found) + "\n")
        answers.flush()


if __name__ == "__main__":
    main()
