"""Files that change behind what the file system says of them, but for the time of their change."""

import os
from pathlib import Path


def rewrite(path: Path, content: bytes) -> None:
    """Write other content of the same size and leave the time of modification as it was.

    That of change is another, however slowly the clock of the file system ticks: some tick only
    each 10 ms.
    """
    before = path.stat()
    assert len(content) == before.st_size
    while path.stat().st_ctime_ns == before.st_ctime_ns:
        path.write_bytes(content)
        os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
