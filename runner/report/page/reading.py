"""One reading of an experiment: everything that its page shows now, as items with ids.

Two readings are compared item by item, so that only what changed is sent. Values are JSON, and an
item that did not change is the same object as before.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from functools import cached_property
from typing import Any

from runner.report.page.head import Head
from runner.report.page.integrity import Integrity
from runner.report.page.plan import node_standing, plan_nodes
from runner.report.page.standings import Standings
from runner.report.page.structure import Structure
from runner.report.page.tables import Item, WatchedTable
from runner.store.database import Database
from runner.store.running import runs_at_work, runs_so_far
from runner.store.watched import endings_version, run_endings
from runner.store.watched_numbers import metric_names

Endings = Mapping[str, Mapping[str, Any]]


class ExperimentReading:
    """Reads an experiment again and again; what did not change since the last time is kept."""

    def __init__(self, structure: Structure) -> None:
        self.structure = structure
        self._standings, self._head = Standings(structure), Head(structure)
        self._integrity = Integrity(structure)
        self._endings: Endings | None = None
        self._version: object = None
        self._is_whole = False
        self._kept: dict[int, tuple[object, Item]] = {}
        runs_at: dict[int, set[str]] = {}
        for cell in structure.cells:
            runs_at.setdefault(cell.position, set()).add(cell.run_key)
        self._tables = [WatchedTable(ref, runs_at) for ref in structure.tables]

    @cached_property
    def _nodes(self) -> list[dict[str, Any]]:
        return plan_nodes(self.structure)

    def is_settled(self) -> bool:
        """Return whether everything was read, and held against its checksums."""
        return self._is_whole and not self._integrity.is_open()

    def is_whole(self) -> bool:
        """Return whether :meth:`items` was ever read."""
        return self._is_whole

    def check(self, database: Database) -> None:
        """Hold some of what was shown before it was checked against its checksums.

        Raises:
            DamagedDatabase: when something is not what was recorded.
        """
        self._integrity.check(database)

    def first_items(self, database: Database) -> dict[str, Any]:
        """Return what is to be seen first: cells, tables, and how many are done.

        It takes less than half of the time of everything, which :meth:`items` reads after it.
        """
        found, _ = self._shown(database)
        found["head"] = self._head.first(_statuses(found))
        return found

    def items(self, database: Database, now: float | None = None) -> dict[str, Any]:
        """Return all that the page shows, by id.

        Args:
            database: where it is recorded.
            now: seconds since 1970, for tests.

        Raises:
            DamagedDatabase: when something of it is not what was recorded.
        """
        moment = time.time() if now is None else now
        found, ended = self._shown(database)
        standings = self._standings
        standings.read(database, moment)
        statuses = _statuses(found)
        found["head"] = self._head.item(database, statuses, standings, bool(ended), moment)
        for node in self._nodes:
            standing = node_standing(node, standings.by_stage)
            found[f"node:{node['key']}"] = {**_fixed(node), **standing}
        found["plan"] = {"nodes": [node["key"] for node in self._nodes]}
        found["metrics"] = {"names": metric_names(database, self.structure.stage_keys)}
        self._is_whole = True
        return found

    def _shown(self, database: Database) -> tuple[dict[str, Any], set[str]]:
        """Return cells and tables, and the runs whose result is another than before."""
        run_keys = self.structure.run_keys
        endings, version = self._endings, endings_version(database)
        if endings is None or version != self._version:
            endings = run_endings(database, run_keys)
        ended = self._ended_since(endings)
        self._integrity.note(ended)
        if ended and self._is_whole:  # the first readings are to be seen at once
            self._integrity.check(database)
        with database.read() as connection:
            running = (runs_at_work(connection) & run_keys) - endings.keys()
        so_far = runs_so_far(database, run_keys - endings.keys())
        found: dict[str, Any] = dict(self._cells(endings, running, so_far))
        found |= dict(self._table_items(database, running, so_far, ended))
        self._endings, self._version = endings, version
        return found, ended

    def _ended_since(self, endings: Endings) -> set[str]:
        """Return the runs whose result is another than in the reading before; all at the first."""
        before = self._endings
        if before is None:
            return set(self.structure.run_keys)
        if before is endings:
            return set()
        return {
            key for key in endings.keys() | before.keys() if endings.get(key) != before.get(key)
        }

    def _cells(
        self, endings: Endings, running: set[str], so_far: Mapping[str, Mapping[str, Any]]
    ) -> Iterator[Item]:
        structure, kept = self.structure, self._kept
        for number, cell in enumerate(structure.cells):
            ending = endings.get(cell.run_key)
            status = "unfinished" if ending is None else ending["status"]
            if ending is None and cell.run_key in running:
                status = "running"
            epoch = so_far.get(cell.run_key, {}).get("last_epoch", 0)
            epoch = epoch if ending is None else ending["last_epoch"]
            message = "" if ending is None else ending["message"]
            if number in kept and kept[number][0] == (status, epoch, message):
                yield kept[number][1]
                continue
            item: Item = (
                f"cell:{structure.cell_id(cell)}",
                {
                    "position": cell.position,
                    "seed": cell.seed,
                    "fold": cell.fold,
                    "name": structure.names[cell.position],
                    "swept": cell.swept,
                    "run": cell.run_key,
                    "status": status,
                    "epoch": epoch,
                    "budget": cell.budget,
                    "message": message,
                },
            )
            kept[number] = (status, epoch, message), item
            yield item

    def _table_items(
        self,
        database: Database,
        running: set[str],
        so_far: Mapping[str, Mapping[str, Any]],
        ended: set[str],
    ) -> Iterator[Item]:
        by_position: dict[int, list[Mapping[str, Any]]] = {}
        for cell in self.structure.cells:
            if cell.run_key in running and cell.run_key in so_far:
                run = {**so_far[cell.run_key], "budget": cell.budget}
                by_position.setdefault(cell.position, []).append(run)
        changed = {cell.position for cell in self.structure.cells if cell.run_key in ended}
        for table in self._tables:
            yield from table.items(database, by_position, changed)
        yield "tables", {"names": [table.name for table in self._tables]}


def _statuses(items: Mapping[str, Any]) -> list[str]:
    return [item["status"] for key, item in items.items() if key.startswith("cell:")]


def _fixed(node: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in node.items() if name != "stages"} | {
        "count": len(node["stages"])
    }
