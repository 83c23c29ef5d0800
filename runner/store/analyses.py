"""Analyses in the database: which runs want which, and their numbers.

An analysis is no stage of a run: the run was complete without it, and stays so. Its numbers belong
to the attempt that made them, whose outcome holds their checksum. Knows numbers and keys, not
torch.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import sqlalchemy as sa

from runner.core.records import AnalysisValue
from runner.store.analysis_values import newest_attempt, values_of
from runner.store.checking import check_analyses, refuse
from runner.store.database import Database, read_again
from runner.store.rows import selected
from runner.store.schema import analyses, attempts, results, stages


@dataclass(frozen=True, slots=True)
class WantedAnalysis:
    """An analysis that a spec asks for of a run.

    Attributes:
        run_key: the run.
        rerun: which repetition of it.
        analysis_key: of the settings of the analysis.
        kind: the name of the analysis, as `robustness`.
        stage_key: of the stage that makes it.
    """

    run_key: str
    rerun: int
    analysis_key: str
    kind: str
    stage_key: str


def record_analyses(database: Database, wanted: Sequence[WantedAnalysis]) -> None:
    """Store which analyses runs want; runs and stages must be there."""

    def record(connection: sa.Connection) -> None:
        for each in _not_there(connection, wanted):
            connection.execute(sa.insert(analyses).values(**asdict(each)))

    if _lacks(database, wanted):
        database.transact(record)


@read_again
def _lacks(database: Database, wanted: Sequence[WantedAnalysis]) -> bool:
    with database.read() as connection:
        return bool(_not_there(connection, wanted))


def _not_there(connection: sa.Connection, wanted: Sequence[WantedAnalysis]) -> list[WantedAnalysis]:
    columns = (analyses.c.run_key, analyses.c.rerun, analyses.c.analysis_key)
    known = {tuple(row) for row in connection.execute(sa.select(*columns))}
    asked = {(each.run_key, each.rerun, each.analysis_key): each for each in wanted}
    return [each for which, each in asked.items() if which not in known]


@read_again
def imported_stages(database: Database, stage_keys: Collection[str]) -> set[str]:
    """Return those of some stages whose values came with the reference."""
    query = sa.select(attempts.c.stage_key).where(attempts.c.status == "reference")
    with database.read() as connection:
        rows = selected(connection, query, attempts.c.stage_key, stage_keys)
        return {row.stage_key for row in rows}


def analyses_of(connection: sa.Connection, run_key: str) -> list[dict[str, Any]]:
    """Return the analyses of the newest repetition of a run that wants some, with their values.

    Each has its key, kind, stage, ``made`` (whether it has been) and ``values``: name, dims, value.
    """
    wanting = sa.select(analyses.c.rerun).where(analyses.c.run_key == run_key)
    newest = sa.select(sa.func.max(results.c.rerun)).where(
        results.c.run_key == run_key,
        results.c.status == "done",
        results.c.rerun.in_(wanting),
    )
    rerun = connection.execute(newest).scalar() or 0
    query = (
        sa.select(analyses.c.analysis_key, analyses.c.kind, analyses.c.stage_key)
        .where(analyses.c.run_key == run_key, analyses.c.rerun == rerun)
        .order_by(analyses.c.kind, analyses.c.analysis_key)
    )
    return [dict(row._mapping) | _made(connection, row) for row in connection.execute(query).all()]


def analysis_settings(database: Database, stage_key: str) -> Mapping[str, Any]:
    """Return the settings of an analysis, of a stage that makes it, as JSON values."""
    found: Mapping[str, Any] = _stage(database, stage_key)["analysis"]
    return found


def looked_at(database: Database, stage_key: str) -> tuple[str, ...]:
    """Return the artifacts of which any one is enough to make an analysis: weights, logits."""
    stage = _stage(database, stage_key)
    return tuple(stage[name] for name in ("weights", "logits") if stage.get(name))


def _stage(database: Database, stage_key: str) -> Mapping[str, Any]:
    query = sa.select(stages.c.spec).where(stages.c.stage_key == stage_key)
    with database.read() as connection:
        found: Mapping[str, Any] = connection.execute(query).scalar_one()
    return found


def values_of_runs(
    database: Database, reruns: Mapping[str, int], analysis_key: str
) -> dict[str, list[AnalysisValue]]:
    """Return what an analysis found of runs, by their keys; nothing of those it was not made of.

    Args:
        database: where they are recorded.
        reruns: which repetition of each run counts, by its key.
        analysis_key: of the settings of the analysis.

    Raises:
        DamagedDatabase: when a value is not what was recorded.
    """
    wanting = sa.select(analyses.c.run_key, analyses.c.rerun, analyses.c.stage_key).where(
        analyses.c.analysis_key == analysis_key
    )
    found: dict[str, list[AnalysisValue]] = {}
    with database.read() as connection:
        refuse(database.address, check_analyses(connection, reruns, {analysis_key}))
        for run_key, rerun, stage_key in connection.execute(wanting).all():
            if reruns.get(run_key) != rerun:
                continue
            if (attempt := newest_attempt(connection, stage_key)) is not None:
                found[run_key] = [
                    AnalysisValue(name, value, json.loads(dims))
                    for name, dims, value in values_of(connection, attempt.id)
                ]
    return found


def _made(connection: sa.Connection, row: Any) -> dict[str, Any]:
    attempt = newest_attempt(connection, row.stage_key)
    if attempt is None:
        return {"made": False, "values": []}
    values = [
        {"name": name, "dims": json.loads(dims), "value": value}
        for name, dims, value in values_of(connection, attempt.id)
    ]
    return {"made": True, "values": values}
