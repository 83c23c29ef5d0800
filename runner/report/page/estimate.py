"""When an experiment will be done: from seconds that were measured, on the devices at work.

Says how far earlier predictions were off, so that a reader knows what the estimate is worth.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from runner.report.page.plan import StageStanding
from runner.report.page.structure import Structure
from runner.store.database import Database
from runner.store.progress import seconds_by_cost_key
from runner.store.watched import WatchedAttempt

OPEN = ("waiting", "running", "stopped")


def estimated(
    measured: Mapping[str, float],
    structure: Structure,
    standings: Mapping[str, StageStanding],
    attempts: Mapping[str, Sequence[WatchedAttempt]],
) -> dict[str, Any]:
    """Return the seconds that are left and what earlier predictions were worth, as JSON values.

    Args:
        measured: seconds by cost key, of :func:`measured_seconds`.
        structure: the experiment.
        standings: how far each of its stages is.
        attempts: at each stage, in order.

    Returns:
        ``seconds`` left with the workers of now, None where nothing is left or known; ``unknown``,
        stages that were never measured; ``workers``, processes at work; ``ratio``, measured seconds
        of ended stages as a share of those predicted, None where there are none; ``of``, how many
        stages that is.
    """
    # one process that trains several together does one after the other
    busy = {
        (each.worker.host, each.worker.pid)
        for each in standings.values()
        if each.worker is not None
    }
    left, unknown = 0.0, 0
    for stage in structure.stages.values():
        standing = standings[stage.key]
        if standing.status not in OPEN:
            continue
        each = measured.get(stage.cost_key)
        if stage.kind == "train":
            units = float(max(stage.last_epoch - max(standing.epoch, stage.first_epoch - 1), 0))
        else:
            units = 1.0
        if each is None:
            unknown += stage.kind == "train" and units > 0
        else:
            left += each * units
    ratio, count = _ratio(attempts)
    seconds = left / max(len(busy), 1) if left else None
    return {
        "seconds": seconds,
        "unknown": unknown,
        "workers": len(busy),
        "ratio": ratio,
        "of": count,
    }


def measured_seconds(
    database: Database, attempts: Mapping[str, Sequence[WatchedAttempt]]
) -> dict[str, float]:
    """Return seconds an epoch (or a stage) by cost key, on the device of the newest attempt."""
    newest = max((each[-1] for each in attempts.values()), key=lambda each: each.id, default=None)
    return {} if newest is None else seconds_by_cost_key(database, newest.device)


def _ratio(attempts: Mapping[str, Sequence[WatchedAttempt]]) -> tuple[float | None, int]:
    predicted = measured = 0.0
    count = 0
    for tries in attempts.values():
        newest = tries[-1]
        expected = newest.predicted.get("seconds")
        if newest.status == "done" and len(tries) == 1 and expected and newest.seconds is not None:
            predicted += expected
            measured += newest.seconds
            count += 1
    return (measured / predicted if predicted else None), count
