"""Claims are renewed while their stages are done; what ends that is heard of."""

from collections.abc import Callable, Iterator

import pytest
from recorded import take, want
from waiting import wait_for

from runner.core.errors import ClaimLost, StoreBusy, StoreGone, StoreUnreachable, UsageError
from runner.execute import heartbeat as heartbeat_module
from runner.execute.heartbeat import Heartbeat
from runner.store.claim_answers import Claimed
from runner.store.database import Database, open_database


@pytest.fixture
def database(where: str) -> Iterator[Database]:
    with open_database(where) as database:
        want(database, ["r1"])
        yield database


def beats(monkeypatch: pytest.MonkeyPatch, error: Callable[[], Exception]) -> list[Claimed]:
    """Let renewing fail; return the claims that were to be renewed."""
    renewed: list[Claimed] = []

    def renew(_: Database, claim: Claimed) -> None:
        renewed.append(claim)
        raise error()

    monkeypatch.setattr(heartbeat_module, "renew_claim", renew)
    return renewed


@pytest.mark.parametrize(
    "error", [lambda: StoreBusy("locked"), lambda: StoreUnreachable("here", "no answer")]
)
def test_what_may_pass_is_tried_again(
    error: Callable[[], Exception], database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    renewed = beats(monkeypatch, error)
    claim = take(database, "train-r1-0")
    with Heartbeat(database, 0.001) as heartbeat:
        heartbeat.keep(claim)
        wait_for(lambda: len(renewed) > 2)
        assert heartbeat.ended is None


@pytest.mark.parametrize(
    "error",
    [
        lambda: StoreGone("removed"),
        lambda: ClaimLost("taken over"),
        lambda: UsageError("it cannot be written any more"),
        lambda: KeyError("x"),
    ],
)
def test_what_does_not_pass_ends_the_stage(
    error: Callable[[], Exception], database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An error in the program, too: else the lease would run out, and the work go on."""
    beats(monkeypatch, error)
    claim = take(database, "train-r1-0")
    with Heartbeat(database, 0.001) as heartbeat:
        heartbeat.keep(claim)
        wait_for(lambda: heartbeat.ended is not None)
        assert isinstance(heartbeat.ended, type(error()))
