"""Finds tables: those of stored experiments, or those of a spec file as it is now.

Looks them up by name and variant, and tells whether the stored cells are those of the file.
Querying them is another module's task.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from runner.bind.named_runs import check_variant
from runner.core.errors import UsageError, nearest
from runner.core.run import Published
from runner.report.tables.query import PublishedValues, query_table
from runner.report.tables.sql import compile_table
from runner.report.tables.table import TableData
from runner.report.tables.tolerances import ToleranceCheck, tolerance_checks
from runner.spec.experiment import Experiment, load_experiment, recorded_tables
from runner.spec.sweep import WITH_TOLERANCE
from runner.spec.tables.table import Table
from runner.store.cell_results import cell_results
from runner.store.database import Database
from runner.store.dialects import SQLITE, Dialect
from runner.store.queries import stored_experiments
from runner.store.stored_cells import finished_cells

NOT_AS_RUN = (
    "has other cells in its file than those that were run last;"
    " `runner run` brings the database up to date"
)


@dataclass(frozen=True, slots=True)
class TableRef:
    """A table and the stored experiment whose cells fill it.

    Attributes:
        published: values to show in place of the recorded ones, or None.
        is_as_run: whether the recorded cells are those of the spec file that was asked for.
    """

    table: Table
    experiment: str
    variant: str
    about: str
    published: PublishedValues | None = None
    is_as_run: bool = True


def fill(database: Database, declared: TableRef) -> TableData:
    """Return a declared table with its rows; see :func:`runner.report.tables.query.query_table`."""
    return query_table(
        database,
        declared.table,
        declared.experiment,
        declared.variant,
        published=declared.published,
    )


def check_tolerances(database: Database, tables: Sequence[TableRef]) -> list[ToleranceCheck]:
    """Return the published values with a tolerance in these tables, and what was measured.

    Raises:
        UsageError: when there is none, which would be a check that cannot fail; or when a spec
            file has changed since it was run, so that the numbers are those of other settings.
    """
    for each in tables:
        if not each.is_as_run:
            raise UsageError(f"{each.experiment} {NOT_AS_RUN}")
    unpivoted = [replace(each, table=replace(each.table, pivot=None, melt=None)) for each in tables]
    checks = [check for each in unpivoted for check in tolerance_checks(fill(database, each))]
    if not checks:
        names = ", ".join(dict.fromkeys(each.table.name for each in tables)) or "no table"
        raise UsageError(
            f"nothing to check: no published value in {names} has a tolerance",
            hint=f"write published: {{TEST_ACC: {WITH_TOLERANCE}}}, for cells as written",
        )
    return checks


def sql_of(declared: TableRef, dialect: Dialect = SQLITE) -> str:
    """Return the SQL that a declared table compiles to; with a pivot, of the rows before it."""
    return compile_table(declared.table, declared.experiment, declared.variant, dialect=dialect)


def stored_tables(database: Database) -> list[TableRef]:
    """Return every table of every stored experiment, the experiment run last first."""
    found: list[TableRef] = []
    for stored in stored_experiments(database):
        found += [
            TableRef(table, stored.name, stored.variant, table.about or stored.about)
            for table in recorded_tables(stored.document)
        ]
    return found


def find_tables(
    database: Database, name: str | None, spec: str | Path | None, variant: str
) -> list[TableRef]:
    """Return the tables that are asked for.

    Of several experiments with one table name, the one run last is meant.

    Raises:
        UsageError: when there is none of that name or variant.
    """
    if variant:
        check_variant(variant, [each.variant for each in stored_experiments(database)])
    if spec is not None:
        tables = _tables_of_spec(database, Path(spec), variant)
    else:
        tables = [each for each in stored_tables(database) if each.variant == variant]
    if name is None:
        return tables
    matching = [each for each in tables if each.table.name == name]
    if not matching:
        names = list(dict.fromkeys(each.table.name for each in tables))
        of_variant = f" of variant '{variant}'" if variant else ""
        raise UsageError(
            f"no table '{name}'{of_variant}",
            allowed=", ".join(names),
            hint="" if names else "there are no tables yet",
            suggestion=nearest(name, names),
        )
    return matching[:1]


def _tables_of_spec(database: Database, spec: Path, variant: str) -> list[TableRef]:
    experiment = load_experiment(spec)
    stored = stored_experiments(database)
    variants = [each.variant for each in stored if each.name == experiment.name]
    if not variants:
        raise UsageError(f"{spec} has not been run: the database has no '{experiment.name}'")
    check_variant(variant, variants, experiment.name)
    is_as_run = bool(variant) or _is_as_run(database, experiment)
    published = _published_values(experiment) if is_as_run and not variant else None
    return [
        TableRef(
            table, experiment.name, variant, table.about or experiment.about, published, is_as_run
        )
        for table in experiment.tables
    ]


def _is_as_run(database: Database, experiment: Experiment) -> bool:
    """Return whether the recorded cells of an experiment are those of its spec file."""
    recorded = {
        (each.position, each.seed, each.fold): each.settings_key
        for each in cell_results(database, experiment.name, "")
    }
    cells = [each.cell for each in experiment.cells]
    written = {(cell.position, cell.seed, cell.fold): cell.settings_key for cell in cells}
    return recorded == written


def _published_values(experiment: Experiment) -> PublishedValues:
    published: dict[int, dict[str, Published]] = {}
    for each in experiment.cells:
        of_position = published.setdefault(each.cell.position, {})
        of_position |= {**each.cell.published, **of_position}
    return published


@dataclass(frozen=True, slots=True)
class VariantStanding:
    """A stored variant, and how many of its cells have a result."""

    experiment: str
    variant: str
    finished: int
    cells: int


def variants_of(database: Database) -> Sequence[VariantStanding]:
    """Return the stored variants, the one run last first."""
    counts = finished_cells(database)
    return [
        VariantStanding(each.name, each.variant, *counts.get((each.name, each.variant), (0, 0)))
        for each in stored_experiments(database)
        if each.variant
    ]
