"""How far work on a database has come: what tells whether a time was long enough for anything."""

from __future__ import annotations

from dataclasses import dataclass

from runner.artifacts.states import states_within_epochs, stored_states
from runner.bind.workspace import Workspace
from runner.store.database import Database
from runner.store.progress import count_ended


@dataclass(frozen=True, slots=True)
class Standing:
    """What would not be done again.

    Attributes:
        ended: how many attempts at stages have ended, failed ones included.
        states: artifact names, epochs and steps of the checkpoints and states on this disk.
    """

    ended: int
    states: frozenset[tuple[str, int, int]]


def standing(database: Database, workspace: Workspace) -> Standing:
    """Return how far work has come, whoever did it."""
    artifacts = workspace.artifacts(database)
    states = [*stored_states(artifacts), *states_within_epochs(artifacts)]
    return Standing(
        count_ended(database), frozenset((each.name, each.epoch, each.steps) for each in states)
    )
