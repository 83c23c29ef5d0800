"""What processes that are started as children share with their parent."""

from __future__ import annotations

from multiprocessing.context import SpawnContext


class Flag:
    """Set by a parent, once; its children read it.

    A byte of shared memory and no ``multiprocessing.Event``: that has a lock which readers take
    too, and one that is killed while it holds it holds up all others for ever. A byte with one
    writer needs none.
    """

    def __init__(self, spawning: SpawnContext) -> None:
        """Begin unset, to be handed to processes that this context starts."""
        self._byte = spawning.RawValue("b", 0)

    def set(self) -> None:
        """Set it for good."""
        self._byte.value = 1

    def is_set(self) -> bool:
        """Return whether it has been set."""
        return bool(self._byte.value)
