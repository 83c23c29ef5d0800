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
    uploads.add("later", lambda: done.append("later") is None)
    uploads.finish()
    assert done == ["later"]
    assert patience.notes() == []


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
