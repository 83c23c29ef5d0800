"""The one check command, for the terminal, pre-commit and CI alike.

    python tools/check.py [NAME ...]

Runs all checks, or those named, prints a line for each, and exits with 1 when one fails.
"""

import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
CHECKS = {
    "format": ["ruff", "format", "--check", "."],
    "lint": ["ruff", "check", "."],
    "types": ["mypy"],
    "layers": ["lint-imports", "--no-cache"],
    "docs": [sys.executable, "tools/docs.py", "--check"],
    "tests": ["pytest", "-q"],
}


def tool(command: list[str]) -> list[str]:
    """Return the command with the program of this environment, where it has one."""
    beside = Path(sys.executable).parent / command[0]
    return [str(beside), *command[1:]] if beside.exists() else command


def main(names: list[str]) -> int:
    """Run the checks and return the exit code."""
    unknown = [name for name in names if name not in CHECKS]
    if unknown:
        print(f"unknown check {unknown[0]}; there are: {', '.join(CHECKS)}", file=sys.stderr)
        return 2
    failed = []
    for name in names or CHECKS:
        started = time.monotonic()
        result = subprocess.run(tool(CHECKS[name]), cwd=ROOT, capture_output=True, text=True)
        passed = result.returncode == 0
        print(f"{name:8} {'ok' if passed else 'FAILED':6} {time.monotonic() - started:5.1f} s")
        if not passed:
            failed.append(name)
            print(result.stdout + result.stderr)
        elif name == "tests":
            print(result.stdout.strip().splitlines()[-1])
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
