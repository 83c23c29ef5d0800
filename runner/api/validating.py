"""The verb `validate`: check specs, and show what each cell resolves to and why."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from runner.api.frames import Framed
from runner.bind.binder import Binder
from runner.bind.cell_filter import with_selected_cells
from runner.bind.experiments import load_experiments
from runner.bind.request import several
from runner.bind.workspace import workspace
from runner.spec.experiment import Experiment
from runner.spec.resolve import origins

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True, slots=True, repr=False)
class Validation(Framed):
    """Specs without a problem.

    Attributes:
        experiments: with the cells that were asked for.
        notes: what a person should know of the data, where it was looked at.
    """

    experiments: tuple[Experiment, ...]
    notes: tuple[str, ...]

    def frame(self) -> pd.DataFrame:
        """Return the resolved settings of every cell: one row per cell and setting.

        Columns: experiment, position, seed, fold (from 1, 0 where there are none), setting,
        value, origin (file:line:column or default).
        """
        import pandas as pd

        return pd.DataFrame(
            [row for experiment in self.experiments for row in resolved_rows(experiment)]
        )


def validate(
    specs: str | Path | Iterable[str | Path],
    profile: str | None = None,
    sets: Sequence[str] = (),
    deep: bool = False,
    data: str | Path | None = None,
    only: Sequence[str] = (),
) -> Validation:
    """Return the experiments of specs, checked.

    Args:
        specs: spec files.
        profile: name of a profile.
        sets: ``setting=value`` options.
        deep: check data and models too, as `run` does.
        data: folder in which data sets are looked for.
        only: label texts, ``label=text`` or ``setting=value``; specs are checked as a whole, data
            and models of these cells only.

    Raises:
        SpecError: with every problem found.
        UsageError: when no cell is left.
    """
    loaded = load_experiments(several(specs), profile, several(sets), data)
    experiments = with_selected_cells(loaded, several(only))
    notes: Sequence[str] = ()
    if deep:
        binder = Binder(workspace(data=data))
        binder.bind(experiments)
        notes = binder.notes
    return Validation(tuple(experiments), tuple(notes))


def resolved_rows(experiment: Experiment) -> list[dict[str, Any]]:
    """Return one mapping per cell and setting; see :meth:`Validation.frame`."""
    return [
        {
            "experiment": experiment.name,
            "position": item.cell.position,
            "seed": item.cell.seed,
            "fold": item.cell.fold,
            "setting": path,
            "value": value,
            "origin": origin,
        }
        for item in experiment.cells
        for path, value, origin in origins(item.settings, item.tree)
    ]
