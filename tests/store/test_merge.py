"""Results are imported from a reference once and whole, and never count as work done here."""

import shutil
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from postgres import PostgresServer
from recorded import chain_of, do_run, outcome_of, record_of, seal_again, take, want

from runner.store.addresses import address_of, short_name
from runner.store.claims import Claimed, NewAttempt, claim_stage
from runner.store.database import Database, open_database
from runner.store.dump import run_dump
from runner.store.merge import import_results
from runner.store.progress import (
    ended_stages,
    failed_attempts,
    finished_readers,
    latest_results,
    seconds_by_cost_key,
)
from runner.store.queries import run_record
from runner.store.recorder import end_attempt, record_epochs
from runner.store.reference import reference_results
from runner.store.results import record_result
from runner.store.schema import attempts, metadata, stages


def record(where: str) -> None:
    """Record three runs, one resumed, one failed."""
    database = open_database(where)
    want(database, ["r1", "r2", "r3"])
    do_run(database, "r1", split_at=2)
    do_run(database, "r2")
    claim = take(database, chain_of("r3")[1].key)
    end_attempt(database, claim, "failed", 1.0, error="out of memory")
    assert record_result(database, "r3", 0) == "failed"
    database.close()


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with an empty database and a reference."""
    folder = tmp_path_factory.mktemp("prepared")
    open_database(folder / "empty.db").close()
    record(str(folder / "reference.db"))
    return folder


@pytest.fixture(scope="module")
def prepared_on_server(postgres_server: PostgresServer) -> str:
    """The name of a reference on a server."""
    url = postgres_server.new_database()
    record(url)
    return short_name(address_of(url))


@pytest.fixture(
    params=[
        "sqlite to sqlite",
        pytest.param("sqlite to postgres", marks=pytest.mark.postgres),
        pytest.param("postgres to sqlite", marks=pytest.mark.postgres),
    ]
)
def kinds(request: pytest.FixtureRequest) -> list[str]:
    """From what kind of database results go to what kind."""
    found: str = request.param
    return found.split(" to ")


@pytest.fixture
def mine_at(kinds: list[str], request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if kinds[1] == "sqlite":
        empty = request.getfixturevalue("prepared") / "empty.db"
        return str(shutil.copy(empty, tmp_path / "mine.db"))
    server: PostgresServer = request.getfixturevalue("postgres_server")
    return server.new_database()


@pytest.fixture
def reference_at(kinds: list[str], request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if kinds[0] == "sqlite":
        return str(shutil.copy(request.getfixturevalue("prepared") / "reference.db", tmp_path))
    server: PostgresServer = request.getfixturevalue("postgres_server")
    return server.new_database(like=request.getfixturevalue("prepared_on_server"))


@pytest.fixture
def mine(mine_at: str) -> Iterator[Database]:
    """An empty database."""
    with open_database(mine_at) as database:
        yield database


@pytest.fixture
def reference(reference_at: str) -> Iterator[Database]:
    """A copy of the prepared reference, of one's own."""
    with open_database(reference_at) as database:
        yield database


def counts(database: Database) -> dict[str, int]:
    with database.read() as connection:
        return {
            table.name: int(
                connection.execute(sa.select(sa.func.count()).select_from(table)).scalar_one()
            )
            for table in metadata.sorted_tables
        }


def comparable(record: dict[str, Any]) -> dict[str, Any]:
    """Return a run's record without what is the copy's own: ids, statuses of attempts, cells."""
    tried = [
        {
            name: value
            for name, value in attempt.items()
            if name not in ("id", "environment_id", "number", "status", "outcome")
        }
        for attempt in record["attempts"]
    ]
    result = {name: value for name, value in record["result"].items() if name != "rerun"}
    return {**record, "attempts": tried, "result": result, "cells": []}


@pytest.mark.slow
def test_a_result_is_copied_with_every_number_and_its_origin(
    reference: Database, mine: Database
) -> None:
    want(mine, ["other"])
    do_run(mine, "other")  # so that attempts have other ids, and the stage of pixels is there
    (taken,) = import_results(mine, reference, ["r1"])
    assert (taken.run_key, taken.status, taken.device) == ("r1", "done", "cpu")
    assert list(run_dump(mine, "r1")) == list(run_dump(reference, "r1"))
    there, here = run_record(reference, "r1"), run_record(mine, "r1")
    ours = [each for each in here["attempts"] if each["status"] != "reference"]
    assert [each["kind"] for each in ours] == ["prepare"]
    here["attempts"] = [each for each in here["attempts"] if each["status"] == "reference"]
    assert comparable(here) == comparable(there)
    assert latest_results(mine, ["r1"]) == {"r1": ("done", 0)}


def test_outcomes_name_the_copied_attempts(reference: Database, mine: Database) -> None:
    want(mine, ["other"])
    do_run(mine, "other")
    import_results(mine, reference, ["r1"])
    with mine.read() as connection:
        rows = connection.execute(
            sa.select(attempts.c.id, attempts.c.outcome).where(attempts.c.stage_key == "train-r1-0")
        ).all()
    (first, _), (second, outcome) = rows
    reads = [[first, 1, 2], [second, 3, 3]]
    assert outcome == outcome_of("train-r1-0", reads, best_epoch=2)


def test_importing_again_imports_nothing_and_shared_stages_are_there_once(
    reference: Database, mine: Database
) -> None:
    assert len(import_results(mine, reference, ["r1"])) == 1
    assert len(import_results(mine, reference, ["r1", "r2"])) == 1
    before = counts(mine)
    assert import_results(mine, reference, ["r1", "r2"]) == []
    assert counts(mine) == before
    assert before["attempts"] == 6  # pixels once, the resumed training twice
    assert before["stages"] == 5
    assert before["environments"] == 1


def test_what_is_not_wanted_unknown_or_failed_is_not_imported(
    reference: Database, mine: Database
) -> None:
    assert set(reference_results(reference, ["r1", "r3", "r9"])) == {"r1"}
    before = counts(mine)
    assert import_results(mine, reference, ["r3", "r9"]) == []
    assert counts(mine) == before


def test_an_own_result_stays(reference: Database, mine: Database) -> None:
    want(mine, ["r1"])
    do_run(mine, "r1")
    before = run_record(mine, "r1")
    assert import_results(mine, reference, ["r1"]) == []
    assert run_record(mine, "r1") == before


@pytest.mark.slow
@pytest.mark.parametrize("ended", ["failed", "interrupted"])
def test_a_failed_or_open_run_gets_the_result(
    reference: Database, mine: Database, ended: str
) -> None:
    want(mine, ["r1"])
    claim = take(mine, "prepare")
    end_attempt(mine, claim, "done", 1.0, {"images": 5})
    claim = take(mine, "train-r1-0")
    record_epochs(mine, claim, [record_of(1, 0.9)])
    end_attempt(mine, claim, ended, 1.0, error="why")
    record_result(mine, "r1", 0)
    assert len(import_results(mine, reference, ["r1"])) == 1
    assert list(run_dump(mine, "r1")) == list(run_dump(reference, "r1"))
    assert latest_results(mine, ["r1"]) == {"r1": ("done", 0)}
    numbers = [
        (each["number"], each["status"])
        for each in run_record(mine, "r1")["attempts"]
        if each["kind"] == "train"
    ]
    assert numbers == [(1, ended), (2, "reference"), (3, "reference")]


def test_nothing_imported_counts_as_work_done_here(reference: Database, mine: Database) -> None:
    """Its weights are not there: another run that needs a stage does it anew."""
    import_results(mine, reference, ["r1", "r2"])
    assert ended_stages(mine) == {}
    assert finished_readers(mine) == set()
    assert failed_attempts(mine) == {}
    assert seconds_by_cost_key(reference, "cpu").keys() >= {"t"}
    assert seconds_by_cost_key(mine, "cpu") == {}
    claim = claim_stage(mine, "train-r1-0", NewAttempt(1, {}, "cpu"))
    assert isinstance(claim, Claimed)


def test_epochs_of_another_runs_stage_come_along(reference: Database, mine: Database) -> None:
    """A training that went on from a state reads epochs of a stage that is not among its own."""
    want(reference, ["r1", "r2", "r3", "r4"])
    with reference.write() as connection:
        connection.execute(
            sa.update(stages).where(stages.c.stage_key == "train-r4-0").values(cost_kind="later")
        )
        first = connection.execute(
            sa.select(attempts.c.id).where(attempts.c.stage_key == "train-r2-0")
        ).scalar_one()
    claim = take(reference, "train-r4-0")
    record_epochs(reference, claim, [record_of(3)])
    reads = [[first, 1, 2], [claim.attempt_id, 3, 3]]
    end_attempt(reference, claim, "done", 1.0, outcome_of("train-r4-0", reads, best_epoch=2))
    claim = take(reference, "evaluate-r4-0")
    end_attempt(reference, claim, "done", 1.0, {"reads": [[claim.attempt_id, 2, 2]]})
    assert record_result(reference, "r4", 0) == "done"
    import_results(mine, reference, ["r4"])
    assert list(run_dump(mine, "r4")) == list(run_dump(reference, "r4"))
    assert latest_results(mine, ["r2", "r4"]) == {"r4": ("done", 0)}


def test_attempts_that_only_an_outcome_names_come_along(
    reference: Database, mine: Database
) -> None:
    """As those of another reader of a training, which went on from a stage of its own."""
    with reference.write() as connection:
        rows = connection.execute(sa.select(attempts.c.id, attempts.c.stage_key)).all()
        ids = {row.stage_key: row.id for row in rows}
        outcome = outcome_of("train-r2-0", [[ids["train-r2-0"], 1, 3]], best_epoch=2)
        outcome["readers"]["other"] = {"status": "done", "reads": [[ids["train-r1-0"], 1, 3]]}
        mine_only = attempts.c.id == ids["train-r2-0"]
        connection.execute(sa.update(attempts).where(mine_only).values(outcome=outcome))
        seal_again(connection)
    import_results(mine, reference, ["r2"])
    assert list(run_dump(mine, "r2")) == list(run_dump(reference, "r2"))
    with mine.read() as connection:
        known = set(connection.execute(sa.select(attempts.c.stage_key)).scalars())
    assert known >= {"train-r1-0", "train-r2-0"}


@pytest.mark.slow
def test_of_several_at_once_each_result_is_imported_once(
    reference: Database, mine: Database, mine_at: str, reference_at: str
) -> None:
    together = threading.Barrier(4)
    taken: list[list[str]] = []

    def one() -> None:
        database = open_database(mine_at)
        source = open_database(reference_at)
        together.wait()
        taken.append([each.run_key for each in import_results(database, source, ["r1", "r2"])])
        database.close(), source.close()

    threads = [threading.Thread(target=one) for _ in range(4)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    assert sorted(key for keys in taken for key in keys) == ["r1", "r2"]
    assert len(taken) == 4
    assert counts(mine)["attempts"] == 6
