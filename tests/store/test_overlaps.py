"""Trainings of two keys that have epochs in common: one of two processes waits for the other."""

from collections.abc import Iterator

import pytest
import sqlalchemy as sa
from stages import train

from runner.core.stages import Train
from runner.core.trajectory import Segment, Trajectory
from runner.store.catalogue import record_environment
from runner.store.chains import record_stages
from runner.store.claim_answers import Claimed, EpochsHeld
from runner.store.claims import NewAttempt, claim_stage, look_at_stage
from runner.store.database import Database, open_database
from runner.store.overlaps import TrainedElsewhere, TrainedSince
from runner.store.recorder import end_attempt
from runner.store.schema import claims

LONG = train("long", Trajectory((Segment("a", 1, 4), Segment("b", 5, 4))))
SHORT = train("short", Trajectory((Segment("a", 1, 3),)))
BRANCH = train("branch", Trajectory((Segment("a", 1, 4), Segment("c", 5, 2))), first_epoch=5)
OTHER = train("other", Trajectory((Segment("d", 1, 4),)))


@pytest.fixture
def database(where: str) -> Iterator[Database]:
    with open_database(where) as opened:
        record_stages(opened, [LONG, SHORT, BRANCH, OTHER])
        yield opened


def take(database: Database, stage: Train) -> object:
    attempt = NewAttempt(record_environment(database, {}), {}, "cpu")
    return claim_stage(database, stage.key, attempt, in_the_way=TrainedElsewhere(stage))


def give_away(database: Database, **owner: object) -> None:
    """Make all claims another machine's."""
    with database.write() as connection:
        connection.execute(sa.update(claims).values({"host": "elsewhere", **owner}))


def test_epochs_that_another_process_trains_are_waited_for(database: Database) -> None:
    take(database, LONG)
    give_away(database)
    held = take(database, SHORT)
    assert isinstance(held, EpochsHeld)
    assert held.owner.host == "elsewhere"
    looked = look_at_stage(database, SHORT.key, in_the_way=TrainedElsewhere(SHORT))
    assert looked == held


@pytest.mark.parametrize("stage", [BRANCH, OTHER], ids=lambda stage: stage.key)
def test_epochs_of_ones_own_are_trained_meanwhile(database: Database, stage: Train) -> None:
    take(database, LONG)
    give_away(database)
    assert isinstance(take(database, stage), Claimed)


def test_epochs_of_a_process_that_is_gone_are_free(database: Database) -> None:
    take(database, LONG)
    give_away(database, lease_until=0.0)
    assert isinstance(take(database, SHORT), Claimed)


def test_epochs_that_this_process_trains_keep_none_of_its_own_waiting(database: Database) -> None:
    take(database, LONG)
    assert isinstance(take(database, SHORT), Claimed)


@pytest.mark.slow
def test_epochs_that_another_plan_has_trained_since_are_found(database: Database) -> None:
    running = take(database, LONG)
    assert isinstance(running, Claimed)
    since = TrainedSince(database, {SHORT.key, BRANCH.key, OTHER.key})
    since.look()
    assert not since.has_epochs_of(SHORT)
    end_attempt(database, running, "done", 1.0)
    since.look()
    found = [stage.key for stage in (SHORT, BRANCH, OTHER) if since.has_epochs_of(stage)]
    assert found == ["short"]
    later = TrainedSince(database, {SHORT.key})
    later.look()
    assert not later.has_epochs_of(SHORT)


def test_what_had_ended_is_known_to_the_plan_behind_the_claim_of_a_dead_process(
    database: Database,
) -> None:
    take(database, OTHER)
    give_away(database, lease_until=0.0)
    ended = take(database, LONG)
    assert isinstance(ended, Claimed)
    end_attempt(database, ended, "done", 1.0)
    since = TrainedSince(database, {SHORT.key})
    since.look()
    assert not since.has_epochs_of(SHORT)
