"""Holding what is stored against its checksums, before it is shown or built upon.

Each check looks at what one reader needs and refuses damage by name; `db check` looks at all of it.
What has no checksum was recorded by an earlier version of the program, and is let through.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from runner.core.keys import content_key
from runner.store.addresses import Address
from runner.store.analysis_values import CHECKSUM, COUNTING, values_checksum, values_of
from runner.store.checksums import (
    PARTS,
    RESULT,
    Key,
    attempt_checksums,
    experiment_checksums,
    finished_grid_key,
    result_checksums,
    run_checksums,
)
from runner.store.failures import damaged
from runner.store.rows import selected
from runner.store.schema import (
    analyses,
    attempts,
    cells,
    environments,
    experiments,
    finished_grids,
    results,
    run_stages,
    runs,
    stages,
)

SHOWN = 5
ALL = "`runner db check` names all of it"
AGAIN = f"{ALL}; a run is done again with --rerun"


@dataclass(frozen=True, slots=True)
class Checked:
    """What became of the check of one kind of things.

    Attributes:
        kind: what they are.
        count: how many were compared with a checksum.
        unchecked: how many have none.
        problems: in words, what is not as it was recorded.
    """

    kind: str
    count: int
    unchecked: int
    problems: tuple[str, ...]


def check_everything(connection: sa.Connection) -> Iterator[Checked]:
    """Yield the check of all that has a checksum, kind by kind."""
    yield check_experiments(connection)
    if (earlier := check_finished_grids(connection)).count:
        yield earlier
    yield check_runs(connection)
    yield check_results(connection)
    yield check_attempts(connection)
    yield check_environments(connection)
    yield from check_analyses(connection)


def refuse(address: Address, checks: Iterable[Checked]) -> None:
    """Refuse to go on with what is damaged.

    Raises:
        DamagedDatabase: which names it, and how a run whose result alone is damaged is mended.
    """
    wrong = [each for each in checks if each.problems]
    problems = [problem for each in wrong for problem in each.problems]
    if problems:
        more = f"\n    and {len(problems) - SHOWN} more" if len(problems) > SHOWN else ""
        mending = AGAIN if {each.kind for each in wrong} == {"results"} else ALL
        raise damaged(address, "\n    ".join(problems[:SHOWN]) + more + f"\n    {mending}")


def check_experiments(connection: sa.Connection, name: str | None = None) -> Checked:
    """Check the documents and cells of all experiments, or of all variants of one."""
    query = sa.select(
        experiments.c.id, experiments.c.name, experiments.c.variant, experiments.c.checksum
    )
    query = query if name is None else query.where(experiments.c.name == name)
    rows = connection.execute(query).all()
    found = experiment_checksums(connection, [row.id for row in rows if row.checksum is not None])
    problems = [
        f"the experiment {row.name!r}{f' [{row.variant}]' if row.variant else ''} or its cells are"
        " not what was recorded; `runner run` records them again"
        for row in rows
        if row.checksum is not None and row.checksum != found.get(row.id)
    ]
    return _checked("experiments", (row.checksum for row in rows), problems)


def check_finished_grids(
    connection: sa.Connection,
    experiment_id: int | None = None,
    keys: Collection[str] | None = None,
) -> Checked:
    """Check earlier versions of all experiments, or of one, or some; a key is a version's hash."""
    query = sa.select(finished_grids)
    if experiment_id is not None:
        query = query.where(finished_grids.c.experiment_id == experiment_id)
    rows = list(selected(connection, query, finished_grids.c.key, keys))
    problems = [
        f"an earlier version of experiment {row.experiment_id} is not what was recorded"
        for row in rows
        if finished_grid_key(row.document, row.cells) != row.key
    ]
    return _checked("versions", (row.key for row in rows), problems)


def check_runs(connection: sa.Connection, keys: Collection[str] | None = None) -> Checked:
    """Check settings and data of all runs, or of some, which must be there."""
    query = sa.select(runs.c.run_key, runs.c.checksum)
    rows = list(selected(connection, query, runs.c.run_key, keys))
    stored: dict[str, str | None] = {row.run_key: row.checksum for row in rows}
    found = run_checksums(connection, [key for key, known in stored.items() if known is not None])
    problems = [f"the run {key[:12]} is not there" for key in set(keys or ()) - set(stored)]
    problems += [
        f"the settings of run {key[:12]} are not what was recorded"
        for key, known in stored.items()
        if known is not None and known != found.get(key)
    ]
    return _checked("runs", stored.values(), problems)


def check_results(
    connection: sa.Connection,
    keys: Collection[str] | None = None,
    parts: Collection[str] = PARTS,
) -> Checked:
    """Check results with what they read.

    Args:
        connection: to the database.
        keys: runs, of which only what decides on the result that is shown is looked at; all
            repetitions of all runs by default.
        parts: of :data:`PARTS`.
    """
    query = sa.select(results.c.run_key, results.c.rerun, results.c.status, results.c.checksum)
    rows = [tuple(row) for row in selected(connection, query, results.c.run_key, keys)]
    if keys is not None:
        rows = _deciding(rows)
    known = {(key, rerun): _parts(text) for key, rerun, _, text in rows if text is not None}
    found = result_checksums(connection, {key for key, _ in known}, parts)
    problems = []
    for each, stored in known.items():
        wrong = [part for part in parts if stored.get(part) != found.get(each, {}).get(part)]
        if wrong:
            what = "" if RESULT in wrong else f" in {', '.join(wrong)}"
            problems.append(
                f"the result of {_named(connection, each)} is not what was recorded{what}"
            )
    return _checked("results", (row[3] for row in rows), problems)


def _deciding(rows: Iterable[tuple[Any, ...]]) -> list[tuple[Any, ...]]:
    """Return the result of each run that is shown, and those that would be if damage hid them."""
    newest: dict[str, tuple[bool, int]] = {}
    every = list(rows)
    for key, rerun, status, _ in every:
        newest[key] = max(newest.get(key, (False, -1)), (status != "failed", rerun))
    return [row for row in every if row[1] >= newest[row[0]][1]]


def _parts(text: str) -> Mapping[str, str]:
    try:
        found = json.loads(text)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def _named(connection: sa.Connection, result: Key) -> str:
    """Return what a person calls a result: run, cell, repetition."""
    key, rerun = result
    query = (
        sa.select(experiments.c.name, cells.c.position, cells.c.seed, cells.c.fold)
        .join(cells, cells.c.experiment_id == experiments.c.id)
        .where(cells.c.run_key == key)
    )
    cell = connection.execute(query).first()
    fold = f":{cell.fold}" if cell is not None and cell.fold else ""
    cell_text = "" if cell is None else f" ({cell.name}:{cell.position}:{cell.seed}{fold})"
    return f"run {key[:12]}{cell_text}" + (f", repetition {rerun}" if rerun else "")


def check_attempts(connection: sa.Connection, stage_keys: Collection[str] | None = None) -> Checked:
    """Check all attempts that have ended, or those at some stages: times, outcomes, machine."""
    query = sa.select(attempts.c.id, attempts.c.stage_key, attempts.c.checksum).where(
        attempts.c.status != "running"
    )
    rows = list(selected(connection, query, attempts.c.stage_key, stage_keys))
    found = attempt_checksums(connection, [row.id for row in rows if row.checksum is not None])
    problems = [
        f"attempt {row.id} at stage {row.stage_key[:12]} is not what was recorded"
        for row in rows
        if row.checksum is not None and row.checksum != found.get(row.id)
    ]
    return _checked("attempts", (row.checksum for row in rows), problems)


def check_environments(connection: sa.Connection, ids: Collection[int] | None = None) -> Checked:
    """Check machines, versions and code, whose keys are hashes of them: of all, or of some."""
    rows = list(selected(connection, sa.select(environments), environments.c.id, ids))
    problems = [
        f"environment {row.id} is not what was recorded"
        for row in rows
        if content_key("environment", row.content) != row.key
    ]
    return _checked("environments", (row.key for row in rows), problems)


NO_VALUES = values_checksum([])
"""Of analyses that leave arrays alone, whose outcome has no checksum of values."""


def check_analyses(
    connection: sa.Connection,
    run_keys: Collection[str] | None = None,
    analysis_keys: Collection[str] | None = None,
) -> Iterator[Checked]:
    """Yield the check of the values of analyses: of all runs and analyses, or of some."""
    query = sa.select(analyses, stages.c.spec, run_stages.c.reading).join(
        stages, stages.c.stage_key == analyses.c.stage_key
    )
    own = (
        (run_stages.c.run_key == analyses.c.run_key)
        & (run_stages.c.rerun == analyses.c.rerun)
        & (run_stages.c.position == 0)
    )
    query = query.outerjoin(run_stages, own)
    rows = list(selected(connection, query, analyses.c.run_key, run_keys))
    if analysis_keys is not None:
        wanted = set(analysis_keys)
        rows = [row for row in rows if row.analysis_key in wanted]
    stage_keys = sorted({row.stage_key for row in rows})
    problems = [
        f"the stage of analysis {row.kind} of run {row.run_key[:12]} is not what was recorded"
        for row in rows
        if not _is_of_run(row)
    ]
    made = {row.stage_key: row for row in _newest(connection, stage_keys)}
    for stage_key, attempt in made.items():
        found = values_checksum(values_of(connection, attempt.id))
        if found != (attempt.outcome or {}).get(CHECKSUM, NO_VALUES):
            problems.append(f"the values of analysis {stage_key[:12]} are not what was recorded")
    if made or problems:
        yield Checked("analyses", len(made), 0, tuple(problems))
    if run_keys is not None:
        yield check_attempts(connection, stage_keys)


def _is_of_run(row: Any) -> bool:
    """Return whether the stage of an analysis is of its kind, and of the run that wants it."""
    spec = row.spec
    is_kind = spec.get("analysis", {}).get("name") == row.kind
    return is_kind and row.reading in (None, spec.get("reading"))


def _newest(connection: sa.Connection, stage_keys: Collection[str]) -> list[Any]:
    """Return stage, id and outcome of the attempts whose values count, one for each stage."""
    columns = (attempts.c.stage_key, attempts.c.id, attempts.c.outcome)
    query = sa.select(*columns).where(attempts.c.status.in_(COUNTING))
    rows = list(selected(connection, query, attempts.c.stage_key, stage_keys))
    return list({row.stage_key: row for row in sorted(rows, key=lambda row: int(row.id))}.values())


def _checked(kind: str, checksums: Iterable[str | None], problems: list[str]) -> Checked:
    known = [each is not None for each in checksums]
    return Checked(kind, sum(known), len(known) - sum(known), tuple(problems))
