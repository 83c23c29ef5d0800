"""Memory that a training frees and takes again: kept by the process until a stage has ended.

glibc gives every large block back to the system at once, and the system clears each of its pages
anew when the next step takes it: hundreds of thousands of page faults an epoch, up to half of the
time. Owns how glibc is told to keep it, for the whole process; elsewhere (musl, macOS, Windows)
nothing is done. Knows nothing of tensors, and changes no result.
"""

from __future__ import annotations

import ctypes
import sys
from functools import cache

M_TRIM_THRESHOLD = -1
M_MMAP_MAX = -4
NEVER = -1
"""As a threshold: what lies free at the heap's end stays, however much it is."""


def keep_freed_memory() -> None:
    """Let the process keep what it frees, from now on; what it uses at most grows by a quarter."""
    glibc = _glibc()
    if glibc is not None:
        glibc.mallopt(M_MMAP_MAX, 0)
        glibc.mallopt(M_TRIM_THRESHOLD, NEVER)


def return_freed_memory() -> None:
    """Give the system what is free now: at the end of a stage, for the next one or for others."""
    glibc = _glibc()
    if glibc is not None:
        glibc.malloc_trim(0)


@cache
def _glibc() -> ctypes.CDLL | None:
    """Return the C library when it is glibc, else None."""
    if sys.platform != "linux":
        return None
    library = ctypes.CDLL(None)
    return library if hasattr(library, "gnu_get_libc_version") else None
