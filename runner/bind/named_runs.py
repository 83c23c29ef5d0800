"""Which run a text means: the beginning of a run's key, or the name of a cell.

Owns how such a text is read. What is recorded of the run is the store's.
"""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from typing import Any

from runner.core.errors import UsageError, nearest
from runner.spec.cell_names import cell_reference
from runner.store.database import Database
from runner.store.queries import find_runs, run_record, stored_experiments
from runner.store.stored_cells import StoredCell, stored_cells

SHOWN = 8
LIST = "`runner list` shows all"
FORM = "experiment:position or experiment:position:seed, of a variant with @variant behind it"


def find_record(database: Database, text: str) -> dict[str, Any]:
    """Return all that is recorded of the run that a text means.

    Args:
        database: where it is recorded.
        text: the beginning of a run key, or a cell as ``experiment:position[:seed][@variant]``, as
            `list` prints them. Without a variant the spec as written is meant, or where it has no
            such cell, the only variant that has.

    Returns:
        As :func:`run_record`; of a cell whose run is not known yet, with None for what only a run
        has.

    Raises:
        UsageError: when nothing or several runs are meant.
    """
    if ":" in text.partition("@")[0]:
        cell = _cell(database, text)
        return _without_run(cell) if cell.run_key is None else run_record(database, cell.run_key)
    found = find_runs(database, text)
    if len(found) == 1:
        return run_record(database, found[0])
    if not found:
        raise UsageError(f"no run '{text}'", hint=LIST)
    shown = ", ".join(key[:12] for key in found[:SHOWN]) + (", …" if len(found) > SHOWN else "")
    raise UsageError(f"'{text}' means {len(found)} runs", allowed=shown)


def _without_run(cell: StoredCell) -> dict[str, Any]:
    """Return what is recorded of a cell whose run is not known, as of a run that has not begun."""
    names = ("experiment", "variant", "path", "position", "seed", "labels", "swept")
    return {
        "run_key": None,
        "settings_key": cell.settings_key,
        "settings": cell.settings,
        "reader": None,
        "fingerprint": None,
        "data_key": None,
        "status": "unfinished",
        "result": None,
        "cells": [{name: getattr(cell, name) for name in names}],
        "attempts": [],
        "epochs": [],
    }


def _cell(database: Database, text: str) -> StoredCell:
    """Return the cell of this name, or one of several that have one run."""
    name, at, variant = text.partition("@")
    experiment, *numbers = name.split(":")
    if len(numbers) > 2 or not all(number.isdecimal() for number in numbers):
        raise UsageError(f"'{text}' is no name of a run or cell", allowed=FORM)
    stored = stored_cells(database, known_experiment(database, experiment))
    if at:
        check_variant(variant, [each.variant for each in stored], experiment)
        stored = [each for each in stored if each.variant == variant]
    found = [each for each in stored if each.position == int(numbers[0])]
    if len(numbers) > 1:
        found = [each for each in found if each.seed == int(numbers[1])]
    if not found:
        raise UsageError(f"no run '{text}'", hint=LIST)
    written = [each for each in found if not each.variant]
    return _only(written or found, text)


def _only(found: Sequence[StoredCell], text: str) -> StoredCell:
    """Return the one cell, or one of those of one run.

    Raises:
        UsageError: when they are of several runs.
    """
    if len({each.run_key or each.settings_key for each in found}) == 1:
        return found[0]
    variants = len({each.variant for each in found})
    what = f"is in {variants} variants" if variants > 1 else f"has {len(found)} seeds"
    names = [
        shlex.quote(cell_reference(each.experiment, each.position, each.seed, each.variant))
        for each in found
    ]
    shown = ", ".join(names[:SHOWN]) + (", …" if len(names) > SHOWN else "")
    raise UsageError(f"'{text}' {what}; which one?", allowed=shown)


def known_experiment(database: Database, name: str) -> str:
    """Return the name, if an experiment has it.

    Raises:
        UsageError: when none has.
    """
    names = list(dict.fromkeys(stored.name for stored in stored_experiments(database)))
    if name in names:
        return name
    raise UsageError(
        f"no experiment '{name}'",
        allowed=", ".join(names),
        hint="" if names else "the database has no experiments yet",
        suggestion=nearest(name, names),
    )


def check_variant(variant: str, known: Sequence[str], experiment: str = "") -> None:
    """Refuse a variant that is not there.

    Args:
        variant: "" is the spec as written.
        known: those that are there, in any order and number.
        experiment: whose they are, or "" for those of all.

    Raises:
        UsageError: with the nearest, and those that there are.
    """
    if variant in known:
        return
    names = list(dict.fromkeys(name for name in known if name))
    if variant:
        found = f"no variant '{variant}'" + (f" of '{experiment}'" if experiment else "")
    else:
        what = f"'{experiment}'" if experiment else "everything"
        found = f"{what} was run as variants only"
    raise UsageError(
        found,
        allowed="; ".join(names),
        hint="" if names else "there are no variants",
        suggestion=nearest(variant, names),
    )
