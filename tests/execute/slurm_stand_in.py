"""What Slurm does for an array, on this machine: a folder with `sbatch` and `scontrol` for PATH.

As a script it is one of the two, or the process beside `sbatch` that starts the jobs of an array.
Time passes when a test says so: where the file ``over`` appears in its folder, the time of all
first jobs is over soon, and they are told as their script asked for; where ``broken`` appears, the
machine of the job of that number dies. What ends is written to ``ended``, one line a job.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import signal
import subprocess
import sys
import time
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

ARRAY = "4711"
PAUSE = 0.02


def install(folder: Path) -> Path:
    """Make a folder with the commands; return the one that is to be on PATH."""
    commands = folder / "commands"
    commands.mkdir(parents=True)
    for name in ("sbatch", "scontrol"):
        command = commands / name
        words = shlex.join([sys.executable, str(Path(__file__).resolve()), name, str(folder)])
        command.write_text(f'#!/bin/sh\nexec {words} "$@"\n', encoding="utf-8")
        command.chmod(0o755)
    return commands


def parse(script: str) -> dict[str, str]:
    """Return the options in a script's head, as `sbatch` reads them."""
    options: dict[str, str] = {}
    first, *lines = script.splitlines()
    assert first == "#!/bin/bash"
    for line in lines:
        if line and not line.startswith("#"):
            break
        if line.startswith("#SBATCH "):
            (word,) = shlex.split(line.removeprefix("#SBATCH "), comments=True)
            name, _, value = word.removeprefix("--").partition("=")
            assert name not in options
            options[name] = value
    return options


def sbatch(folder: Path, words: list[str]) -> None:
    """Take a script from standard input and leave it to a process that outlives this one."""
    assert words == ["--parsable"], words
    script = sys.stdin.read()
    (folder / "script").write_text(script, encoding="utf-8")
    (folder / "options").write_text(json.dumps(parse(script)), encoding="utf-8")
    subprocess.Popen(
        [sys.executable, __file__, "array", str(folder)],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=(folder / "errors").open("w"),
        start_new_session=True,
    )
    print(ARRAY)


def scontrol(folder: Path, words: list[str]) -> None:
    """Put a job back into the queue."""
    command, job = words
    assert command == "requeue"
    number = job.removeprefix(f"{ARRAY}_")
    (folder / f"requeue_{number}").touch()


@dataclass
class Job:
    """A task of the array, at work."""

    number: int
    process: subprocess.Popen[bytes]
    restarts: int
    told_at: float = field(default=0.0)


class Array:
    """Starts the jobs of an array, ends them in time, and puts them back into the queue."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._options = json.loads((folder / "options").read_text(encoding="utf-8"))
        # B: the shell of the script alone is told
        told = re.fullmatch(r"B:USR1@(\d+)", self._options["signal"])
        assert told is not None
        self._seconds = int(told[1])

    def go(self) -> None:
        """Start all, and wait until none is left."""
        first, last = map(int, self._options["array"].split("-"))
        at_work = [self._start(number, 0) for number in range(first, last + 1)]
        while at_work:
            time.sleep(PAUSE)
            at_work = [left for job in at_work if (left := self._look(job)) is not None]

    def _start(self, number: int, restarts: int) -> Job:
        assert self._options["open-mode"] == "append"
        output = (self._folder / f"output_{number}").open("ab")
        process = subprocess.Popen(
            ["/bin/bash", str(self._folder / "script")],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
            env={
                **os.environ,
                "SLURM_ARRAY_JOB_ID": ARRAY,
                "SLURM_ARRAY_TASK_ID": str(number),
                "SLURM_RESTART_COUNT": str(restarts),
            },
        )
        return Job(number, process, restarts)

    def _look(self, job: Job) -> Job | None:
        """Return the job that is at work then, None where it has ended."""
        code = job.process.poll()
        if self._happens(f"requeue_{job.number}"):
            self._end(job, signal.SIGTERM)
            self._note(job, "requeued")
            return self._start(job.number, job.restarts + 1)
        if code is not None:
            self._note(job, str(code))
            return None
        if self._is_broken(job):
            self._end(job, signal.SIGKILL)
            self._note(job, "broken")
            assert "requeue" in self._options  # else it stays where it is
            return self._start(job.number, job.restarts + 1)
        if not job.restarts and not job.told_at and (self._folder / "over").exists():
            job.told_at = time.monotonic()
            os.kill(job.process.pid, signal.SIGUSR1)
        if job.told_at and time.monotonic() > job.told_at + self._seconds:
            self._end(job, signal.SIGTERM)
        return job

    def _is_broken(self, job: Job) -> bool:
        broken = self._folder / "broken"
        if broken.exists() and broken.read_text() == str(job.number):
            broken.unlink()
            return True
        return False

    def _happens(self, name: str) -> bool:
        file = self._folder / name
        if file.exists():
            file.unlink()
            return True
        return False

    @staticmethod
    def _end(job: Job, number: signal.Signals) -> None:
        """Send a signal to all processes of a job, and wait until it has ended."""
        with suppress(ProcessLookupError):
            os.killpg(job.process.pid, number)
        job.process.wait()

    def _note(self, job: Job, how: str) -> None:
        with (self._folder / "ended").open("a", encoding="utf-8") as file:
            file.write(f"{job.number} {job.restarts} {how}\n")


if __name__ == "__main__":
    what, where, *rest = sys.argv[1:]
    if what == "array":
        Array(Path(where)).go()
        (Path(where) / "over_all").touch()
    else:
        {"sbatch": sbatch, "scontrol": scontrol}[what](Path(where), rest)
