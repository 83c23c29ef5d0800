"""docs/results.md: published against measured, for every spec of the reports.

Read from the reference results and from the specs in experiments/; documented_experiments.py says
what neither of them does.
"""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from documented_experiments import EXPERIMENTS, Documented

from runner.cli.formatting import pluralize
from runner.core.run import Published
from runner.core.text import show_seconds
from runner.lower.stages import make_run
from runner.report.tables.declared import stored_tables
from runner.report.tables.query import query_table
from runner.report.tables.render import render
from runner.spec.experiment import Experiment, load_experiment
from runner.spec.tables.table import Table
from runner.store.attempts_behind import attempts_behind
from runner.store.catalogue import SpecRecord, record_experiment
from runner.store.chains import RunStages
from runner.store.database import Database
from runner.store.files import FileBackend
from runner.store.reference import open_reference
from runner.store.schema import attempts, cells, environments, experiments, metadata, stages
from runner.store.views import VIEWS

FOLDER = Path(__file__).resolve().parent.parent / "experiments"
FEW_LETTERS = 24
PREPARE = "prepare"
HEAD = """\
# Results

Written by `tools/docs.py` from the reference results, which ship with the program, and from the
specs in `experiments/`. Each section has the command that trains, the command that prints its
table (`--reference` reads what ships, as it stands below; without it, your own `results.db`), and
those that draw its figures. What an analysis leaves does not ship: its pictures, as those below,
are drawn where it was run. "Published" is what the report printed, "difference" is measured minus
published. Dates are UTC; seconds are those of all stages that a table rests on, each counted once.
"""


@dataclass(frozen=True)
class Section:
    """What is known of one documented spec.

    Attributes:
        experiment: the spec as it is now, without profile.
        variant: the measured variant as it is now; the spec itself where there is none.
        tables: those that were recorded when it was measured; none when it was not.
        rows: one mapping per measured cell.
        others: further measured variants.
    """

    documented: Documented
    experiment: Experiment
    variant: Experiment
    tables: tuple[Table, ...]
    rows: tuple[Mapping[str, Any], ...]
    others: tuple[Section, ...] = ()

    @property
    def done(self) -> int:
        """How many of its cells have a result."""
        return sum(row["status"] in ("done", "diverged") for row in self.rows)


def results_document() -> str:
    """Return the document."""
    with open_reference() as database:
        sections = [_section(database, each) for each in documented()]
        parts = [HEAD, _overview(database, sections)]
        parts += [_described(database, each) for each in sections]
    return "\n".join(parts)


def documented() -> list[Documented]:
    """Return the documented experiments whose specs are there."""
    return [each for each in EXPERIMENTS if (FOLDER / f"{each.spec}.yaml").is_file()]


def _section(database: Database, documented: Documented) -> Section:
    path = FOLDER / f"{documented.spec}.yaml"
    experiment = load_experiment(path)
    variant = load_experiment(path, documented.profile, documented.sets)
    mine = (variant.name, variant.variant)
    tables = tuple(
        each.table for each in stored_tables(database) if (each.experiment, each.variant) == mine
    )
    others = tuple(
        _section(database, replace(documented, sets=(text,), more=())) for text in documented.more
    )
    section = Section(documented, experiment, variant, tables, _rows(database, variant), others)
    is_whole = not variant.variant and 0 < section.done == len(section.rows)
    assert is_whole or documented.why, (
        f"{documented.spec} is not run as a whole, and nobody says why"
    )
    return section


def _rows(database: Database, variant: Experiment) -> tuple[Mapping[str, Any], ...]:
    """Return the measured cells of a variant, with the status of their runs."""
    mine = (
        sa.select(cells)
        .join(experiments)
        .where(experiments.c.name == variant.name, experiments.c.variant == variant.variant)
        .order_by(cells.c.position, cells.c.seed)
    )
    with database.read() as connection:
        newest = connection.execute(sa.text("SELECT run_key, status FROM latest_results"))
        statuses = {row.run_key: row.status for row in newest}
        return tuple(
            {**row._mapping, "status": statuses.get(row.run_key, "unfinished")}
            for row in connection.execute(mine)
        )


def _overview(database: Database, sections: Sequence[Section]) -> str:
    lines = ["| report | experiment | measured | on |", "| --- | --- | --- | --- |"]
    for each in sections:
        title = _title(each.documented)
        anchor = re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-")
        measured = f"{each.done} of {pluralize(len(each.rows), 'cell')}" if each.rows else "not run"
        measured += f" ({each.variant.variant})" if each.rows and each.variant.variant else ""
        devices = ", ".join(_devices(_origins(database, each))) if each.rows else ""
        reports = ", ".join(each.documented.reports)
        link = f"[{each.documented.title}](#{anchor})"
        lines.append(f"| {reports} | {link} | {measured} | {devices} |")
    return "\n".join(lines) + "\n"


def _title(documented: Documented) -> str:
    reports = ", ".join(documented.reports)
    word = "Reports" if len(documented.reports) > 1 else "Report"
    return f"{word} {reports}: {documented.title}" if reports else documented.title


def _described(database: Database, section: Section) -> str:
    about = " ".join(section.experiment.about.split())
    parts = [f"## {_title(section.documented)}\n", f"{first_sentence(about)}\n"]
    if section.documented.note:
        parts.append(f"{section.documented.note}\n")
    parts.append("```console\n" + "\n".join(f"$ {line}" for line in commands(section)) + "\n```\n")
    if section.rows:
        parts += _measured(database, section)
    else:
        parts += _not_run(section)
    return "\n".join(parts)


def first_sentence(text: str) -> str:
    """Return a text up to its first full stop or question mark before a capital letter.

    A few words are not enough to say what is done: a second sentence follows them.
    """
    matched = re.match(rf"(.{{{FEW_LETTERS},}}?[.?!])(?= [A-Z]|$)", text)
    return matched[1] if matched else text


def commands(section: Section) -> Iterator[str]:
    """Yield the commands that make the results, print the tables and draw the figures."""
    documented, variant = section.documented, section.variant
    spec = f"experiments/{documented.spec}.yaml"
    options = ["--profile", documented.profile] if documented.profile else []
    options += [word for text in documented.sets for word in ("--set", text)]
    of_variant = ["--variant", variant.variant] if variant.variant else []
    reference = ["--reference"] if section.rows else []
    yield from _run_and_report(section, spec, [*options], [*of_variant, *reference])
    for other in section.others:
        sets = [word for text in other.documented.sets for word in ("--set", text)]
        variant_words = ["--variant", other.variant.variant, *reference]
        yield from _run_and_report(other, spec, sets, variant_words)
    for figure in documented.figures:
        words = ["runner", "plot", spec, *shlex.split(figure), *options, *reference]
        yield shlex.join(words)
    ships = {picture.figure: picture.ships for picture in documented.pictures}
    for figure in ships:
        words = ["runner", "plot", spec, *shlex.split(figure), *options]
        yield shlex.join([*words, *(reference if ships[figure] else ())])
    yield from documented.commands


def _run_and_report(
    section: Section, spec: str, of_run: list[str], of_report: list[str]
) -> Iterator[str]:
    yield shlex.join(["runner", "run", spec, *of_run])
    for table in section.tables or section.variant.tables:
        yield shlex.join(["runner", "report", "--table", table.name, *of_report])


def _measured(database: Database, section: Section) -> Iterator[str]:
    variant, why = section.variant, section.documented.why
    is_whole = not variant.variant
    published = None if is_whole else _published(section)
    if not is_whole:
        beside = " The published values stand beside it; they are those of the whole."
        yield (
            f"Measured is the variant `{variant.variant}`, for the whole was not run: {why}."
            f"{beside if any((published or {}).values()) else ''}\n"
        )
    for table in section.tables:
        filled = query_table(
            database, table, variant.name, variant.variant, None, published, is_compared=is_whole
        )
        yield render(filled, "markdown")
    for picture in section.documented.pictures:
        yield f"![{picture.caption}](pictures/{picture.file})\n\n{picture.caption}\n"
    yield f"{_origin(_origins(database, section))}\n"
    for other in section.others:
        yield f"With `{other.variant.variant}`:\n"
        for table in other.tables:
            values = _published(other)
            name, which = other.variant.name, other.variant.variant
            filled = query_table(database, table, name, which, None, values, is_compared=True)
            yield render(filled, "markdown")
        yield f"{_origin(_origins(database, other))}\n"
    left = len(section.rows) - section.done
    if left:
        reason = f": {why}" if is_whole else ""
        yield f"Not run are {left} of {pluralize(len(section.rows), 'cell')}{reason}.\n"
    changed = _changed(section)
    if changed:
        yield f"Since then, the spec has changed in {changed} of {len(section.rows)} cells.\n"


def _published(section: Section) -> dict[int, Mapping[str, Published]]:
    """Return the published values of the spec's own cells, by position in the variant."""
    own = {
        _cell_of(cell.cell.labels, cell.cell.swept): cell.cell.published
        for cell in section.experiment.cells
    }
    return {
        row["position"]: own.get(_cell_of(row["labels"], row["swept"]), {}) for row in section.rows
    }


def _cell_of(labels: Mapping[str, str], swept: Mapping[str, Any]) -> str:
    return json.dumps([dict(labels), dict(swept)], sort_keys=True)


def _changed(section: Section) -> int:
    """Return how many measured cells are not in the spec as it is now."""
    now = {
        (cell.cell.position, cell.cell.seed): cell.cell.settings_key
        for cell in section.variant.cells
    }
    return sum(
        now.get((row["position"], row["seed"])) != row["settings_key"] for row in section.rows
    )


def _not_run(section: Section) -> Iterator[str]:
    yield f"Not run: {section.documented.why}. Its rows, with what was published:\n"
    experiment, unrun = section.experiment, _empty_database()
    keyed = [(cell.cell, make_run(cell.settings, "")) for cell in experiment.cells]
    record_experiment(
        unrun,
        SpecRecord(
            name=experiment.name,
            variant="",
            about=experiment.about,
            path="",
            document=experiment.document,
            source="",
        ),
        keyed_cells=[(cell, run.run_key) for cell, run in keyed],
        wanted=[run for _, run in keyed],
        chains={run.run_key: RunStages((), "", 0) for _, run in keyed},
    )
    published = {cell.cell.position: cell.cell.published for cell in experiment.cells}
    for table in experiment.tables:
        filled = query_table(
            unrun, table, experiment.name, "", published=published, is_compared=False
        )
        text = render(filled, "markdown")
        yield text.replace("| unfinished |", "| – |").replace("| unfinished |", "| – |")
    unrun.close()


def _empty_database() -> Database:
    """Return a database in memory, for the rows of a table without results."""
    engine = sa.create_engine("sqlite://")
    metadata.create_all(engine)
    database = Database(FileBackend(engine, Path("unrun.db")))
    with database.write() as connection:
        for statement in VIEWS.values():
            connection.exec_driver_sql(statement)
    return database


def _origins(database: Database, section: Section) -> list[sa.Row[Any]]:
    """Return the attempts that the measured cells rest on, with their environments.

    Pixels are prepared again where they were thrown away, to the same bytes: once counts.
    """
    query = (
        sa.select(attempts, environments.c.content, stages.c.kind)
        .join(environments, environments.c.id == attempts.c.environment_id)
        .join(stages, stages.c.stage_key == attempts.c.stage_key)
        .order_by(attempts.c.started)
    )
    keys = {row["run_key"] for row in section.rows}
    with database.read() as connection:
        newest = connection.execute(sa.text("SELECT run_key, rerun FROM latest_results"))
        behind = attempts_behind(connection, [tuple(row) for row in newest if row.run_key in keys])
        rows = [row for row in connection.execute(query) if row.id in behind]
    prepared = {row.stage_key: row.id for row in reversed(rows) if row.kind == PREPARE}
    return [row for row in rows if prepared.get(row.stage_key, row.id) == row.id]


def _measuring(origins: Sequence[sa.Row[Any]]) -> list[sa.Row[Any]]:
    """Return the attempts whose machine and code the numbers can depend on."""
    return [row for row in origins if row.kind != PREPARE]


def _devices(origins: Sequence[sa.Row[Any]]) -> list[str]:
    return list(dict.fromkeys(_device(row) for row in _measuring(origins)))


def _device(row: sa.Row[Any]) -> str:
    if row.device != "cpu":
        return str(row.device)
    return f"{row.content['processor']}, {pluralize(row.numerics['threads'], 'thread')}"


def _origin(origins: Sequence[sa.Row[Any]]) -> str:
    """Return where and when something was measured, how long it took, and with which code."""
    measuring = _measuring(origins)
    days = [datetime.fromtimestamp(row.started, UTC).strftime("%Y-%m-%d") for row in measuring]
    period = " to ".join(dict.fromkeys([min(days), max(days)]))
    seconds = show_seconds(sum(row.seconds or 0.0 for row in origins))
    torch = _several("torch", [row.content["versions"]["torch"] for row in measuring])
    program = _several("runner", [row.content["versions"]["runner"] for row in measuring])
    code = _several("code", [_commit(row.content["code"]) for row in measuring])
    where = " and ".join(_devices(origins))
    return f"Measured on {where}; {period}; {seconds}; {torch}, {program}, {code}."


def _commit(text: str) -> str:
    """Return a commit's first letters, with its + when the work tree had changes."""
    return (
        f"`{text[:12]}{'+' if text.endswith('+') and len(text) > 12 else ''}`"
        if text
        else "unknown"
    )


def _several(word: str, values: Sequence[str]) -> str:
    return f"{word} {' and '.join(sorted(set(values)))}"
