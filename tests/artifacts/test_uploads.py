"""What waits to be put to a shared store when the work is asked to stop."""

import threading
from collections.abc import Callable

import pytest

from runner.artifacts.patience import Patience
from runner.artifacts.uploads import Uploads
from runner.core.errors import ClaimLost

SECONDS = 20
"""After which a test that waits in vain fails."""
LATE = "no time was left to put everything to the-store: what is not there lies in .runner/"


@pytest.fixture
def patience() -> Patience:
    return Patience("the-store", lambda seconds: None)


@pytest.fixture
def uploads(patience: Patience) -> Uploads:
    return Uploads(patience)


class Hanging:
    """Something that is put there and takes until it is let go."""

    def __init__(self, check: Callable[[], None]) -> None:
        self._check = check
        self.may_go_on, self.began, self.ended = (threading.Event() for _ in range(3))
        self.error: BaseException | None = None

    def __call__(self) -> bool:
        self.began.set()
        assert self.may_go_on.wait(SECONDS)
        try:
            self._check()
        except ClaimLost as error:
            self.error = error
        self.ended.set()
        return False


def test_what_hangs_is_waited_for_no_longer_than_is_said(
    uploads: Uploads, patience: Patience
) -> None:
    hanging, done = Hanging(uploads.check), list[str]()
    uploads.add("hangs", hanging)
    uploads.add("waits", lambda: done.append("waits") is None)
    assert hanging.began.wait(SECONDS)
    uploads.hurry(0.02)
    uploads.hurry(SECONDS)  # what was said first counts
    uploads.settle(["hangs"])
    uploads.finish()
    assert patience.notes() == [LATE]
    hanging.may_go_on.set()
    assert hanging.ended.wait(SECONDS)
    assert isinstance(hanging.error, ClaimLost)  # so it is not named there any more
    assert done == []


def test_a_stop_is_noticed_while_is_waited(
    uploads: Uploads, patience: Patience, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("runner.artifacts.uploads.LOOK_SECONDS", 0.01)
    monkeypatch.setattr(Uploads.hurry, "__defaults__", (0.02,))
    for wait in (uploads.finish, lambda should_stop: uploads.settle(["hangs"], should_stop)):
        hanging, answers = Hanging(uploads.check), [False, False, True]
        uploads.begin()
        uploads.add("hangs", hanging)
        wait(lambda answers=answers: answers.pop(0))
        assert answers == []
        assert patience.notes() == [LATE]  # each time
        hanging.may_go_on.set()
        assert hanging.ended.wait(SECONDS)
        assert isinstance(hanging.error, ClaimLost)


def test_without_time_all_is_given_up_at_once(uploads: Uploads, patience: Patience) -> None:
    hanging, done = Hanging(uploads.check), list[str]()
    uploads.hurry(0)
    assert patience.notes() == []  # nothing waits
    uploads.begin()
    uploads.add("hangs", hanging)
    uploads.add("waits", lambda: done.append("waits") is None)
    assert hanging.began.wait(SECONDS)
    uploads.hurry(0)
    hanging.may_go_on.set()
    assert hanging.ended.wait(SECONDS)
    assert isinstance(hanging.error, ClaimLost)
    uploads.finish()
    assert done == []
    assert patience.notes() == [LATE]


def test_a_stop_leaves_no_trace_in_the_next_run(
    uploads: Uploads, patience: Patience, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nor does one that nobody has waited for to the end."""
    hanging, later, done = Hanging(uploads.check), Hanging(uploads.check), list[str]()
    uploads.add("hangs", hanging)
    uploads.add("waits", lambda: done.append("waits") is None)
    assert hanging.began.wait(SECONDS)
    uploads.hurry(0.01)  # and Ctrl-C in what waits for it
    uploads.begin()
    hanging.may_go_on.set()
    assert hanging.ended.wait(SECONDS)
    uploads.add("later", later)
    threading.Timer(0.05, later.may_go_on.set).start()  # so that it is waited for
    uploads.finish()
    assert later.error is None
    assert later.ended.is_set()
    assert done == []


def test_what_is_dropped_is_not_named_and_the_rest_goes_on(
    uploads: Uploads, patience: Patience
) -> None:
    hanging, done, tries = Hanging(uploads.check), list[str](), list[int]()
    uploads.add("left", lambda: bool(tries.append(1)))
    uploads.settle(["left"])
    uploads.drop(["left"])
    uploads.add("hangs", hanging)
    for name in ("waits", "other"):
        uploads.add(name, lambda name=name: done.append(name) is None)
    assert hanging.began.wait(SECONDS)
    uploads.drop(["hangs", "waits", "unknown"])
    uploads.settle(["hangs"])  # nobody waits for it
    hanging.may_go_on.set()
    assert hanging.ended.wait(SECONDS)
    assert isinstance(hanging.error, ClaimLost)
    uploads.finish()
    assert (done, tries) == (["other"], [1])
    assert patience.notes() == ["1 artifact lies in .runner/ and could not be put to the-store"]


def test_where_no_thread_can_be_started_nothing_waits_for_one(
    uploads: Uploads, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    done: list[str] = []
    with monkeypatch.context() as patched:
        patched.setattr(threading.Thread, "start", fails)
        with pytest.raises(RuntimeError):
            uploads.add("first", lambda: done.append("first") is None)
    uploads.hurry(SECONDS)
    uploads.add("second", lambda: done.append("second") is None)
    uploads.finish()
    assert done == ["second"]


def test_what_is_in_time_is_waited_for(uploads: Uploads, patience: Patience) -> None:
    hanging = Hanging(uploads.check)
    uploads.add("takes a moment", hanging)
    uploads.hurry(SECONDS)
    threading.Timer(0.02, hanging.may_go_on.set).start()
    uploads.settle(["takes a moment"])
    assert hanging.ended.is_set()
    assert hanging.error is None
    assert patience.notes() == []


def test_what_could_not_be_put_is_not_tried_again_before_a_stop(
    uploads: Uploads, patience: Patience
) -> None:
    """Nor later: its claim is given back."""
    tries: list[int] = []
    uploads.add("left", lambda: bool(tries.append(1)))
    uploads.settle(["left"])
    uploads.hurry(SECONDS)
    uploads.finish()
    uploads.finish()
    assert tries == [1]
    assert patience.notes() == ["1 artifact lies in .runner/ and could not be put to the-store"]
