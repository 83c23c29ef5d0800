"""A folder that nobody can write, not even root, while a test looks at it."""

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Make a folder and what is in it read-only while entered; skip the test where that fails."""
    if os.geteuid() != 0:
        modes = {path: path.stat().st_mode for path in [folder, *folder.rglob("*")]}
        for path, mode in modes.items():
            path.chmod(mode & 0o555)
        yield
        for path, mode in modes.items():
            path.chmod(mode)
        return
    mount = shutil.which("mount")
    for words in (["--bind", str(folder), str(folder)], ["-o", "remount,bind,ro", str(folder)]):
        if mount is None or subprocess.run([mount, *words], capture_output=True).returncode:
            pytest.skip("nothing can be mounted here, and permissions do not bind root")
    try:
        yield
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)
