"""A Python that has trackio: it and the Pillow of constraints.txt exclude each other."""

from __future__ import annotations

import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from shutil import which

import pytest

VERSION = "0.43.0"


def find_trackio(folder: Path) -> str | None:
    """Return the path of a Python: this one, or one in a folder; None where it cannot be made."""
    if find_spec("trackio"):
        return sys.executable
    if which("uv") is None:
        return None
    for command in (
        ("venv", "--python", sys.executable, str(folder)),
        ("pip", "install", "--python", str(folder), f"trackio=={VERSION}"),
    ):
        if subprocess.run(["uv", "--quiet", *command]).returncode:
            return None
    return str(folder / "bin" / "python")


def use_trackio(python: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let exports start trackio in that Python."""
    monkeypatch.setattr(sys, "executable", python)
    monkeypatch.setattr("runner.report.trackers.kinds.find_spec", lambda name: name)
