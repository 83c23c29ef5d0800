"""How far work on a database has come: what tells whether a time was long enough for anything."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from runner.artifacts.states import every_state
from runner.bind.workspace import Workspace
from runner.core.artifacts import checkpoint_name
from runner.store.database import Database
from runner.store.progress import count_ended


@dataclass(frozen=True, slots=True)
class Standing:
    """What would not be done again.

    Attributes:
        ended: how many attempts at stages have ended, failed ones included.
        states: the epoch, and steps of the next, of the checkpoints and states on this disk, by
            artifact name.
    """

    ended: int
    states: Mapping[str, tuple[int, int]]

    def is_behind(self, other: Standing) -> bool:
        """Return whether another is further.

        A training that another machine has begun anew, as it rounds otherwise, is not.
        """
        nowhere = (0, 0)
        return self.ended < other.ended or any(
            self.states.get(name, nowhere) < place for name, place in other.states.items()
        )


def standing(database: Database, workspace: Workspace) -> Standing:
    """Return how far work has come, whoever did it."""
    states: dict[str, tuple[int, int]] = {}
    for each in every_state(workspace.artifacts(database)):
        name = checkpoint_name(each.stage) if each.stage else each.name
        states[name] = max(states.get(name, (0, 0)), (each.epoch, each.steps))
    return Standing(count_ended(database), states)
