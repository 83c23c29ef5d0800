"""How often stages take the process that does them with it; one that does so again has failed."""

from __future__ import annotations

import signal
from collections import Counter
from collections.abc import Collection, Sequence

from runner.execute.recording import close_attempt
from runner.store.claim_answers import Claimed
from runner.store.claims import claims_by_process
from runner.store.database import Database

MOST_DEATHS = 2
"""Workers that a stage may take with it before it counts as failed."""
MOST_REPLACED = 3
"""Workers of a place that are replaced; who dies more often finds no other."""


def how_it_died(code: int) -> str:
    """Return how a process ended, from its exit code: below 0 the number of a signal."""
    return f"was killed by {signal.Signals(-code).name}" if code < 0 else f"ended with {code}"


def claims_of_child(database: Database, pid: int) -> list[Claimed]:
    """Return the claims that a child of this process has left."""
    return [
        claim
        for process, its in claims_by_process(database).items()
        if process.pid == pid and process.is_of_this_boot()
        for claim in its
    ]


class Deaths:
    """The deaths of the workers of one command."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._by_stage: Counter[str] = Counter()

    def note(self, stage_keys: Collection[str], claims: Sequence[Claimed], how: str) -> list[str]:
        """Leave what a dead worker did to the others, unless it takes every worker with it.

        Of several stages that were done together nobody knows which it was: none has failed.

        Args:
            stage_keys: what it did.
            claims: on these, as far as nobody has taken them over yet.
            how: it died, as "was killed by SIGKILL".

        Returns:
            Keys of the stages that have failed by this.
        """
        failed = []
        self._by_stage.update(stage_keys)
        for claim in claims:
            if len(stage_keys) == 1 and self._by_stage[claim.stage_key] >= MOST_DEATHS:
                message = f"the process that did this stage {how}, as another before it"
                close_attempt(self._database, claim, "failed", 0.0, message)
                failed.append(claim.stage_key)
                del self._by_stage[claim.stage_key]  # who asks for it again has it tried again
        return failed
