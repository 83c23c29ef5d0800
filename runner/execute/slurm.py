"""Submitting a script to Slurm."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterable
from pathlib import Path

from runner.core.errors import RunnerError, UsageError
from runner.execute.slurm_script import SbatchOption

SBATCH = "sbatch"


def check_sbatch() -> None:
    """Check that jobs can be submitted here.

    Raises:
        UsageError: when not.
    """
    if shutil.which(SBATCH) is None:
        raise UsageError(
            f"there is no {SBATCH} here: Slurm's commands are not installed, or not on PATH",
            hint="give the command on a login node, or --print the script and submit it there",
        )


def make_folders(options: Iterable[SbatchOption]) -> None:
    """Make the folders in which jobs print: Slurm ends a job without a word where one is missing.

    Raises:
        UsageError: where one cannot be made.
    """
    for option in options:
        folder = Path(option.value or "").parent
        if option.name not in ("output", "error") or "%" in str(folder):
            continue
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            found = f"the folder of {option.name}, {folder}, cannot be made: {error.strerror}"
            raise UsageError(found) from error


def submit(script: str) -> str:
    """Submit a script; return the number of the job.

    Raises:
        RunnerError: when Slurm refuses it.
    """
    asked = subprocess.run(
        [SBATCH, "--parsable"],
        input=script.encode("utf-8", "surrogateescape"),
        capture_output=True,
        check=False,
    )
    said = asked.stderr.decode("utf-8", "replace").strip()
    number = asked.stdout.decode("utf-8", "replace").strip().partition(";")[0]
    if asked.returncode or not number:
        raise RunnerError(
            f"{SBATCH} refused the script: {said or f'exit code {asked.returncode}'}",
            hint="what is wanted is recorded; --print shows the script",
        )
    return number
