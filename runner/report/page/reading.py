"""One reading of an experiment: everything that its page shows now, as items with ids.

Two readings are compared item by item, so that only what changed is sent. Values are JSON.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from runner.report.page.estimate import estimated
from runner.report.page.integrity import Integrity
from runner.report.page.plan import StageStanding, node_standing, plan_nodes, standing_of
from runner.report.page.structure import Structure
from runner.report.page.tables import Item, WatchedTable
from runner.store.database import Database
from runner.store.running import runs_so_far
from runner.store.watched import (
    WatchedAttempt,
    Worker,
    attempts_since,
    run_endings,
    workers,
)
from runner.store.watched_numbers import epochs_read_and_trained, metric_names

STATUSES = ("done", "running", "unfinished", "diverged", "failed")


class ExperimentReading:
    """Reads an experiment again and again; what never changes of it is read once."""

    def __init__(self, structure: Structure) -> None:
        self.structure = structure
        self._nodes = plan_nodes(structure)
        self._integrity = Integrity(structure)
        self._attempts: dict[str, dict[int, WatchedAttempt]] = {}
        self._endings: dict[str, dict[str, Any]] | None = None
        runs_at: dict[int, set[str]] = {}
        for cell in structure.cells:
            runs_at.setdefault(cell.position, set()).add(cell.run_key)
        self._tables = [WatchedTable(ref, runs_at) for ref in structure.tables]

    def is_settled(self) -> bool:
        """Return whether another reading without a commit would find nothing new."""
        return not self._integrity.is_open()

    def items(self, database: Database, now: float | None = None) -> dict[str, Any]:
        """Return all that the page shows, by id.

        Args:
            database: where it is recorded.
            now: seconds since 1970, for tests.

        Raises:
            DamagedDatabase: when something of it is not what was recorded.
        """
        moment = time.time() if now is None else now
        structure = self.structure
        endings = run_endings(database, structure.run_keys)
        ended = self._ended_since(endings)
        if self._endings is not None:  # the first reading is to be seen at once
            self._integrity.check(database, ended)
        attempts = self._newest_attempts(database)
        at_work = [each for each in workers(database) if each.stage_key in structure.stage_keys]
        by_stage = {each.stage_key: each for each in at_work}
        standings = {
            key: standing_of(attempts.get(key, ()), by_stage.get(key), moment)
            for key in structure.stage_keys
        }
        busy = {key for key, each in standings.items() if each.status == "running"}
        running = self._runs_of(busy) - endings.keys()
        so_far = runs_so_far(database, structure.run_keys - endings.keys())
        found: dict[str, Any] = dict(self._cells(endings, running, so_far))
        found["head"] = self._head(database, found, standings, at_work, attempts)
        for node in self._nodes:
            found[f"node:{node['key']}"] = {**_fixed(node), **node_standing(node, standings)}
        found["plan"] = {"nodes": [node["key"] for node in self._nodes]}
        found["metrics"] = {"names": metric_names(database, structure.stage_keys)}
        found |= dict(self._table_items(database, running, so_far, ended))
        self._endings = endings
        return found

    def _ended_since(self, endings: Mapping[str, Mapping[str, Any]]) -> set[str]:
        """Return the runs whose result is another than in the reading before; all at the first."""
        before = self._endings
        if before is None:
            return set(self.structure.run_keys)
        return {
            key for key in endings.keys() | before.keys() if endings.get(key) != before.get(key)
        }

    def _newest_attempts(self, database: Database) -> dict[str, list[WatchedAttempt]]:
        """Return all attempts by stage; those that had ended before are not read again."""
        ended = [
            number
            for tries in self._attempts.values()
            for number, each in tries.items()
            if each.status != "running"
        ]
        for each in attempts_since(database, max(ended, default=0), self._open_attempts()):
            if each.stage_key in self.structure.stage_keys:
                self._attempts.setdefault(each.stage_key, {})[each.id] = each
        return {
            key: [tries[each] for each in sorted(tries)] for key, tries in self._attempts.items()
        }

    def _open_attempts(self) -> list[int]:
        return [
            number
            for tries in self._attempts.values()
            for number, each in tries.items()
            if each.status == "running"
        ]

    def _runs_of(self, stages: set[str]) -> set[str]:
        """Return the runs that read any of some stages."""
        if not stages:
            return set()
        chains = self.structure.chains
        return {run for run, keys in chains.items() if not stages.isdisjoint(keys)}

    def _cells(
        self,
        endings: Mapping[str, Mapping[str, Any]],
        running: set[str],
        so_far: Mapping[str, Mapping[str, Any]],
    ) -> Iterator[Item]:
        structure = self.structure
        for cell in structure.cells:
            ending = endings.get(cell.run_key)
            status = "unfinished" if ending is None else ending["status"]
            if ending is None and cell.run_key in running:
                status = "running"
            epoch = so_far.get(cell.run_key, {}).get("last_epoch", 0)
            yield (
                f"cell:{structure.cell_id(cell)}",
                {
                    "position": cell.position,
                    "seed": cell.seed,
                    "fold": cell.fold,
                    "name": structure.names[cell.position],
                    "swept": cell.swept,
                    "run": cell.run_key,
                    "status": status,
                    "epoch": epoch if ending is None else ending["last_epoch"],
                    "budget": cell.budget,
                    "message": "" if ending is None else ending["message"],
                },
            )

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
            positions = None if self._endings is None else changed
            yield from table.items(database, by_position, positions)
        yield "tables", {"names": [table.name for table in self._tables]}

    def _head(
        self,
        database: Database,
        cells: Mapping[str, Mapping[str, Any]],
        standings: Mapping[str, StageStanding],
        at_work: Sequence[Worker],
        attempts: Mapping[str, Sequence[WatchedAttempt]],
    ) -> dict[str, Any]:
        structure = self.structure
        counts = dict.fromkeys(STATUSES, 0)
        for cell in cells.values():
            counts[cell["status"]] += 1
        read, trained = epochs_read_and_trained(database, structure.run_keys)
        stored = structure.stored
        return {
            "name": stored.name,
            "variant": stored.variant,
            "about": " ".join(stored.about.split()),
            "path": stored.path,
            "recorded": stored.recorded,
            "cells": len(structure.cells),
            "runs": len(structure.run_keys),
            "counts": counts,
            "epochs_read": read,
            "epochs_trained": trained,
            "estimate": estimated(database, structure, standings, attempts),
            "workers": [_worker(each) for each in at_work],
            "failure": _last_failure(attempts),
        }


def _fixed(node: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in node.items() if name != "stages"} | {
        "count": len(node["stages"])
    }


def _worker(worker: Worker) -> dict[str, Any]:
    return {
        "host": worker.host,
        "pid": worker.pid,
        "device": worker.device,
        "stage": worker.stage_key,
        "since": worker.since,
        "alive": worker.alive,
    }


def _last_failure(attempts: Mapping[str, Sequence[WatchedAttempt]]) -> dict[str, Any] | None:
    """Return the newest failure of a stage that has not ended well since."""
    last: WatchedAttempt | None = None
    for tries in attempts.values():
        newest = tries[-1]
        if newest.status == "failed" and (last is None or newest.id > last.id):
            last = newest
    if last is None:
        return None
    lines = last.error.strip().splitlines()
    return {"stage": last.stage_key, "error": lines[-1] if lines else "", "when": last.started}
