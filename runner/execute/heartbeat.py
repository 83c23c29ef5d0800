"""Keeping a claim alive while its stage is done."""

from __future__ import annotations

import threading

from runner.core.errors import ClaimLost, StoreError, StoreGone
from runner.store.claims import RENEW_SECONDS, Claimed, renew_claim
from runner.store.database import Database


class Heartbeat:
    """Renews a claim from a thread.

    Attributes:
        ended: why the stage must not go on: the claim is lost, or the database is gone.
    """

    def __init__(self, database: Database, claim: Claimed, seconds: float = RENEW_SECONDS) -> None:
        self._database, self._claim, self._seconds = database, claim, seconds
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._beat, daemon=True)
        self.ended: ClaimLost | StoreGone | None = None

    def __enter__(self) -> Heartbeat:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._done.set()
        self._thread.join()

    def _beat(self) -> None:
        while not self._done.wait(self._seconds):
            try:
                renew_claim(self._database, self._claim)
            except (ClaimLost, StoreGone) as error:
                self.ended = error
                return
            except StoreError:
                continue  # as a locked or full disk: the lease outlives several missed beats
