"""The verb `report`: stored tables, or those of a spec file as it is now."""

from __future__ import annotations

from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING

from runner.api.frames import Framed
from runner.bind.workspace import workspace
from runner.core.errors import UsageError
from runner.report.tables.declared import (
    TableRef,
    VariantStanding,
    check_tolerances,
    fill,
    find_tables,
    sql_of,
    variants_of,
)
from runner.report.tables.table import TableData, to_frame
from runner.report.tables.tolerances import ToleranceCheck

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True, slots=True, repr=False)
class Report(Framed):
    """Tables with their rows.

    Attributes:
        refs: the tables that were asked for.
        tables: the same, with their rows.
        checks: the published values with a tolerance, where they were to be checked.
    """

    refs: tuple[TableRef, ...]
    tables: tuple[TableData, ...]
    checks: tuple[ToleranceCheck, ...] = ()

    def frame(self) -> pd.DataFrame:
        """Return the table as a DataFrame.

        Raises:
            UsageError: when there are several; see :meth:`frames`.
        """
        if len(self.tables) != 1:
            names = ", ".join(table.table.name for table in self.tables)
            raise UsageError("which table?", allowed=names)
        return to_frame(self.tables[0])

    def frames(self) -> dict[str, pd.DataFrame]:
        """Return each table as a DataFrame, by name; of several of one name the one run last."""
        frames: dict[str, pd.DataFrame] = {}
        for table in self.tables:
            frames.setdefault(table.table.name, to_frame(table))
        return frames

    @property
    def missed(self) -> tuple[ToleranceCheck, ...]:
        """The checks that do not hold, those of unfinished cells included."""
        return tuple(check for check in self.checks if check.entry.holds != "yes")

    def __str__(self) -> str:
        parts = [f"{name}\n{frame.to_string()}" for name, frame in self.frames().items()]
        return "\n\n".join(parts)

    __repr__ = __str__

    def _repr_html_(self) -> str:
        parts = [f"<p>{escape(name)}</p>{frame.to_html()}" for name, frame in self.frames().items()]
        return "".join(parts)


@dataclass(frozen=True, slots=True, repr=False)
class TableList(Framed):
    """The tables that can be shown.

    Attributes:
        refs: every table, that of the experiment run last first.
        variants: the stored variants, whose tables are found by the variant's name.
    """

    refs: tuple[TableRef, ...]
    variants: tuple[VariantStanding, ...]

    def frame(self) -> pd.DataFrame:
        """Return a row per table: columns table, experiment, variant, about."""
        import pandas as pd

        rows = [(ref.table.name, ref.experiment, ref.variant, ref.about) for ref in self.refs]
        return pd.DataFrame(rows, columns=["table", "experiment", "variant", "about"])


def report(
    table: str | None = None,
    spec: str | Path | None = None,
    db: str | Path | None = None,
    variant: str = "",
    check: bool = False,
) -> Report:
    """Return tables with their rows.

    Args:
        table: the name of the only one.
        spec: a spec file, for its tables and published values as they are now.
        db: the database; results.db when not given.
        variant: which variant's runs fill them.
        check: check published values with a tolerance as well.

    Raises:
        UsageError: for an unknown table, cells that do not fit into a pivot, or nothing to check.
    """
    with workspace(db).open(create=False) as database:
        refs = find_tables(database, table, spec, variant)
        checks = check_tolerances(database, refs) if check else []
        tables = tuple(fill(database, ref) for ref in refs)
    return Report(tuple(refs), tables, tuple(checks))


def list_tables(db: str | Path | None = None, variant: str = "") -> TableList:
    """Return the tables of the stored experiments.

    Args:
        db: the database; results.db when not given.
        variant: those of a variant.

    Raises:
        UsageError: for an unknown variant.
    """
    with workspace(db).open(create=False) as database:
        refs = find_tables(database, None, None, variant)
        return TableList(tuple(refs), tuple(variants_of(database)))


@dataclass(frozen=True, slots=True)
class TableQuery:
    """A table and the SQL that fills it; with a pivot, that of the rows before it."""

    ref: TableRef
    sql: str


def report_sql(
    table: str | None = None,
    spec: str | Path | None = None,
    db: str | Path | None = None,
    variant: str = "",
) -> list[TableQuery]:
    """Return the SQL that fills tables; arguments and errors as :func:`report`."""
    with workspace(db).open(create=False) as database:
        refs = find_tables(database, table, spec, variant)
        return [TableQuery(ref, sql_of(ref, database.dialect)) for ref in refs]
