"""What other processes have ended and do now, read at once."""

from pathlib import Path

from stages import train

from runner.store.catalogue import record_environment
from runner.store.chains import record_stages
from runner.store.claim_answers import Claimed
from runner.store.claims import NewAttempt, claim_stage
from runner.store.database import Database, open_database
from runner.store.news import EndedAttempt, News, results_there
from runner.store.recorder import end_attempt


def take(database: Database, key: str) -> Claimed:
    attempt = NewAttempt(record_environment(database, {}), {}, "cpu")
    claim = claim_stage(database, key, attempt)
    assert isinstance(claim, Claimed)
    return claim


def test_attempts_that_ended_since_are_told_once_and_those_at_work_stay_held(
    tmp_path: Path,
) -> None:
    with open_database(tmp_path / "results.db") as database:
        record_stages(database, [train(key) for key in "abcd"])
        end_attempt(database, take(database, "a"), "done", 1.0)
        before = take(database, "b")
        news = News(database)
        assert (news.ended(), news.held()) == ([], {"b"})
        later = take(database, "c")
        assert (news.ended(), news.held()) == ([], {"b", "c"})
        end_attempt(database, later, "failed", 1.0, error="no memory")
        mine = {"b": {"status": "done"}}
        end_attempt(database, before, "done", 1.0, outcome={"readers": mine})
        assert news.ended() == [
            EndedAttempt("b", "done", "", mine),
            EndedAttempt("c", "failed", "no memory", {}),
        ]
        assert (news.ended(), news.held()) == ([], set())
        assert results_there(database, {"run": 0}) == {}
