"""The store that several machines share, as a process uses it: one for each address.

Owns that there is one, so that all of a process know what is damaged there and what still waits.
"""

from __future__ import annotations

import os
from functools import lru_cache

from runner.artifacts.patience import Patience
from runner.artifacts.places import open_place
from runner.artifacts.shared_store import SharedStore
from runner.artifacts.uploads import Uploads
from runner.core.text import without_login


class Shared:
    """A store that several machines share, as this process uses it.

    Attributes:
        store: the store.
        uploads: what waits to be put there.
    """

    def __init__(self, store: SharedStore) -> None:
        self.store = store
        self.uploads = Uploads(store.patience)

    def notes(self) -> list[str]:
        """Return, once, what a person should know."""
        return self.store.patience.notes()


def shared_at(address: str) -> Shared:
    """Return the store at an address; the same one for each process.

    Raises:
        UsageError: when there is no such folder or no such file system.
    """
    return _shared_at(address, os.getpid())


@lru_cache
def _shared_at(address: str, pid: int) -> Shared:
    return Shared(SharedStore(open_place(address), Patience(without_login(address))))
