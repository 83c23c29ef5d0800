"""Which recorded cells, and which experiments' tables, an export to another tool is of.

Owns how names of experiments, spec files, cells and runs are told apart.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from runner.bind.named_runs import check_variant, find_record
from runner.core.errors import UsageError, nearest
from runner.spec.cell_names import Given, cell_names
from runner.spec.experiment import load_experiment
from runner.store.database import Database
from runner.store.queries import find_runs, stored_experiments
from runner.store.stored_cells import StoredCell, stored_cells

SPEC_SUFFIXES = (".yaml", ".yml")
ALLOWED = "an experiment, a spec file, a run or a cell, as `runner list` prints them"

Which = tuple[str, str]
"""Name of an experiment, and variant."""


@dataclass(frozen=True, slots=True)
class ExportedCell:
    """A cell of an experiment.

    Attributes:
        cell: as recorded.
        name: what it is called in words, as in figures; "" of the only one.
    """

    cell: StoredCell
    name: str

    @property
    def group(self) -> str:
        """The experiment with its variant."""
        return group_name(self.cell.experiment, self.cell.variant)

    def run_name(self, rerun: int) -> str:
        """Return what its run is called within the experiment, and which repetition."""
        fold = f"fold={self.cell.fold}" if self.cell.fold else ""
        again = f"rerun={rerun}" if rerun else ""
        parts = (self.name, fold, f"seed={self.cell.seed}", again)
        return " ".join(part for part in parts if part)


@dataclass(frozen=True, slots=True)
class ExportedCells:
    """What is to be exported.

    Attributes:
        cells: of each run of an experiment the first cell, and those without a run.
        whole: the experiments that are exported with their tables.
    """

    cells: tuple[ExportedCell, ...]
    whole: tuple[Which, ...]


def group_name(experiment: str, variant: str) -> str:
    """Return what an experiment with its variant is called in other tools."""
    return f"{experiment}@{variant}" if variant else experiment


def exported_cells(database: Database, names: Sequence[str], variant: str) -> ExportedCells:
    """Return the cells that names mean; all recorded ones without names.

    Args:
        database: where they are recorded.
        names: experiments, spec files, runs and cells.
        variant: of the experiments; "" is the specs as written.

    Raises:
        UsageError: for a name that means nothing, or several runs.
    """
    stored = stored_experiments(database)
    known = [each.name for each in stored]
    if variant or not names:
        check_variant(variant, [each.variant for each in stored])
    whole: dict[Which, None] = {}
    single: dict[Which, set[str | None]] = {}
    for name in names or dict.fromkeys(each.name for each in stored if each.variant == variant):
        experiment = _experiment(name, known)
        if experiment is not None:
            check_variant(variant, [e.variant for e in stored if e.name == experiment], experiment)
            whole[experiment, variant] = None
            continue
        for which, key in _cells_of_run(database, name, known).items():
            single.setdefault(which, set()).add(key)
    cells: list[ExportedCell] = []
    for which in dict.fromkeys([*whole, *single]):
        keys = None if which in whole else single[which]
        cells += _cells(database, which, keys)
    return ExportedCells(tuple(cells), tuple(whole))


def _experiment(name: str, known: Sequence[str]) -> str | None:
    """Return the experiment that a name is of, or None where it is a run's or a cell's."""
    if name in known:
        return name
    if not name.endswith(SPEC_SUFFIXES):
        return None
    experiment = load_experiment(Path(name)).name
    if experiment not in known:
        raise UsageError(f"{name} has not been run: the database has no '{experiment}'")
    return experiment


def _cells_of_run(database: Database, name: str, known: Sequence[str]) -> Mapping[Which, str]:
    """Return the experiments that have a run, with its key."""
    if ":" not in name and not find_runs(database, name):
        raise UsageError(
            f"'{name}' means nothing that is recorded",
            allowed=ALLOWED,
            suggestion=nearest(name, known),
        )
    record = find_record(database, name)
    key = record["run_key"]
    if key is None:
        raise UsageError(f"'{name}' has not been run: nothing is recorded of it")
    cells = record["cells"]
    if not cells:
        raise UsageError(f"run {key[:12]} is in no recorded experiment any more")
    written = [each for each in cells if not each["variant"]]
    return {(each["experiment"], each["variant"]): key for each in written or cells}


def _cells(database: Database, which: Which, keys: set[str | None] | None) -> list[ExportedCell]:
    """Return cells of an experiment, or those of some runs; of each run the first."""
    experiment, variant = which
    stored = [each for each in stored_cells(database, experiment) if each.variant == variant]
    given: dict[int, Given] = {each.position: (each.labels, each.swept) for each in stored}
    names = cell_names(given)
    found: dict[object, ExportedCell] = {}
    for each in stored:
        if keys is None or each.run_key in keys:
            key = each.run_key or (each.position, each.fold, each.seed)
            found.setdefault(key, ExportedCell(each, names[each.position]))
    return list(found.values())
