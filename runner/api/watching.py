"""What pages show of a database, while it may be written: read again and again, never written.

All values are JSON. An experiment's page is a mapping of items by id, so that two readings can be
compared.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from runner.api.comparing import compared, leaves
from runner.api.showing import record_in
from runner.api.since_finished import since_finished
from runner.bind.workspace import REFERENCE, Workspace, workspace
from runner.core.errors import StoreGone, UsageError, nearest
from runner.report.page.curves import Axis, CurveCell, curve_lines
from runner.report.page.overview import experiment_rows
from runner.report.page.points import measured_points
from runner.report.page.reading import ExperimentReading
from runner.report.page.structure import Structure, read_structure
from runner.report.tables.declared import fill
from runner.report.tables.render import render
from runner.spec.cell_names import cell_reference
from runner.store.addresses import address_of, short_name
from runner.store.queries import stored_experiments
from runner.store.reference import REFERENCE_FILE
from runner.store.watched import run_endings, structure_version
from runner.store.watching import CommitCounter, open_to_watch

Name = tuple[str, str]
"""Of an experiment: its name and its variant, "" for the spec as written."""


def database_of(home: Workspace) -> str | Path:
    """Return file or URL of a workspace's database, also where that is the reference."""
    return REFERENCE_FILE if home.database_path == REFERENCE else home.database_path


class Watch:
    """A database that is being looked at. Its methods are for one thread at a time."""

    def __init__(self, db: str | Path | None = None) -> None:
        """Open it.

        Args:
            db: the database; results.db when not given.

        Raises:
            UsageError: when it is not there, or is none of this program.
            DamagedDatabase: when it is not whole.
        """
        self._db = db
        self._home = workspace(db)
        self._where = database_of(self._home)
        is_reference = self._where == REFERENCE_FILE
        self.title = "reference results" if is_reference else short_name(address_of(self._where))
        self._database = open_to_watch(self._where)
        self._counter = CommitCounter(self._database)
        self._readings: dict[Name, tuple[Any, ExperimentReading]] = {}

    def has_moved(self) -> bool:
        """Return whether anybody has committed since the last question."""
        return self._counter.has_moved()

    def experiments(self) -> list[dict[str, Any]]:
        """Return a row for each experiment, the one run last first."""
        return experiment_rows(self._database)

    def items(self, name: Name) -> dict[str, Any]:
        """Return all that the page of an experiment shows now, by id.

        Raises:
            UsageError: for an unknown experiment.
            DamagedDatabase: when something of it is not what was recorded.
        """
        return self._reading(name).items(self._database)

    def first_items(self, name: Name) -> dict[str, Any]:
        """Return what is to be seen first of an experiment: cells and tables.

        Raises:
            UsageError: for an unknown experiment.
        """
        return self._reading(name).first_items(self._database)

    def is_whole(self, name: Name) -> bool:
        """Return whether :meth:`items` was read since the experiment was recorded last."""
        return self._reading(name).is_whole()

    def is_settled(self, name: Name) -> bool:
        """Return whether all that :meth:`items` shows has been held against its checksums."""
        return self._reading(name).is_settled()

    def check(self, name: Name) -> None:
        """Hold some more of what :meth:`items` shows against its checksums.

        Raises:
            UsageError: for an unknown experiment.
            DamagedDatabase: when something is not what was recorded.
        """
        self._reading(name).check(self._database)

    def curves(
        self, name: Name, positions: Sequence[int], metrics: Sequence[str], axis: Axis
    ) -> list[dict[str, Any]]:
        """Return the curves of some cells; see :func:`runner.report.page.curves.curve_lines`.

        Raises:
            UsageError: for an unknown experiment.
        """
        cells = self._curve_cells(self._reading(name).structure, positions)
        return curve_lines(self._database, cells, metrics, axis)

    def _curve_cells(self, structure: Structure, positions: Sequence[int]) -> list[CurveCell]:
        """Return cells with the runs that are drawn: as `plot`, without those that diverged or
        failed where another is done; unlike it, with those that train."""
        keys: dict[int, list[str]] = {}
        for cell in structure.cells:
            if cell.run_key and cell.position in positions:
                keys.setdefault(cell.position, []).append(cell.run_key)
        endings = run_endings(self._database, {key for each in keys.values() for key in each})
        found = []
        for position in dict.fromkeys(positions):
            runs = keys.get(position, [])
            ended = {key: endings[key]["status"] for key in runs if key in endings}
            if "done" in ended.values():
                runs = [key for key in runs if ended.get(key, "done") == "done"]
            if runs:
                found.append(CurveCell(position, structure.names[position], tuple(runs)))
        return found

    def points(self, name: Name) -> dict[str, Any]:
        """Return the numbers of each run beside its swept settings; see ``measured_points``.

        Raises:
            UsageError: for an unknown experiment.
        """
        return measured_points(self._database, self._reading(name).structure)

    def since(self, name: Name) -> dict[str, Any] | None:
        """Return what changed since another version was finished; see ``since_finished``.

        Raises:
            UsageError: for an unknown experiment.
            DamagedDatabase: when something of it is not what was recorded.
        """
        return since_finished(self._database, self._reading(name).structure)

    def table(self, name: Name, table: str, form: str) -> str:
        """Return a declared table as `report` prints it.

        Raises:
            UsageError: for an unknown experiment, table or format.
        """
        refs = {ref.table.name: ref for ref in self._reading(name).structure.tables}
        if table not in refs:
            raise UsageError(f"no table '{table}'", suggestion=nearest(table, list(refs)))
        return render(fill(self._database, refs[table]), form)

    def run(self, name: Name, cell: str) -> dict[str, Any]:
        """Return what is recorded of a cell's run: settings and their origin, attempts, result.

        Args:
            name: of the experiment.
            cell: its id, ``position:seed[:fold]``.

        Raises:
            UsageError: for an unknown experiment or cell.
        """
        structure = self._reading(name).structure
        record = dict(record_in(self._database, self._home, self.reference(name, cell), self._db))
        mine = next(each for each in structure.cells if structure.cell_id(each) == cell)
        return {
            "reference": self.reference(name, cell),
            "name": structure.names[mine.position],
            "run": record["run_key"] or "",
            "status": record["status"],
            "result": record["result"],
            "command": record["command"],
            "settings": [
                [path, value, _origin(path, mine.swept, structure.stored.document)]
                for path, value in leaves(record["settings"])
            ],
            "attempts": [_attempt(each) for each in record["attempts"]],
            "epochs": record["epochs"][-1:],
            "analyses": [" or ".join(each["names"]) for each in record.get("analyses", ())],
            "own_code": sorted(record.get("own_code", ())),
            "changed_code": record.get("changed_code", []),
        }

    def difference(self, name: Name, first: str, second: str) -> list[dict[str, Any]]:
        """Return how the runs of two cells differ: part, name, both values, and the gap of metrics.

        Raises:
            UsageError: for an unknown experiment or cell.
        """
        one, other = self.reference(name, first), self.reference(name, second)
        return [
            {
                "part": each.part,
                "name": each.name,
                "first": each.first,
                "second": each.second,
                "gap": each.gap(),
            }
            for each in compared(self._database, one, other).differences
        ]

    def forget(self, name: Name) -> None:
        """Free what is remembered of an experiment."""
        self._readings.pop(name, None)

    def gone(self) -> StoreGone | None:
        """Return the error that says that the file was removed or replaced, None where not."""
        try:
            self._database.check()
        except StoreGone as error:
            return error
        return None

    def reopen(self) -> None:
        """Open the file that is there now in place of one that was removed or replaced.

        Raises:
            UsageError: when none is there; then what was open stays.
            DamagedDatabase: when it is not whole; likewise.
        """
        opened = open_to_watch(self._where)
        self.close()
        self._database, self._counter = opened, CommitCounter(opened)
        self._readings.clear()

    def close(self) -> None:
        """Close the database."""
        self._counter.close()
        self._database.close()

    def _reading(self, name: Name) -> ExperimentReading:
        known = self._readings.get(name)
        if known is not None:  # looking at all experiments again is for what changed of this one
            version, reading = known
            if version == structure_version(self._database, reading.structure.stored.id):
                return reading
        stored = {(each.name, each.variant): each for each in stored_experiments(self._database)}
        if name not in stored:
            names = [each for each, _ in stored]
            raise UsageError(
                f"no experiment '{name[0]}'"
                + (f" with the variant '{name[1]}'" if name[1] else ""),
                suggestion=nearest(name[0], names),
            )
        version = structure_version(self._database, stored[name].id)
        reading = ExperimentReading(read_structure(self._database, stored[name]))
        self._readings[name] = (version, reading)
        return reading

    def reference(self, name: Name, cell: str) -> str:
        """Return what other commands call a cell of the experiment.

        Raises:
            UsageError: for an unknown cell.
        """
        structure = self._reading(name).structure
        for each in structure.cells:
            if structure.cell_id(each) == cell:
                return cell_reference(name[0], each.position, each.seed, name[1], each.fold)
        raise UsageError(f"no cell '{cell}'", allowed="position:seed, or position:seed:fold")


def _origin(path: str, swept: Mapping[str, Any], document: Mapping[str, Any]) -> str:
    """Return where a setting comes from: the sweep, the spec, or a default."""
    if any(path == each or path.startswith(f"{each}.") for each in swept):
        return "sweep"
    value: Any = document
    for part in path.split("."):
        if not isinstance(value, Mapping) or part not in value:
            # a component written as its name alone
            written = isinstance(value, str) and part in ("name", "dataset")
            return "spec" if written else "default"
        value = value[part]
    return "spec"


def _attempt(attempt: Mapping[str, Any]) -> dict[str, Any]:
    shown = ("kind", "stage_key", "number", "status", "device", "started", "seconds", "pid")
    found = {name: attempt[name] for name in (*shown, "first_epoch", "last_epoch")}
    environment = attempt["environment"]
    found["environment"] = {
        name: environment[name]
        for name in ("host", "torch", "python", "runner", "code", "cpu", "gpu", "threads")
        if name in environment
    }
    found["error"] = attempt["error"]
    return found
