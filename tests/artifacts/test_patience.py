"""Asking what may not answer, and what is put there meanwhile."""

import threading

import pytest
from waiting import PATIENCE

from runner.artifacts import patience as module
from runner.artifacts.patience import Patience, Refused, Unreachable, told
from runner.artifacts.uploads import Uploads
from runner.core.errors import StoreBusy, StoreUnreachable


class Asked:
    """Answers after some failures."""

    def __init__(self, failures: int, error: Exception | None = None) -> None:
        self.failures, self.error, self.times = failures, error, 0

    def __call__(self) -> str:
        self.times += 1
        if self.times <= self.failures:
            raise ConnectionError("no route") if self.error is None else self.error
        return "answer"


@pytest.fixture
def waited() -> list[float]:
    return []


@pytest.fixture
def patience(waited: list[float]) -> Patience:
    return Patience("the-store", waited.append)


def test_it_is_asked_again_after_longer_and_longer(patience: Patience, waited: list[float]) -> None:
    asked = Asked(3)
    assert patience.ask(asked) == "answer"
    assert asked.times == 4
    limits = list(zip(waited, module.WAITS, strict=True))
    assert all(limit / 2 <= seconds <= limit for seconds, limit in limits)
    assert patience.notes() == []


def test_what_takes_long_to_fail_is_asked_once_more_only(
    patience: Patience, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As a library that has tried again itself."""
    monkeypatch.setattr(module, "ENOUGH_SECONDS", -1.0)
    asked = Asked(100)
    with pytest.raises(Unreachable):
        patience.ask(asked)
    assert asked.times == 2


def test_without_an_answer_it_is_left_alone_for_a_while_and_that_is_said_once(
    patience: Patience, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = Asked(100)
    for _ in range(3):
        with pytest.raises(Unreachable):
            patience.ask(asked)
    assert asked.times == 4
    assert patience.is_away()
    gone = "the-store cannot be reached (ConnectionError: no route): going on without it"
    assert patience.notes() == [gone]
    monkeypatch.setattr(module, "AWAY_SECONDS", 0.0)
    patience.come_back()
    with pytest.raises(Unreachable):
        patience.ask(asked)
    assert asked.times == 5  # no waiting for what did not answer before
    assert patience.notes() == []
    assert patience.ask(Asked(0)) == "answer"
    assert patience.notes() == ["the-store can be reached again"]


@pytest.mark.parametrize(
    "error", [PermissionError("no"), NotImplementedError(), OSError(30, "Read-only file system")]
)
def test_a_refusal_is_not_asked_again(patience: Patience, error: Exception) -> None:
    asked = Asked(1, error)
    with pytest.raises(Refused) as refused:
        patience.ask(asked)
    assert refused.value.why is error
    assert asked.times == 1
    assert patience.ask(asked) == "answer"


def test_a_full_disk_and_what_is_named_are_raised(patience: Patience) -> None:
    with pytest.raises(OSError, match="No space"):
        patience.ask(Asked(1, OSError(28, "No space left")))
    with pytest.raises(KeyError):
        patience.ask(Asked(1, KeyError()), KeyError)


@pytest.mark.parametrize("error", [StoreUnreachable("a server", "gone"), StoreBusy("locked")])
def test_an_error_of_the_database_is_none_of_the_place(
    patience: Patience, waited: list[float], error: Exception
) -> None:
    asked = Asked(1, error)
    with pytest.raises(type(error)) as raised:
        patience.ask(asked)
    assert raised.value is error
    assert (asked.times, waited, patience.is_away()) == (1, [], False)
    assert patience.ask(asked) == "answer"
    assert patience.notes() == []


def test_secrets_are_not_told() -> None:
    error = OSError("GET https://me:pass@host/x?Signature=abc%2F and more\nsecond line")
    assert told(error) == "OSError: GET https://…@host/x?… and more"
    assert len(told(OSError("x" * 1000))) == module.LONGEST_TOLD


def test_of_what_waits_under_one_name_only_the_last_is_done(patience: Patience) -> None:
    uploads, done, began, go = Uploads(patience), list[str](), threading.Event(), threading.Event()

    def hold() -> bool:
        began.set()
        return go.wait(PATIENCE)

    def task(name: str) -> bool:
        done.append(name)
        return True

    uploads.add("first", hold)
    assert began.wait(PATIENCE)
    for name in ("one", "two"):
        uploads.add("same", lambda name=name: task(name))
    uploads.add("other", lambda: task("other"))
    go.set()
    uploads.settle(["same"])
    assert done[:1] == ["two"]
    uploads.finish()
    assert done == ["two", "other"]


def test_an_error_of_one_upload_is_told_and_the_next_is_done(patience: Patience) -> None:
    uploads, done = Uploads(patience), list[str]()

    def fail() -> bool:
        raise ValueError("strange")

    uploads.add("bad", fail)
    uploads.add("good", lambda: done.append("good") or True)
    uploads.finish()
    assert done == ["good"]
    assert patience.notes() == ["bad was not put to the-store: strange"]


def test_an_error_of_the_database_is_raised_where_an_upload_is_waited_for(
    patience: Patience,
) -> None:
    uploads, away = Uploads(patience), StoreUnreachable("a server", "gone")

    def fail() -> bool:
        raise away

    uploads.add("asked for", fail)
    uploads.add("beside", fail)
    uploads.add("last", lambda: True)
    uploads.settle(["last"])  # so the others have been tried
    with pytest.raises(StoreUnreachable) as raised:
        uploads.settle(["asked for"])
    assert raised.value is away
    uploads.settle(["asked for"])  # once
    uploads.add("beside", lambda: True)
    uploads.settle(["beside"])
    uploads.finish()
    told = "was not put to the-store: a server does not answer (gone); what was recorded is safe"
    assert patience.notes() == [f"{name} {told}" for name in ("asked for", "beside")]


def test_what_was_left_is_done_with_the_next(patience: Patience) -> None:
    uploads, answers = Uploads(patience), [False, True]
    uploads.add("left", lambda: answers.pop(0))
    uploads.settle(["left"])
    uploads.add("next", lambda: True)
    uploads.settle(["left", "next"])
    assert answers == []
    uploads.finish()
    assert patience.notes() == []
