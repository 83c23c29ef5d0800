"""Which files lie on a file system that several machines share: SQLite is not safe there.

SQLite's log (WAL) needs memory that all who have the file open share, which no two machines do, and
locks that network file systems keep only some of the time (https://sqlite.org/wal.html,
https://sqlite.org/howtocorrupt.html).
"""

from __future__ import annotations

import os
import re
from pathlib import Path

from runner.store.addresses import ServerDatabase, address_of

NETWORK = re.compile(
    r"nfs\d?|lustre|gpfs|mmfs|beegfs|fhgfs|ceph|glusterfs|cifs|smb\w*|afs|orangefs|pvfs2|panfs|wekafs"
    r"|ocfs2|gfs2|9p|virtiofs|fuse\.(?!fuseblk|overlayfs|fuse-overlayfs|squashfuse|lxcfs).+"
)
"""Names of file systems that are reached by several machines, as the system calls them."""
SERVER = "--db postgresql://USER@HOST/NAME"


def network_file_system(where: str | Path) -> str:
    """Return the name of the file system of a SQLite file if machines share it, else "".

    Args:
        where: as `--db` takes it; a server's database lies on none.
    """
    import psutil

    path = where if isinstance(where, Path) else address_of(where)
    if isinstance(path, ServerDatabase):
        return ""
    real = Path(os.path.realpath(path))
    holding = [
        mount for mount in psutil.disk_partitions(all=True) if real.is_relative_to(mount.mountpoint)
    ]
    if not holding:
        return ""
    # of several mounted at one folder the last counts
    kind = max(enumerate(holding), key=lambda each: (len(each[1].mountpoint), each[0]))[1].fstype
    return kind if NETWORK.fullmatch(kind.lower()) else ""


def notes_of_place(where: str | Path) -> list[str]:
    """Return what a person should know of where a database lies."""
    kind = network_file_system(where)
    if not kind:
        return []
    found = f"{address_of(where)} lies on a network file system ({kind})"
    return [f"{found}: only one machine at a time may use it; several need {SERVER}"]
