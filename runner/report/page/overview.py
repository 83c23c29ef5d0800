"""The list of experiments: what each is about, and how far it is."""

from __future__ import annotations

from typing import Any

from runner.store.database import Database
from runner.store.queries import stored_experiments
from runner.store.running import runs_at_work
from runner.store.watched import run_endings_by_experiment


def experiment_rows(database: Database) -> list[dict[str, Any]]:
    """Return a row for each experiment and variant, the one run last first, as JSON values.

    Returns:
        Mappings with ``name``, ``variant``, ``about``, ``recorded`` (seconds since 1970), ``cells``
        and ``counts`` (cells by status).

    Raises:
        DamagedDatabase: when they are not what was recorded.
    """
    with database.read() as connection:
        at_work = runs_at_work(connection)
    counts = run_endings_by_experiment(database, at_work)
    return [
        {
            "name": each.name,
            "variant": each.variant,
            "about": " ".join(each.about.split()),
            "recorded": each.recorded,
            "cells": sum(counts.get(each.id, {}).values()),
            "counts": counts.get(each.id, {}),
        }
        for each in stored_experiments(database)
    ]
