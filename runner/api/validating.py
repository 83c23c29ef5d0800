"""The verb `validate`: check specs, and show what each cell resolves to and why."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from runner.bind.binder import Binder, load_experiments
from runner.bind.cell_filter import select_cells
from runner.bind.workspace import workspace
from runner.spec.experiment import Experiment
from runner.spec.resolve import origins

if TYPE_CHECKING:
    import pandas as pd


def checked(
    specs: Iterable[str | Path],
    profile: str | None = None,
    sets: Sequence[str] = (),
    deep: bool = False,
    data: str | Path | None = None,
    only: Sequence[str] = (),
    on_note: Callable[[str], None] = lambda note: None,
) -> list[Experiment]:
    """Return the experiments of specs, checked, with the cells that are asked for.

    Args:
        specs: spec files.
        profile: name of a profile.
        sets: ``setting=value`` options.
        deep: hold them against data and models too, as `run` does.
        data: folder in which data sets are looked for.
        only: label texts, ``label=text`` or ``setting=value``; specs are checked as a whole, data
            and models of these cells only.
        on_note: hears what a person should know of the data, where it is looked at.

    Raises:
        SpecError: with every problem found.
        UsageError: when no cell is left.
    """
    experiments = select_cells(load_experiments(specs, profile, sets, data), only)
    if deep:
        binder = Binder(workspace(data=data))
        binder.bind(experiments)
        for note in binder.notes:
            on_note(note)
    return experiments


def validate(
    specs: str | Path | Iterable[str | Path],
    profile: str | None = None,
    sets: Sequence[str] = (),
    deep: bool = False,
    data: str | Path | None = None,
    only: Sequence[str] = (),
) -> pd.DataFrame:
    """Return the resolved settings of every cell: one row per cell and setting.

    Columns: experiment, position, seed, setting, value, origin (file:line:column or default).
    Arguments and errors as :func:`checked`.
    """
    import pandas as pd

    paths = [specs] if isinstance(specs, str | Path) else specs
    rows = [
        row
        for each in checked(paths, profile, sets, deep, data, only)
        for row in resolved_rows(each)
    ]
    return pd.DataFrame(rows)


def resolved_rows(experiment: Experiment) -> list[dict[str, Any]]:
    """Return one mapping per cell and setting; see :func:`validate`."""
    return [
        {
            "experiment": experiment.name,
            "position": item.cell.position,
            "seed": item.cell.seed,
            "setting": path,
            "value": value,
            "origin": origin,
        }
        for item in experiment.cells
        for path, value, origin in origins(item.settings, item.tree)
    ]
