"""How processes are started as children: what they share with their parent, and leave to it."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing import resource_tracker
from multiprocessing.context import SpawnContext

ASKS_TO_STOP = (signal.SIGINT, signal.SIGTERM, signal.SIGUSR1)
"""Ctrl-C goes to all processes of a terminal, a scheduler's signals may go to all of a job."""
SAFE_PATH = "PYTHONSAFEPATH"
"""The variable by which Python leaves the current folder out of ``sys.path``."""


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


@contextmanager
def child_starts() -> Iterator[None]:
    """Let processes that start meanwhile import nothing strange, and be asked to stop by none.

    multiprocessing starts them by ``python -c``, which looks for modules in the current folder
    first, Python's own too, until this process's ``sys.path`` is handed over. Seconds may pass
    until they call `leave_signals_to_parent`; until then signals are blocked in them, as in the
    calling thread while it starts them.
    """
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, ASKS_TO_STOP)
    before = os.environ.get(SAFE_PATH)
    os.environ[SAFE_PATH] = "1"
    try:
        # multiprocessing's own process: it would be started with the first child, which unblocks
        # SIGINT and SIGTERM here
        resource_tracker.ensure_running()
        signal.pthread_sigmask(signal.SIG_BLOCK, ASKS_TO_STOP)
        yield
    finally:
        if before is None:
            del os.environ[SAFE_PATH]
        else:
            os.environ[SAFE_PATH] = before
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)


def leave_signals_to_parent() -> None:
    """Ignore signals that ask to stop, in a child: its parent hears them, and asks it."""
    for number in ASKS_TO_STOP:
        signal.signal(number, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, ASKS_TO_STOP)
