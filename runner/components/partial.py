"""Places to write to before a rename: named after host and process, tidied after the dead.

Owns the names of unfinished files and folders; a process that was killed leaves them behind, and
the next one that writes the same thing removes them.
"""

from __future__ import annotations

import os
import shutil
import socket
from pathlib import Path

SUFFIX = "partial"


def partial_path(final: Path) -> Path:
    """Return where this process may write what becomes ``final``; nothing is there.

    What processes of this host that no longer live left beside ``final`` is removed.
    """
    import psutil

    host = socket.gethostname()
    for left in final.parent.glob(f"{final.name}.*.{SUFFIX}"):
        name, _, pid = left.name.removesuffix(f".{SUFFIX}").rpartition(".")
        if name == f"{final.name}.{host}" and pid.isdigit() and not psutil.pid_exists(int(pid)):
            remove_partial(left)
    mine = final.with_name(f"{final.name}.{host}.{os.getpid()}.{SUFFIX}")
    remove_partial(mine)
    return mine


def remove_partial(path: Path) -> None:
    """Remove an unfinished file or folder, if it is there."""
    if path.is_dir():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)


def flush(path: Path) -> None:
    """Wait until a written file is on the disk, so that a power cut cannot empty it later."""
    with path.open("r+b") as file:
        os.fsync(file.fileno())
