"""What does not change of an experiment while it runs: cells, names, stages, declared tables.

Made once for each time that its spec is recorded; stages are read when they are first asked for,
since nothing that is seen first needs them. Knows no numbers.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

from runner.report.tables.declared import TableRef
from runner.spec.cell_names import cell_names
from runner.spec.experiment import recorded_tables
from runner.store.database import Database
from runner.store.queries import StoredExperiment
from runner.store.watched import WatchedCell, analysis_stages, watched_cells
from runner.store.watched_stages import WatchedStage, watched_stages


@dataclass(frozen=True)
class Structure:
    """An experiment as last run.

    Attributes:
        stored: its spec.
        cells: in the order of the spec.
        database: where its stages are.
    """

    stored: StoredExperiment
    cells: tuple[WatchedCell, ...]
    database: Database

    @cached_property
    def _stages(self) -> tuple[Mapping[str, WatchedStage], Mapping[str, tuple[str, ...]]]:
        return watched_stages(self.database, self.run_keys)

    @property
    def stages(self) -> Mapping[str, WatchedStage]:
        """The stages of its runs, by key."""
        return self._stages[0]

    @property
    def chains(self) -> Mapping[str, tuple[str, ...]]:
        """The keys of the stages of each run, parents first."""
        return self._stages[1]

    @cached_property
    def analyses(self) -> Mapping[str, Mapping[str, object]]:
        """Kind and runs of the stages of analyses, by key."""
        return analysis_stages(self.database, self.run_keys)

    @cached_property
    def names(self) -> Mapping[int, str]:
        """What the combination at each position is called."""
        return cell_names({each.position: (each.labels, each.swept) for each in self.cells})

    @cached_property
    def run_keys(self) -> frozenset[str]:
        """The keys of its runs, as far as they are known."""
        return frozenset(each.run_key for each in self.cells if each.run_key)

    @cached_property
    def stage_keys(self) -> frozenset[str]:
        """The keys of the stages of its runs, those of analyses included."""
        return frozenset(self.stages.keys() | self.analyses.keys())

    @cached_property
    def tables(self) -> tuple[TableRef, ...]:
        """The tables that its spec declares."""
        stored = self.stored
        return tuple(
            TableRef(table, stored.name, stored.variant, table.about or stored.about)
            for table in recorded_tables(stored.document)
        )

    def cell_id(self, cell: WatchedCell) -> str:
        """Return what a cell is called on the page."""
        return f"{cell.position}:{cell.seed}" + (f":{cell.fold}" if cell.fold else "")


def read_structure(database: Database, stored: StoredExperiment) -> Structure:
    """Return an experiment as it was recorded last.

    Raises:
        DamagedDatabase: when it is not what was recorded.
    """
    return Structure(stored, tuple(watched_cells(database, stored.id)), database)
