"""trackio: a project for each experiment in a folder of its own format, which `trackio show` shows.

How far a run is there stands in its settings, stored with the numbers that it speaks of: what a
killed export has begun is not there at all.
"""

from __future__ import annotations

import hashlib
import json
import sqlite3
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Self
from urllib.parse import quote

from runner.bind.exported_cells import ExportedCell
from runner.core.errors import UsageError
from runner.core.text import printable
from runner.report.tables.table import to_records
from runner.report.trackers.folder_tracker import FolderTracker
from runner.report.trackers.pictures import TrackedPicture
from runner.report.trackers.tracker import Point, Result, TrackedRun, TrackedTable
from runner.report.trackers.trackio_process import TrackioProcess
from runner.report.trackers.written import Written, written

TABLES, FIGURES = "tables", "figures"
"""Runs of their own, by id and name."""

STATE, GROUP, CREATED = "_runner", "_Group", "_Created"
"""Settings that trackio does not show as such: the first is ours, the others are its own."""

REGISTRY = "registry-"
"""What files of trackio that are no projects begin with."""

PROJECT_TABLES = {"metrics", "configs"}

Row = tuple[int, float, dict[str, Any]]
"""Step, moment, and values by name."""


@dataclass
class Known:
    """What is there of a run.

    Attributes:
        name: that it has now: people may rename it there.
        state: what an export has left with it, "" where none has.
    """

    name: str
    state: str

    def written(self) -> Written | None:
        """Return how far a run is there, None where nothing says so."""
        try:
            return Written.from_json(json.loads(self.state))
        except (ValueError, TypeError, KeyError, AttributeError):
            return None


@dataclass
class Project:
    """What is there of an experiment.

    Attributes:
        name: of the project.
        runs: by id.
    """

    name: str
    runs: dict[str, Known]


class TrackioTracker(FolderTracker):
    """Projects in ``FOLDER``, each an SQLite file that the package writes; pictures beside them."""

    kind = "trackio"
    needs = ("trackio",)
    extra = "trackio"
    default = "exports/trackio"
    look = "TRACKIO_DIR={place} trackio show"

    def __init__(self, place: str) -> None:
        """Begin nothing yet.

        Args:
            place: the folder; it need not be there.

        Raises:
            UsageError: when it cannot be written, or holds databases that are not trackio's.
        """
        super().__init__(place)
        _refuse_others(self._place)
        self._process = TrackioProcess(self._place)

    def __enter__(self) -> Self:
        super().__enter__()
        self._projects: dict[str, Project] = {}
        return self

    def close(self) -> None:
        """End the process in which trackio works."""
        self._process.close()

    def has(self, cell: ExportedCell, result: Result) -> bool:
        """Return whether the run of a cell is there with this result."""
        found = self._project(cell.group).runs.get(f"{cell.cell.run_key}-{result.rerun}")
        state = None if found is None else found.written()
        return state is not None and state.result == result

    def write(self, run: TrackedRun) -> None:
        """Add what is not there yet, or all anew where what is there is no beginning of it."""
        project = self._project(run.group)
        there = project.runs.get(run.identity)
        points = run.all_points()
        now, state = written(run, points), None if there is None else there.written()
        if state == now:
            return
        goes_on = state is not None and state.goes_on(run, points)
        new = state.new(points) if state is not None and goes_on else points
        config = {
            **run.tags(),
            **run.settings(),
            GROUP: run.where.name or run.group,
            CREATED: datetime.fromtimestamp(run.started, UTC).isoformat(),
        }
        rows = _rows(new) or [(0, run.ended, {})]  # trackio knows runs by their rows
        name = there.name if there is not None else _free_name(run, project)
        replaced = there is not None and not goes_on
        self._log(run.group, run.identity, Known(name, _text(now)), config, rows, replaced)

    def write_tables(self, tables: Sequence[TrackedTable]) -> None:
        """Add the tables that have changed as a further step of a run of their own."""
        for group in dict.fromkeys(table.group for table in tables):
            own = {each.name: to_records(each.data) for each in tables if each.group == group}
            contents = {name: {"rows": records} for name, records in own.items() if records}
            digests = {name: _digest(records) for name, records in own.items() if records}
            self._add_changed(group, TABLES, contents, digests)

    def write_pictures(self, pictures: Sequence[TrackedPicture]) -> None:
        """Add the pictures that have changed as a further step of a run of their own."""
        for group in dict.fromkeys(picture.group for picture in pictures):
            own = {each.name: each for each in pictures if each.group == group}
            contents = {name: {"picture": str(each.path.resolve())} for name, each in own.items()}
            digests = {name: each.digest() for name, each in own.items()}
            self._add_changed(group, FIGURES, contents, digests)

    def _add_changed(
        self,
        group: str,
        kind: str,
        contents: Mapping[str, Mapping[str, Any]],
        digests: Mapping[str, str],
    ) -> None:
        there = self._project(group).runs.get(kind)
        step, known = (0, {}) if there is None else _state(there.state)
        changed = [name for name in digests if known.get(name) != digests[name]]
        if changed:
            name = kind if there is None else there.name
            now = Known(name, _text({"step": step + 1, "digests": {**known, **digests}}))
            values = {f"{kind}/{each}": contents[each] for each in changed}
            self._log(group, kind, now, {GROUP: kind}, [(step, time.time(), values)])

    def _log(
        self,
        group: str,
        key: str,
        run: Known,
        config: Mapping[str, Any],
        rows: Sequence[Row],
        replaced: bool = False,
    ) -> None:
        project = self._project(group)
        self._process.ask(
            "log",
            project=project.name,
            experiment=group,
            key=key,
            name=run.name,
            config={**config, STATE: run.state},
            rows=rows,
            replaced=replaced,
        )
        project.runs[key] = run

    def _project(self, group: str) -> Project:
        if group not in self._projects:
            found = self._process.ask("find_project", experiment=group)
            runs = {
                key: Known(each["name"], each["state"] or "") for key, each in found["runs"].items()
            }
            self._projects[group] = Project(found["name"], runs)
        return self._projects[group]


def _rows(points: Iterable[Point]) -> list[Row]:
    """Return numbers of the same step and moment together, in their order."""
    rows: dict[tuple[int, float], dict[str, Any]] = {}
    for point in points:
        rows.setdefault((point.step, point.moment), {})[point.name] = point.value
    return [(step, moment, values) for (step, moment), values in rows.items()]


def _free_name(run: TrackedRun, project: Project) -> str:
    """Return what a run is called that is not there yet: another one may have its name."""
    name, taken = printable(run.name), {each.name for each in project.runs.values()}
    names = (name, f"{name} {run.history.run_key[:8]}", f"{name} {run.identity}")
    return next((each for each in names if each not in taken), names[-1])


def _state(text: str) -> tuple[int, dict[str, str]]:
    """Return the next step of tables or pictures, and hashes of those that are there."""
    try:
        found = json.loads(text)
        return int(found["step"]), dict(found["digests"])
    except (ValueError, TypeError, KeyError):
        return 0, {}


def _text(state: Written | Mapping[str, Any]) -> str:
    return json.dumps(state.to_json() if isinstance(state, Written) else state)


def _digest(records: Sequence[Mapping[str, Any]]) -> str:
    return hashlib.sha256(json.dumps(records, default=str).encode()).hexdigest()[:16]


def _refuse_others(folder: Path) -> None:
    """Refuse a folder with databases that are not trackio's: it would take them for projects.

    Raises:
        UsageError: which names the first.
    """
    for path in sorted(folder.glob("*.db")):
        if not path.name.startswith(REGISTRY) and not _tables(path) >= PROJECT_TABLES:
            raise UsageError(
                f"{path} is no project of trackio, which would take it for one and change it",
                hint="give a folder of its own",
            )


def _tables(path: Path) -> set[str]:
    """Return the tables of a database, none of a file that is none."""
    try:
        database = sqlite3.connect(f"file:{quote(str(path))}?mode=ro", uri=True)
        try:
            found = database.execute("SELECT name FROM sqlite_master WHERE type = 'table'")
            return {str(name) for (name,) in found}
        finally:
            database.close()
    except sqlite3.Error:
        return set()
