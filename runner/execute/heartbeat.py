"""Keeping claims alive while their stages are done."""

from __future__ import annotations

import threading

from runner.core.errors import ClaimLost, DiskFull, StoreBusy, StoreUnreachable
from runner.store.claim_answers import Claimed
from runner.store.claims import renew_claim
from runner.store.database import Database
from runner.store.leases import lease_of


class Heartbeat:
    """Renews claims from a thread.

    Attributes:
        ended: why nothing must go on: the only claim is lost, or claims cannot be renewed any more,
            as where the database is gone. Where there are other claims, who lost one is told so by
            what is stored next.
    """

    def __init__(self, database: Database, seconds: float | None = None) -> None:
        self._database = database
        renewed = lease_of(database.dialect).renew_seconds
        self._seconds = renewed if seconds is None else seconds
        self._claims: dict[int, Claimed] = {}
        self._lock = threading.Lock()
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._beat, daemon=True)
        self.ended: Exception | None = None

    def __enter__(self) -> Heartbeat:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._done.set()
        self._thread.join()

    def keep(self, claim: Claimed) -> None:
        """Renew a claim from now on."""
        with self._lock:
            self._claims[claim.attempt_id] = claim

    def drop(self, claim: Claimed) -> None:
        """Renew a claim no longer: its stage has ended."""
        with self._lock:
            self._claims.pop(claim.attempt_id, None)

    def _beat(self) -> None:
        while not self._done.wait(self._seconds):
            with self._lock:
                claims = list(self._claims.values())
            for claim in claims:
                try:
                    renew_claim(self._database, claim)
                except ClaimLost as error:
                    self._lost(claim, error)
                except (DiskFull, StoreBusy, StoreUnreachable):
                    continue  # it may pass: the lease outlives several missed beats
                except Exception as error:  # else nobody would hear that the lease runs out
                    self.ended = error
                    return

    def _lost(self, claim: Claimed, error: ClaimLost) -> None:
        """Note that a claim is lost, unless it has been given back just now."""
        with self._lock:
            if self._claims.pop(claim.attempt_id, None) is not None and not self._claims:
                self.ended = error
