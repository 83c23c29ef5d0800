"""Who this process is, and whether another one still lives: host, boot, pid, start.

Owns the one notion of a process, in claims and in the names of unfinished files. A pid alone proves
nothing: it may be reused after a crash or belong to another machine or container. A start by the
clock proves little: what is asked for later moves when the clock is set.
"""

import hashlib
import os
import re
import socket
from dataclasses import dataclass
from functools import cache
from pathlib import Path

BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
CLOCK_SLACK_SECONDS = 2.0
FIRST_PID_NAMESPACE = "pid:[4026531836]"
"""Linux's name for the processes outside all containers."""

TAG = re.compile(
    r"(?P<host>[0-9a-f]{8})-(?P<boot>[0-9a-f]{8})-(?P<pid>\d+)-(?P<started>\d+)(-(?P<ticks>\d+))?"
)
ANOTHER_BOOT = "another boot"


@dataclass(frozen=True, slots=True)
class Process:
    """A process on some machine.

    Attributes:
        host: the machine's name.
        boot_id: which start of it.
        pid: number of the process.
        started: when, in seconds since 1970, by the clock of then.
        ticks: when, in ticks since that boot, which no clock moves; None where the system does not
            tell, or an earlier version of the program did not ask.
    """

    host: str
    boot_id: str
    pid: int
    started: float
    ticks: int | None = None

    def is_of_this_boot(self) -> bool:
        """Return whether it runs, or ran, on this machine since its last start."""
        return self.host == host() and self.boot_id == boot_id()

    def tag(self) -> str:
        """Return a short name of the process, fit for names of files."""
        start = "" if self.ticks is None else f"-{self.ticks}"
        who = f"{_short(self.host)}-{_short(self.boot_id)}"
        return f"{who}-{self.pid}-{int(self.started)}{start}"

    def __str__(self) -> str:
        return f"process {self.pid} on {self.host}"


def process_of(tag: str) -> Process | None:
    """Return the process that a tag names, None where it names none or one of another host."""
    match = TAG.fullmatch(tag)
    if match is None or match["host"] != _short(host()):
        return None
    boot = boot_id() if match["boot"] == _short(boot_id()) else ANOTHER_BOOT
    ticks = None if match["ticks"] is None else int(match["ticks"])
    return Process(host(), boot, int(match["pid"]), float(match["started"]), ticks)


def _short(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogateescape")).hexdigest()[:8]


def this_process() -> Process:
    """Return the process that asks."""
    return _process(os.getpid())


@cache
def _process(pid: int) -> Process:
    import psutil

    return Process(host(), boot_id(), pid, psutil.Process(pid).create_time(), start_ticks(pid))


def start_ticks(pid: int) -> int | None:
    """Return when a process started, in ticks since boot, or None where that cannot be read."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None
    # the second field is the program's name, which may hold blanks and parentheses
    return int(text.rpartition(")")[2].split()[19])


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
        # what started after this boot runs on another machine, which has the same name
        return process.started < psutil.boot_time()
    try:
        found = psutil.Process(process.pid)
        if found.status() == psutil.STATUS_ZOMBIE:  # killed, and its parent has not looked yet
            return True
        ticks = start_ticks(process.pid)
        if process.ticks is not None or ticks is not None:
            # one side alone, as in a claim of an earlier version, proves nothing
            return None not in (process.ticks, ticks) and process.ticks != ticks
        return abs(found.create_time() - process.started) > CLOCK_SLACK_SECONDS
    except psutil.NoSuchProcess:
        return True
    except psutil.AccessDenied:
        return False
