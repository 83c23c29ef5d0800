"""Keeping a claim alive while its stage is done."""

from __future__ import annotations

import threading

import sqlalchemy as sa

from runner.core.errors import ClaimLost, DiskFull, StoreBusy
from runner.store.claims import RENEW_SECONDS, Claim, renew_claim
from runner.store.database import Database


class Heartbeat:
    """Renews a claim from a thread; ``lost`` turns True when another process has taken it."""

    def __init__(self, database: Database, claim: Claim, seconds: float = RENEW_SECONDS) -> None:
        self._database, self._claim, self._seconds = database, claim, seconds
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._beat, daemon=True)
        self.lost = False

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
            except ClaimLost:
                self.lost = True
                return
            except (DiskFull, StoreBusy, sa.exc.OperationalError):
                continue  # a locked or full disk: the lease outlives several missed beats
