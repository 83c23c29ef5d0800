"""Checksums of what tables and `show` print, stored beside it when it is recorded.

A result's holds a part for the result itself, one for each metric and one for the steps, so that a
table reads again only what it shows. Owns how they are computed; what a mismatch means is not
decided here. A migration that changes one of the columns below must seal the rows again.
"""

from __future__ import annotations

import hashlib
import json
from array import array
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from sys import byteorder
from typing import Any

import sqlalchemy as sa

from runner.components.measures import METRIC_NAMES, OWN_PREFIX, metric_parts
from runner.core.keys import content_key
from runner.store.dialects import StoredRows
from runner.store.rows import batches

RESULT, STAGES, STEPS = "result", "stages", "steps"
OWN_METRICS = "own_metrics"


def at_ends(metric: str) -> str:
    """Return the part for a metric's values at the best and the last epoch."""
    return f"{metric}@ends"


PARTS = (RESULT, STAGES, *METRIC_NAMES, *map(at_ends, METRIC_NAMES), OWN_METRICS, STEPS)
"""Of a result: how it ended and what it reads; its stages; each metric, at all epochs and at those
that most tables show; all metrics of own code; the steps."""
OF_PLACE = RESULT, STAGES, STEPS  # with ids of attempts, or the repetition: a copy has others

JSON = "CAST({} AS TEXT)".format
"""JSON as it is stored: PostgreSQL would read it."""

RUN = f"run_key, settings_key, {JSON('settings')}, {JSON('reader')}, fingerprint, data_key"
EXPERIMENT = f"id, name, variant, about, path, {JSON('document')}, source, recorded"
CELL = (
    f"position, seed, {JSON('labels')}, {JSON('swept')}, {JSON('published')}, settings_key,"
    f" run_key, {JSON('settings')}, fold"
)
RESULT_ROW = (
    "run_key, rerun, status, message, best_epoch, last_epoch, parameters, train_seconds, seconds,"
    " device, recorded"
)
ATTEMPT = (
    f"attempts.stage_key, number, status, environments.key, {JSON('numerics')}, device, started,"
    f" seconds, {JSON('outcome')}, {JSON('predicted')}, error"
)
RANGES = (
    "SELECT run_key, rerun, attempt_id, first_epoch, last_epoch FROM run_epochs"
    " WHERE run_key IN (?) ORDER BY attempt_id"
)
CHAIN = (
    "SELECT run_key, rerun, position, run_stages.stage_key, reading, stages.kind FROM run_stages"
    " LEFT JOIN stages ON stages.stage_key = run_stages.stage_key"
    " WHERE run_key IN (?) ORDER BY position"
)
OF_RANGE = "attempt_id = ? AND split = ? AND name = ? AND epoch BETWEEN ? AND ?"
MEASURED = (
    f"SELECT 0, epoch, value FROM metrics WHERE {OF_RANGE}"
    f" UNION ALL SELECT 1, epoch, value FROM evaluations WHERE {OF_RANGE} ORDER BY 1, 2"
)
ENDS = """
WITH asked(split, name) AS (VALUES {names})
SELECT results.run_key, results.rerun, m.split, m.name, m.epoch, m.value
FROM results CROSS JOIN run_epochs
  ON run_epochs.run_key = results.run_key AND run_epochs.rerun = results.rerun
CROSS JOIN asked ON 1 = 1
CROSS JOIN {table} AS m
  ON m.attempt_id = run_epochs.attempt_id AND m.split = asked.split AND m.name = asked.name
  AND m.epoch IN (results.best_epoch, results.last_epoch)
  AND +m.epoch BETWEEN run_epochs.first_epoch AND run_epochs.last_epoch
WHERE results.run_key IN (?) ORDER BY m.epoch, m.attempt_id
"""
OWN_MEASURED = (
    "SELECT split, name, epoch, value FROM evaluations"
    f" WHERE attempt_id = ? AND substr(name, 1, {len(OWN_PREFIX)}) = '{OWN_PREFIX}'"
    " AND epoch BETWEEN ? AND ?"
    " ORDER BY split, name, epoch"
)
TAKEN = (
    f"SELECT attempt_id, epoch, learning_rate, seconds, {JSON('losses')} FROM steps"
    " WHERE attempt_id = ? AND epoch BETWEEN ? AND ? ORDER BY epoch"
)

Key = tuple[str, int]
"""A result: key of the run, and repetition."""


def checksum(rows: Iterable[Sequence[Any]]) -> str:
    """Return the checksum of rows as they are stored, in their order."""
    text = json.dumps([list(row) for row in rows], default=repr, separators=(",", ":"))
    return _digest(text.encode())


def _digest(content: bytes) -> str:
    return hashlib.blake2b(content, digest_size=8).hexdigest()


def run_checksums(connection: sa.Connection, keys: Collection[str]) -> dict[str, str]:
    """Return the checksums of runs: settings, reader, data."""
    rows = _rows(connection, f"SELECT {RUN} FROM runs WHERE run_key IN (?)", keys)
    return {row[0]: checksum([row]) for row in rows}


def experiment_checksums(connection: sa.Connection, ids: Collection[int]) -> dict[int, str]:
    """Return the checksums of experiments, each with all its cells."""
    stored = StoredRows(connection)
    cells = f"SELECT {CELL} FROM cells WHERE experiment_id = ? ORDER BY position, fold, seed"
    query = f"SELECT {EXPERIMENT} FROM experiments WHERE id IN (?)"
    return {
        row[0]: checksum([row, *map(_without_no_fold, stored.rows(cells, [row[0]]))])
        for row in _rows(connection, query, ids)
    }


def _without_no_fold(cell: Sequence[Any]) -> Sequence[Any]:
    """Return a cell's row as it was before there were folds, if it has none."""
    return cell if cell[-1] else cell[:-1]


def finished_grid_key(document: Mapping[str, Any], cells: Sequence[Sequence[Any]]) -> str:
    """Return the key of a finished version of an experiment: a hash of its spec and cells."""
    return content_key("finished grid", {"document": dict(document), "cells": list(cells)})


def attempt_checksums(connection: sa.Connection, ids: Collection[int]) -> dict[int, str]:
    """Return the checksums of attempts, each with its environment; not of what they measured."""
    query = (
        f"SELECT attempts.id, {ATTEMPT} FROM attempts"
        " LEFT JOIN environments ON environments.id = attempts.environment_id"
        " WHERE attempts.id IN (?)"
    )
    return {row[0]: checksum([row[1:]]) for row in _rows(connection, query, ids)}


def result_checksums(
    connection: sa.Connection, keys: Collection[str], parts: Collection[str] = PARTS
) -> dict[Key, dict[str, str]]:
    """Return the checksums of all repetitions of runs, by part; a metric without values has none.

    Args:
        connection: to the database.
        keys: the runs.
        parts: which parts; all by default.
    """
    found: dict[Key, dict[str, str]] = {}
    for batch in batches(keys):
        found |= _of_batch(connection, batch, parts)
    return found


def _of_batch(
    connection: sa.Connection, keys: Sequence[str], parts: Collection[str]
) -> dict[Key, dict[str, str]]:
    rows = _grouped(
        _rows(connection, f"SELECT {RESULT_ROW} FROM results WHERE run_key IN (?)", keys)
    )
    ranges = _grouped(_rows(connection, RANGES, keys))
    stages = _grouped(_rows(connection, CHAIN, keys)) if STAGES in parts else {}
    ends = _ends(connection, [name for name in METRIC_NAMES if at_ends(name) in parts], keys)
    found: dict[Key, dict[str, str]] = {key: {} for key in rows}
    for key, sums in found.items():
        read = ranges.get(key, [])
        if RESULT in parts:
            sums[RESULT] = checksum([*rows[key], *read])
        # of a failed run, later plans may record other stages
        if STAGES in parts and rows[key][0][2] != "failed":
            sums[STAGES] = checksum(stages.get(key, []))
        for name in METRIC_NAMES:
            if name in parts and (measured := _measured(connection, name, read)):
                sums[name] = _of_numbers(measured)
        for name, measured in ends.get(key, {}).items():
            sums[at_ends(name)] = _of_numbers(measured)
        if OWN_METRICS in parts and (own := _of_ranges(connection, OWN_MEASURED, read)):
            sums[OWN_METRICS] = checksum(own)
        if STEPS in parts and (taken := _of_ranges(connection, TAKEN, read)):
            sums[STEPS] = checksum(taken)
    return found


def _grouped(rows: Iterable[tuple[Any, ...]]) -> dict[Key, list[tuple[Any, ...]]]:
    """Return rows by their first two values, the key of a result."""
    found: dict[Key, list[tuple[Any, ...]]] = {}
    for row in rows:
        found.setdefault(row[:2], []).append(row)
    return found


def _ends(
    connection: sa.Connection, names: Sequence[str], keys: Sequence[str]
) -> dict[Key, dict[str, list[tuple[int, float]]]]:
    """Return (epoch, value) of metrics at the best and the last epoch, by result and metric."""
    found: dict[Key, dict[str, list[tuple[int, float]]]] = {}
    if not names:
        return found
    by_parts = {metric_parts(name): name for name in names}
    asked = ", ".join(f"('{split}', '{measure}')" for split, measure in by_parts)
    for table in ("metrics", "evaluations"):
        for row in _rows(connection, ENDS.format(table=table, names=asked), keys):
            found.setdefault(row[:2], {}).setdefault(by_parts[row[2:4]], []).append(row[4:])
    return found


def _measured(
    connection: sa.Connection, name: str, ranges: Sequence[tuple[Any, ...]]
) -> list[tuple[int, float]]:
    """Return (epoch, value) of a metric, from training and from evaluation."""
    split, measure = metric_parts(name)
    stored, found = StoredRows(connection), list[tuple[int, float]]()
    for _, _, attempt, first, last in ranges:
        # a statement for each range: for many runs that is faster than one for all
        values = (attempt, split, measure, first, last)
        found += [row[1:] for row in stored.rows(MEASURED, values * 2)]
    return found


def _of_ranges(
    connection: sa.Connection, query: str, ranges: Sequence[tuple[Any, ...]]
) -> list[tuple[Any, ...]]:
    stored, found = StoredRows(connection), list[tuple[Any, ...]]()
    for _, _, *read in ranges:
        found += stored.rows(query, read)
    return found


def _of_numbers(measured: Sequence[tuple[int, float]]) -> str:
    """Return the checksum of (epoch, value) pairs, of their bytes: there may be very many."""
    epochs, values = zip(*measured, strict=True)
    try:
        packed = array("q", epochs), array("d", values)
    except (TypeError, OverflowError):  # no numbers, so not what was stored
        return checksum(measured)
    if byteorder == "big":
        for each in packed:
            each.byteswap()
    return _digest(packed[0].tobytes() + packed[1].tobytes())


def _rows(
    connection: sa.Connection, query: str, values: Collection[Any]
) -> Iterator[tuple[Any, ...]]:
    """Yield the rows of a query with ``IN (?)`` for all values, in batches."""
    stored = StoredRows(connection)
    for batch in batches(values):
        marks = f"({', '.join('?' * len(batch))})"
        yield from stored.rows(query.replace("(?)", marks), batch)


def seal_runs(connection: sa.Connection, keys: Collection[str]) -> None:
    """Store the checksums of runs, within a writing transaction."""
    _store(connection, "runs", "run_key", run_checksums(connection, keys))


def seal_experiment(connection: sa.Connection, experiment_id: int) -> None:
    """Store the checksum of an experiment; its cells must be there by then."""
    _store(connection, "experiments", "id", experiment_checksums(connection, [experiment_id]))


def seal_attempts(connection: sa.Connection, ids: Collection[int]) -> None:
    """Store the checksums of attempts that have ended."""
    _store(connection, "attempts", "id", attempt_checksums(connection, ids))


def seal_results(
    connection: sa.Connection, which: Collection[Key], known: Mapping[Key, Any] | None = None
) -> None:
    """Store the checksums of results; what they read and their stages must be there by then.

    Of copies, ``known`` has the checksums of the originals: only those OF_PLACE are computed.
    """
    found = result_checksums(connection, {key for key, _ in which}, OF_PLACE if known else PARTS)
    sums = [(known or {}).get(each, {}) | found[each] for each in which]
    rows = [(json.dumps(sums[at], sort_keys=True), *each) for at, each in enumerate(which)]
    statement = "UPDATE results SET checksum = ? WHERE run_key = ? AND rerun = ?"
    StoredRows(connection).change(statement, rows)


def seal_all(connection: sa.Connection) -> None:
    """Store the checksums of everything, as it is now."""
    stored = StoredRows(connection)
    seal_runs(connection, [row[0] for row in stored.rows("SELECT run_key FROM runs")])
    for row in list(stored.rows("SELECT id FROM experiments")):
        seal_experiment(connection, row[0])
    ended = stored.rows("SELECT id FROM attempts WHERE status != 'running'")
    seal_attempts(connection, [row[0] for row in ended])
    seal_results(connection, list(stored.rows("SELECT run_key, rerun FROM results")))


def _store(connection: sa.Connection, table: str, column: str, sums: Mapping[Any, str]) -> None:
    rows = [(value, key) for key, value in sums.items()]
    statement = f"UPDATE {table} SET checksum = ? WHERE {column} = ?"
    StoredRows(connection).change(statement, rows)
