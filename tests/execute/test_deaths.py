"""What dead workers leave: their claims, and a failure of the stage that takes two with it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa

from runner.execute.deaths import Deaths, claims_of_child
from runner.store.catalogue import record_environment
from runner.store.claims import Claimed, NewAttempt, claim_stage
from runner.store.database import Database, open_database
from runner.store.schema import attempts, claims, stages


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    opened = open_database(tmp_path / "results.db")
    with opened.write() as connection:
        for key in "abc":
            values = {"kind": "train", "spec": {}, "needs": [], "cost_kind": ""}
            connection.execute(sa.insert(stages).values(stage_key=key, **values))
    yield opened
    opened.close()


def claim_as(database: Database, pid: int, *keys: str, **owner: object) -> list[Claimed]:
    """Claim stages as a process that is dead now."""
    environment = record_environment(database, {})
    found = [claim_stage(database, key, NewAttempt(environment, {}, "cpu")) for key in keys]
    with database.write() as connection:
        mine = sa.update(claims).where(claims.c.stage_key.in_(keys))
        connection.execute(mine.values(pid=pid, process_ticks=1, **owner))
    return [each for each in found if isinstance(each, Claimed)]


def test_claims_of_a_dead_child_are_those_of_its_pid_on_this_machine(database: Database) -> None:
    dead = 2**22 + 1  # more than any process has
    mine = claim_as(database, dead, "a", "b")
    claim_as(database, dead, "c", host="elsewhere")
    assert claims_of_child(database, dead) == mine
    assert claims_of_child(database, os.getpid()) == []


def test_a_stage_that_takes_two_workers_with_it_alone_has_failed(database: Database) -> None:
    deaths = Deaths(database)
    for number, stage_keys in enumerate((["a", "b"], ["a"])):
        found = claim_as(database, 2**22 + 1 + number, *stage_keys)
        failed = deaths.note(stage_keys, found, "was killed by SIGKILL")
        assert failed == (["a"] if number else [])
    query = sa.select(attempts.c.status, attempts.c.error).where(attempts.c.stage_key == "a")
    with database.read() as connection:
        rows = [tuple(row) for row in connection.execute(query.order_by(attempts.c.number))]
    assert rows == [
        ("lost", "the process died"),
        ("failed", "the process that did this stage was killed by SIGKILL, as another before it"),
    ]


def test_a_stage_that_has_failed_by_deaths_is_tried_as_often_when_it_is_asked_for_again(
    database: Database,
) -> None:
    deaths, failed = Deaths(database), []
    for number in range(4):
        found = claim_as(database, 2**22 + 1 + number, "a")
        failed.append(deaths.note(["a"], found, "was killed by SIGKILL"))
    assert failed == [[], ["a"], [], ["a"]]
