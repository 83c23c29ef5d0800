"""The fast tests on the lowest versions of the dependencies that pyproject.toml allows.

    python tools/lowest.py [--python VERSION] [--keep FOLDER] [ARGUMENT OF PYTEST ...]

Makes a fresh virtual environment with uv, which resolves, and exits as pytest does. Packages that
only other packages ask for are the newest that fit, as a user's would be.
"""

import argparse
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from check import ROOT, tool

PROJECT = "pyproject.toml"


def run(*command: str) -> int:
    """Run a command at the root of the project, the project before all else that is importable."""
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    return subprocess.run(tool(list(command)), cwd=ROOT, env=environment).returncode


def main(arguments: list[str]) -> int:
    """Install, run the tests and return the exit code of what failed first, or 0."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--python", default=sys.executable, help="version or path of Python")
    parser.add_argument("--keep", type=Path, help="folder of the environment, to be kept")
    chosen, pytest = parser.parse_known_args(arguments)
    with tempfile.TemporaryDirectory(prefix="lowest-") as temporary:
        folder = chosen.keep or Path(temporary) / "venv"
        python = folder / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
        at = ["--python", str(python)]
        lowest = ["--resolution", "lowest-direct", "-r", PROJECT, "--extra", "test"]
        return (
            run("uv", "venv", "--quiet", "--clear", "--python", chosen.python, str(folder))
            or run("uv", "pip", "install", "--quiet", *at, *lowest)
            or run("uv", "pip", "list", *at)
            or run(str(python), "-m", "pytest", "-q", *pytest)
        )


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
