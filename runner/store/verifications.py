"""Outcomes of `verify`: that runs with sharing and without had the same results."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping, Sequence
from typing import Any

import sqlalchemy as sa

from runner.store.catalogue import record_environment
from runner.store.database import Database
from runner.store.schema import verifications


def record_verification(
    database: Database,
    spec: str,
    sets: Sequence[str],
    is_same: bool,
    runs: Sequence[Mapping[str, Any]],
    environment: Mapping[str, Any],
) -> None:
    """Store what a comparison found.

    Args:
        spec: path of the spec.
        sets: settings that were changed.
        is_same: whether no run differed.
        runs: what was found of each run, JSON.
        environment: versions, machine and code.
    """
    environment_id = record_environment(database, environment)

    def record(connection: sa.Connection) -> None:
        connection.execute(
            sa.insert(verifications).values(
                spec=spec,
                sets=list(sets),
                is_same=is_same,
                runs=[_storable(run) for run in runs],
                environment_id=environment_id,
                recorded=time.time(),
            )
        )

    database.transact(record)


def _storable(run: Mapping[str, Any]) -> dict[str, Any]:
    """Return what JSON can hold: null stands for a number that is none."""
    return {
        name: None if isinstance(value, float) and not math.isfinite(value) else value
        for name, value in run.items()
    }
