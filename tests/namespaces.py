"""Programs in a network namespace of their own: what listens there, nobody else reaches.

As a program, this brings the loopback interface up and becomes the program that its words name.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import socket
import struct
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

UNSHARE = ("unshare", "--user", "--map-root-user", "--net")
SIOCSIFFLAGS = 0x8914
IFF_UP = 0x1


def why_no_namespace() -> str:
    """Return why there can be none here, "" where there can."""
    asked = [*UNSHARE, "true"]
    if shutil.which("unshare") and not subprocess.run(asked, check=False).returncode:
        return ""
    return "needs a network namespace of its own: unshare -rn"


def run_apart(
    words: Sequence[str], folder: Path, seconds: float
) -> subprocess.CompletedProcess[str]:
    """Run a program in a network namespace of its own, with the modules that tests import."""
    paths = [str(Path(__file__).parent), *sys.path]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, paths))}
    return subprocess.run(
        [*UNSHARE, sys.executable, __file__, *words],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=seconds,
        check=False,
    )


def bring_loopback_up() -> None:
    """Do so, as root of this namespace."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
        fcntl.ioctl(any_socket, SIOCSIFFLAGS, struct.pack("16sh", b"lo", IFF_UP))


if __name__ == "__main__":
    bring_loopback_up()
    os.execvp(sys.argv[1], sys.argv[1:])
