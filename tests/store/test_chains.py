"""The stages of runs as they are planned: stored where they are new or others, else only read."""

from collections.abc import Iterator

import pytest
import sqlalchemy as sa
import stages as made
from recorded import chain_of, do_run, want

from runner.store.analyses import WantedAnalysis, record_analyses
from runner.store.chains import RunStages, record_chains, record_stages
from runner.store.database import Database, open_database
from runner.store.schema import analyses, run_stages, stages


@pytest.fixture
def database(where: str) -> Iterator[Database]:
    with open_database(where) as database:
        want(database, ["r1", "r2"])
        yield database


@pytest.fixture
def writes(database: Database, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Return the writing transactions from now on."""
    real, begun = database.transact, list[str]()

    def transact(body, *arguments, **named):  # type: ignore[no-untyped-def]
        begun.append(body.__qualname__)
        return real(body, *arguments, **named)

    monkeypatch.setattr(database, "transact", transact)
    return begun


def chain(key: str, *more: str) -> RunStages:
    behind = [made.evaluate(name, f"train-{key}-0", needs=()) for name in more]
    return RunStages((*chain_of(key), *behind), f"train-{key}-0", 0)


def recorded(database: Database, run: str) -> list[str]:
    query = sa.select(run_stages.c.stage_key).where(run_stages.c.run_key == run)
    with database.read() as connection:
        return list(connection.execute(query.order_by(run_stages.c.position)).scalars())


def test_what_is_recorded_as_planned_is_only_read(database: Database, writes: list[str]) -> None:
    record_chains(database, {key: chain(key) for key in ("r1", "r2")})
    record_stages(database, chain_of("r1"))
    assert writes == []


def test_another_plan_replaces_the_stages_of_runs_without_a_result(
    database: Database, writes: list[str]
) -> None:
    record_chains(database, {"r1": chain("r1"), "r2": chain("r2", "more")})
    assert len(writes) == 1
    assert recorded(database, "r1") == [each.key for each in chain_of("r1")]
    assert recorded(database, "r2") == [*(each.key for each in chain_of("r2")), "more"]


def test_a_finished_run_keeps_its_stages_and_new_ones_can_be_done(
    database: Database, writes: list[str]
) -> None:
    do_run(database, "r1")
    writes.clear()
    for _ in range(2):
        record_chains(database, {"r1": chain("r1", "more")})
    assert len(writes) == 1
    assert recorded(database, "r1") == [each.key for each in chain_of("r1")]
    with database.read() as connection:
        assert "more" in connection.execute(sa.select(stages.c.stage_key)).scalars().all()


def test_stages_and_analyses_are_stored_once(database: Database, writes: list[str]) -> None:
    stage = made.evaluate("later", "train-r1-0", needs=())
    wanted = WantedAnalysis("r1", 0, "key", "robustness", "later")
    for _ in range(2):
        record_stages(database, [stage, stage])
        record_analyses(database, [wanted, wanted])
    assert len(writes) == 2
    with database.read() as connection:
        assert connection.execute(sa.select(analyses.c.stage_key)).scalars().all() == ["later"]
