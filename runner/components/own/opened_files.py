"""Which files own code opens for reading, as far as Python sees it.

Python tells of each `open`, also of numpy's and Pillow's; what a library in C opens by itself is
not seen. Files of Python and of the system are left out.
"""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

CODE = (".py", ".pyc", ".pyd", ".so", ".dylib", ".dll", ".pth")
SYSTEM = ("/dev", "/etc", "/proc", "/sys", "/usr")
_LOCAL = threading.local()
_INSTALLED = threading.Lock()
_WRITING = os.O_WRONLY | os.O_RDWR


@contextmanager
def opened_files(seen: set[str]) -> Iterator[None]:
    """Gather the absolute paths of files that this thread opens meanwhile in a set."""
    if _INSTALLED.acquire(blocking=False):  # once and for all: it cannot be taken away again
        sys.addaudithook(_hear)
    outer = getattr(_LOCAL, "seen", None)
    _LOCAL.seen = seen
    try:
        yield
    finally:
        _LOCAL.seen = outer


def _hear(event: str, args: tuple[Any, ...]) -> None:
    if event != "open" or getattr(_LOCAL, "seen", None) is None:
        return
    path, mode, flags = args
    is_written = mode[:1] in ("w", "a", "x") if mode else flags & _WRITING == os.O_WRONLY
    if isinstance(path, str | bytes | os.PathLike) and not is_written:
        with suppress(OSError, ValueError):  # own code meets what is wrong with the path by itself
            _LOCAL.seen.add(os.path.abspath(os.fsdecode(path)))


def undeclared(seen: set[str], declared: set[Path]) -> list[str]:
    """Return those of some opened files that were not declared, sorted."""
    known = {os.path.realpath(path) for path in declared}
    ours = tuple(map(os.path.realpath, {sys.prefix, sys.base_prefix, *SYSTEM}))
    found = []
    for path in sorted(seen):
        real = os.path.realpath(path)
        is_ours = real.endswith(CODE) or any(real.startswith(home + os.sep) for home in ours)
        if real not in known and not is_ours and os.path.isfile(real):
            found.append(path)
    return found
