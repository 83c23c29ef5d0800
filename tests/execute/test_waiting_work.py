"""A worker that stays for what is asked for later: what it looks at meanwhile."""

from collections.abc import Callable
from pathlib import Path

import pytest
from recorded import want

from runner.bind.request import as_request
from runner.bind.workspace import workspace
from runner.core.errors import Interrupted, RunnerError, StoreBusy, StoreGone, StoreUnreachable
from runner.execute import work
from runner.execute.listener import NullListener
from runner.execute.work import Told, work_on_wanted
from runner.store import database as database_module
from runner.store.catalogue import record_environment
from runner.store.database import Database, open_database
from runner.store.watching import CommitCounter

LOOKS = 100


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, int]]:
    """What was wanted, each time that it was asked for; looks follow one another at once."""
    answers: list[dict[str, int]] = []
    ask = work.wanted_runs

    def listening(database: Database) -> dict[str, int]:
        answers.append(ask(database))
        return answers[-1]

    monkeypatch.setattr(work, "wanted_runs", listening)
    monkeypatch.setattr(work, "LOOK_SECONDS", 1e-4)
    return answers


def stay_with(where: str, at_look: Callable[[int], object]) -> None:
    """Wait for what is wanted; a function is told how often it was asked whether to stop."""
    looks = iter(range(LOOKS))

    def should_stop() -> bool:
        look = next(looks, None)
        if look is not None:
            at_look(look)
        return look is None

    request = as_request((), {"db": where, "device": "cpu"})
    home = workspace(request.db, request.data, request.artifacts)
    told = Told(lambda planned: NullListener(), should_stop, lambda note: None, None)
    with home.open(create=False) as database:
        work_on_wanted(request, home, database, told, stay=True)


def test_who_stays_asks_what_is_wanted_only_when_somebody_has_committed(
    where: str, asked: list[dict[str, int]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with open_database(where) as other:
        want(other, [])
        commits = {20: "one", 60: "two"}

        def at_look(look: int) -> None:
            if look in commits:
                record_environment(other, {"machine": commits[look]})

        with pytest.raises(Interrupted, match="nothing was at work"):
            stay_with(where, at_look)
    assert asked == [{}] * 3


@pytest.mark.parametrize("look", [0, 1, 50])
def test_who_stays_learns_what_is_asked_for(
    where: str,
    look: int,
    asked: list[dict[str, int]],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)

    class Begun(Exception):
        """What is wanted is about to be bound."""

    def bind(*_: object) -> None:
        raise Begun

    monkeypatch.setattr(work, "bind_wanted", bind)
    with open_database(where) as other:
        want(other, [])
        with pytest.raises(Begun):
            stay_with(where, lambda now: want(other, ["r1"]) if now == look else None)
    assert asked == [{}, {"r1": 0}]


def test_what_is_committed_while_it_is_asked_what_is_wanted_is_not_missed(
    where: str, asked: list[dict[str, int]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    ask = work.wanted_runs
    with open_database(where) as other:
        want(other, [])

        def commit_behind(database: Database) -> dict[str, int]:
            found = ask(database)
            if len(asked) == 1:
                record_environment(other, {"machine": "m"})
            return found

        monkeypatch.setattr(work, "wanted_runs", commit_behind)
        with pytest.raises(Interrupted):
            stay_with(where, lambda look: None)
    assert asked == [{}] * 2


def test_who_stays_hears_that_the_database_was_removed(
    asked: list[dict[str, int]], tmp_path: Path
) -> None:
    path = tmp_path / "results.db"
    open_database(path).close()
    with pytest.raises(StoreGone, match="was removed"):
        stay_with(str(path), lambda look: path.unlink(missing_ok=True))
    assert len(asked) == 1


@pytest.mark.parametrize("error", [StoreBusy("locked"), StoreUnreachable("a server", "gone")])
def test_who_stays_goes_on_where_it_cannot_be_told_for_a_moment_whether_anybody_committed(
    error: RunnerError,
    asked: list[dict[str, int]],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    has_moved, failures = CommitCounter.has_moved, [error]

    def fails_once(commits: CommitCounter) -> bool:
        if asked and failures:
            raise failures.pop()
        return has_moved(commits)

    monkeypatch.setattr(CommitCounter, "has_moved", fails_once)
    open_database(tmp_path / "results.db").close()
    with pytest.raises(Interrupted):
        stay_with(str(tmp_path / "results.db"), lambda look: None)
    assert failures == []
    assert len(asked) == (2 if isinstance(error, StoreBusy) else 1)


def test_who_stays_ends_where_a_server_stays_away_as_others_do(
    asked: list[dict[str, int]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    away, tries = StoreUnreachable("a server", "gone"), list[int]()

    def fails(commits: CommitCounter) -> bool:
        tries.append(len(asked))
        raise away

    monkeypatch.setattr(CommitCounter, "has_moved", fails)
    monkeypatch.setattr(database_module.Patience, "wait", lambda patience: False)
    open_database(tmp_path / "results.db").close()
    with pytest.raises(StoreUnreachable):
        stay_with(str(tmp_path / "results.db"), lambda look: None)
    assert (tries, asked) == ([0], [])
