"""Who this process is, and whether another one still lives: host, boot, pid, start time.

A pid alone proves nothing: it may be reused after a crash or belong to another machine.
"""

import os
import socket
from dataclasses import dataclass
from functools import cache
from pathlib import Path

BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
CLOCK_SLACK_SECONDS = 2.0
FIRST_PID_NAMESPACE = "pid:[4026531836]"
"""Linux's name for the processes outside all containers."""


@dataclass(frozen=True, slots=True)
class Process:
    """A process on some machine; ``started`` is in seconds since 1970."""

    host: str
    boot_id: str
    pid: int
    started: float

    def __str__(self) -> str:
        return f"process {self.pid} on {self.host}"


def this_process() -> Process:
    """Return the process that asks."""
    return _process(os.getpid())


@cache
def _process(pid: int) -> Process:
    import psutil

    return Process(host(), boot_id(), pid, psutil.Process(pid).create_time())


@cache
def host() -> str:
    """Return this machine's name, and the container where pids are numbered anew."""
    try:
        namespace = os.readlink("/proc/self/ns/pid")
    except OSError:
        return socket.gethostname()
    inside = "" if namespace == FIRST_PID_NAMESPACE else f" ({namespace})"
    return socket.gethostname() + inside


@cache
def boot_id() -> str:
    """Return a name for the time since this machine last started."""
    import psutil

    try:
        return BOOT_ID.read_text().strip()
    except OSError:
        return f"boot {round(psutil.boot_time() / 60)}"


def is_dead(process: Process) -> bool:
    """Return whether ``process`` is known to be gone; False when it cannot be known."""
    import psutil

    if process.host != host():
        return False
    if process.boot_id != boot_id():
        return True
    try:
        found = psutil.Process(process.pid)
        if found.status() == psutil.STATUS_ZOMBIE:  # killed, and its parent has not looked yet
            return True
        return abs(found.create_time() - process.started) > CLOCK_SLACK_SECONDS
    except psutil.NoSuchProcess:
        return True
    except psutil.AccessDenied:
        return False
