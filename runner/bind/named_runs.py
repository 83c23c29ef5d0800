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
FORM = (
    "experiment:position, experiment:position:seed or experiment:position:seed:fold, of a variant"
    " with @variant behind it"
)


def find_record(database: Database, text: str) -> dict[str, Any]:
    """Return all that is recorded of the run that a text means.

    Args:
        database: where it is recorded.
        text: the beginning of a run key, or a cell as `list` prints it,
            ``experiment:position[:seed[:fold]][@variant]``. Without a variant the spec as written
            is meant, or where it has no such cell, the only variant that has.

    Returns:
        As :func:`run_record`; of a cell whose run is not known yet, with None for what only a run
        has.

    Raises:
        UsageError: when nothing or several runs are meant.
    """
    if ":" in text.partition("@")[0]:
        cell = _cell(database, text)
        return _without_run(cell) if cell.run_key is None else run_record(database, cell.run_key)
    keys = find_runs(database, text)
    if len(keys) == 1:
        return run_record(database, keys[0])
    if not keys:
        raise UsageError(f"no run '{text}'", hint=LIST)
    listed = ", ".join(key[:12] for key in keys[:SHOWN]) + (", …" if len(keys) > SHOWN else "")
    raise UsageError(f"'{text}' means {len(keys)} runs", allowed=listed)


def _without_run(cell: StoredCell) -> dict[str, Any]:
    """Return what is recorded of a cell whose run is not known, as of a run that has not begun."""
    names = ("experiment", "variant", "path", "position", "seed", "fold", "labels", "swept")
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
    if len(numbers) > 3 or not all(number.isdecimal() for number in numbers):
        raise UsageError(f"'{text}' is no name of a run or cell", allowed=FORM)
    stored = stored_cells(database, known_experiment(database, experiment))
    if at:
        check_variant(variant, [cell.variant for cell in stored], experiment)
        stored = [cell for cell in stored if cell.variant == variant]
    cells = [cell for cell in stored if cell.position == int(numbers[0])]
    if len(numbers) > 1:
        cells = [cell for cell in cells if cell.seed == int(numbers[1])]
    if len(numbers) > 2:
        cells = [cell for cell in cells if cell.fold == int(numbers[2])]
    if not cells:
        raise UsageError(f"no run '{text}'", hint=LIST)
    written = [cell for cell in cells if not cell.variant]
    return _only(written or cells, text)


def _only(cells: Sequence[StoredCell], text: str) -> StoredCell:
    """Return the one cell, or one of those of one run.

    Raises:
        UsageError: when they are of several runs.
    """
    if len({cell.run_key or cell.settings_key for cell in cells}) == 1:
        return cells[0]
    variants = len({cell.variant for cell in cells})
    kind = "folds" if len({cell.seed for cell in cells}) == 1 else "seeds"
    kind = "seeds and folds" if kind == "seeds" and any(cell.fold for cell in cells) else kind
    what = f"is in {variants} variants" if variants > 1 else f"has {len(cells)} {kind}"
    names = [
        shlex.quote(
            cell_reference(cell.experiment, cell.position, cell.seed, cell.variant, cell.fold)
        )
        for cell in cells
    ]
    listed = ", ".join(names[:SHOWN]) + (", …" if len(names) > SHOWN else "")
    raise UsageError(f"'{text}' {what}; which one?", allowed=listed)


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
