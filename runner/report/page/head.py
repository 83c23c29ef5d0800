"""The head of an experiment's page: how many cells are done, what sharing saved, what is left.

What costs most is computed anew only when it can have changed, or some seconds later.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from runner.report.page.estimate import estimated, measured_seconds
from runner.report.page.standings import Standings
from runner.report.page.structure import Structure
from runner.store.database import Database
from runner.store.watched import WatchedAttempt, Worker
from runner.store.watched_numbers import epochs_read_and_trained

STATUSES = ("done", "running", "unfinished", "diverged", "failed")
MEASURED_SECONDS = 5.0
"""For so long the mean seconds of an epoch stand, while epochs are recorded."""

REST = 20.0
"""What takes long to count, of thousands of runs, is left as it is for so many times that long."""

LONG = 0.05
"""Seconds from which on counting takes long."""

UNKNOWN = {"seconds": None, "unknown": 0, "workers": 0, "ratio": None, "of": 0}


class Head:
    """The head of one experiment; remembers its numbers between readings."""

    def __init__(self, structure: Structure) -> None:
        self._structure = structure
        self._epochs: tuple[int, int] | None = None
        self._measured: Mapping[str, float] = {}
        self._measured_at = float("-inf")
        self._is_old = False
        self._rest_until = 0.0

    def first(self, statuses: Iterable[str]) -> dict[str, Any]:
        """Return the head without what only the stages tell, as JSON values."""
        return self._item(statuses, (0, 0), UNKNOWN, [], None)

    def item(
        self,
        database: Database,
        statuses: Iterable[str],
        standings: Standings,
        has_ended: bool,
        now: float,
    ) -> dict[str, Any]:
        """Return the head, as JSON values.

        Args:
            database: where the experiment is recorded.
            statuses: of its cells.
            standings: how far its stages are.
            has_ended: whether results may be others than in the reading before.
            now: seconds since 1970.
        """
        structure = self._structure
        self._is_old |= has_ended or now - self._measured_at > MEASURED_SECONDS
        began = time.monotonic()
        if self._epochs is None or (self._is_old and began >= self._rest_until):
            self._epochs = epochs_read_and_trained(database, structure.run_keys)
            self._measured = measured_seconds(database, standings.attempts)
            self._is_old, self._measured_at = False, now
            took = time.monotonic() - began
            self._rest_until = began + took + (REST * took if took > LONG else 0.0)
        estimate = estimated(self._measured, structure, standings.by_stage, standings.attempts)
        failure = _last_failure(standings.attempts)
        return self._item(statuses, self._epochs, estimate, standings.at_work, failure)

    def _item(
        self,
        statuses: Iterable[str],
        epochs: tuple[int, int],
        estimate: Mapping[str, Any],
        at_work: Sequence[Worker],
        failure: Mapping[str, Any] | None,
    ) -> dict[str, Any]:
        counts = dict.fromkeys(STATUSES, 0)
        for status in statuses:
            counts[status] += 1
        stored = self._structure.stored
        return {
            "name": stored.name,
            "variant": stored.variant,
            "about": " ".join(stored.about.split()),
            "path": stored.path,
            "recorded": stored.recorded,
            "cells": len(self._structure.cells),
            "runs": len(self._structure.run_keys),
            "counts": counts,
            "epochs_read": epochs[0],
            "epochs_trained": epochs[1],
            "estimate": estimate,
            "workers": [_worker(each) for each in at_work],
            "failure": failure,
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
