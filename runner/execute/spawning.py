"""How processes are started as children: what they share with their parent, and leave to it."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from multiprocessing import resource_tracker
from multiprocessing.context import SpawnContext, SpawnProcess

ASKS_TO_STOP = (signal.SIGINT, signal.SIGTERM, signal.SIGUSR1)
"""Ctrl-C goes to all processes of a terminal, a scheduler's signals may go to all of a job."""
SAFE_PATH = "PYTHONSAFEPATH"
"""The variable by which Python leaves the current folder out of ``sys.path``."""


class Flag:
    """Set by a parent, once; its children read it.

    Its children may read it as long as its parent keeps it. A byte of shared memory and no
    ``multiprocessing.Event``: that has a lock which readers take too, and one that is killed while
    it holds it holds up all others for ever. A byte with one writer needs none.
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
def started(
    spawning: SpawnContext, work: Callable[..., None], *args: object
) -> Iterator[SpawnProcess]:
    """Start a child that does some work; yield it while no signal can come between.

    Who keeps the child within the block has one that was started, or none at all: it can be killed.
    The child imports nothing strange, and is asked to stop by its parent alone. multiprocessing
    starts it by ``python -c``, which looks for modules in the current folder first, Python's own
    too, until this process's ``sys.path`` is handed over. Seconds may pass until it calls
    `leave_signals_to_parent`; until then signals are blocked in it, as in the calling thread here.

    Args:
        spawning: starts it.
        work: what it does, a function of a module.
        args: of the work; can be pickled.
    """
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, ASKS_TO_STOP)
    before = os.environ.get(SAFE_PATH)
    os.environ[SAFE_PATH] = "1"
    try:
        # multiprocessing's own process: it would be started with the first child, which unblocks
        # SIGINT and SIGTERM here
        resource_tracker.ensure_running()
        signal.pthread_sigmask(signal.SIG_BLOCK, ASKS_TO_STOP)
        child = spawning.Process(target=work, args=args, daemon=True)
        child.start()
        yield child
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
