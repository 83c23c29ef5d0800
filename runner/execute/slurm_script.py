"""The script of a Slurm array whose tasks are workers: what `sbatch` is given.

Owns how options of `sbatch`, times and shell words are written. Submits nothing, and knows no
database.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Self

from runner.core.errors import TimeOver, UsageError

MOST_JOBS = 1000
"""Slurm's MaxArraySize is 1001 where nothing else is set, one more than the largest number."""
SIGNAL_SECONDS = 120
"""How long before its end a job is told that its time is over soon; Slurm may be a minute early."""
UNLIMITED = ("UNLIMITED", "INFINITE")
TIMES = "minutes, hours:minutes:seconds or days-hours, as 90, 4:00:00 or 2-12"
OWN = {
    "array": "--jobs says how many tasks it has",
    "time": "--time says how long a job may take",
    "signal": "workers are told in time when their job ends",
    "requeue": "a job goes on in the next one where more is to do",
    "no-requeue": "a job goes on in the next one where more is to do",
    "open-mode": "a job that goes on adds to what it wrote before",
    "wrap": "the script is this program's",
    "parsable": "the number of the array is printed anyway",
}
"""Options of `sbatch` that this program sets, and why."""
OPTION_NAME = re.compile(r"[a-z][a-z0-9-]*")
UNQUOTED = re.compile(r"[\w@%+=:,./\[\]*&|!()<>~^$?;{}-]+")
"""Values that `sbatch` reads as they stand; it knows quotes, backslashes and comments."""


@dataclass(frozen=True, slots=True)
class SbatchOption:
    """An option of `sbatch`.

    Attributes:
        name: without dashes.
        value: None where it has none.
    """

    name: str
    value: str | None = None

    @classmethod
    def parse(cls, text: str) -> Self:
        """Return the option of ``name=value`` or ``name``; dashes before it may be there.

        Raises:
            UsageError: for what is no such option, one that this program sets, or a value that
                cannot stand in a script.
        """
        name, equals, value = text.removeprefix("--").partition("=")
        if OPTION_NAME.fullmatch(name) is None or (equals and not value):
            raise UsageError(
                f"'{text}' is no option of sbatch", allowed="NAME=VALUE or NAME, as partition=long"
            )
        if name in OWN:
            raise UsageError(f"the option {name} of sbatch cannot be set: {OWN[name]}")
        if any(letter in "\"'\\" or not letter.isprintable() for letter in value):
            raise UsageError(
                f"the value of {name}, {value!r}, cannot stand in a script of Slurm",
                allowed="one line without quotes and backslashes",
            )
        return cls(name, value if equals else None)

    def line(self) -> str:
        """Return the line of a script that sets it."""
        if self.value is None:
            return f"#SBATCH --{self.name}"
        value = self.value if UNQUOTED.fullmatch(self.value) else f'"{self.value}"'
        return f"#SBATCH --{self.name}={value}"


def parse_options(texts: Iterable[str]) -> tuple[SbatchOption, ...]:
    """Return options of `sbatch`.

    Raises:
        UsageError: as of :meth:`SbatchOption.parse`, and where one is given twice.
    """
    options: dict[str, SbatchOption] = {}
    for text in texts:
        option = SbatchOption.parse(text)
        if option.name in options:
            raise UsageError(f"the option {option.name} of sbatch is given twice")
        options[option.name] = option
    return tuple(options.values())


def seconds_of_time(text: str) -> int | None:
    """Return the seconds of a time as Slurm writes it, None where it is unlimited.

    Raises:
        UsageError: for what is no time, or none at all.
    """
    if text.upper() in UNLIMITED:
        return None
    match = re.fullmatch(r"(?:(\d+)-)?(\d+)(?::(\d+))?(?::(\d+))?", text)
    if match is None:
        raise UsageError(f"'{text}' is no time of Slurm", allowed=TIMES)
    days, *parts = match.groups()
    numbers = [int(part) for part in parts if part is not None]
    if days is not None:  # days-hours[:minutes[:seconds]]
        units = (3600, 60, 1)
    else:  # minutes[:seconds], or hours:minutes:seconds
        units = (3600, 60, 1) if len(numbers) == 3 else (60, 1, 0)
    seconds = int(days or 0) * 86400 + sum(map(int.__mul__, numbers, units))
    if seconds == 0:
        raise UsageError(f"a job of '{text}' has no time", allowed=TIMES)
    return seconds


@dataclass(frozen=True)
class WorkerArray:
    """An array of jobs, each of which is a worker.

    Attributes:
        jobs: how many.
        name: of the job.
        time: how long each may take, as Slurm writes it; None for what the partition says.
        options: further options of `sbatch`.
        folder: in which the workers work; absolute.
        python: the interpreter; absolute.
        worker: options of `runner worker`.
        variables: of the environment; a database's address may hold a password, and the words of a
            command are seen by all users of a machine.
    """

    jobs: int
    name: str
    folder: str
    python: str
    time: str | None = None
    options: tuple[SbatchOption, ...] = ()
    worker: Sequence[str] = ()
    variables: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Check the number of jobs, and the time.

        Raises:
            UsageError: for none or too many, or what is no time.
        """
        check_jobs(self.jobs)
        if self.time is not None:
            seconds_of_time(self.time)

    @property
    def signal_seconds(self) -> int:
        """How long before its end a job is told; less where it is short."""
        seconds = None if self.time is None else seconds_of_time(self.time)
        return SIGNAL_SECONDS if seconds is None else max(1, min(SIGNAL_SECONDS, seconds // 10))

    @property
    def max_hours(self) -> float | None:
        """After how many hours a worker stops by itself, so that the signal is not needed."""
        seconds = None if self.time is None else seconds_of_time(self.time)
        return None if seconds is None else (seconds - 2 * self.signal_seconds) / 3600

    def script(self) -> str:
        """Return the script."""
        options = [
            SbatchOption("array", f"0-{self.jobs - 1}"),
            *([] if self.time is None else [SbatchOption("time", self.time)]),
            *self.options,
            SbatchOption("signal", f"B:USR1@{self.signal_seconds}"),
            SbatchOption("requeue"),
            SbatchOption("open-mode", "append"),
        ]
        if all(option.name != "job-name" for option in options):
            options.insert(0, SbatchOption("job-name", self.name))
        hours = [] if self.max_hours is None else ["--max-hours", f"{self.max_hours:.6g}"]
        words = [self.python, "-P", "-m", "runner", "worker", *self.worker, *hours]
        exports = [f"export {name}={shlex.quote(each)}" for name, each in self.variables.items()]
        return SCRIPT.format(
            options="\n".join(option.line() for option in options),
            exports="".join(f"{line}\n" for line in exports),
            folder=shlex.quote(self.folder),
            worker=shlex.join(words),
            over=TimeOver.exit_code,
        )


def check_jobs(jobs: int) -> None:
    """Check how many jobs an array is to have.

    Raises:
        UsageError: for none or too many.
    """
    if not 1 <= jobs <= MOST_JOBS:
        raise UsageError(
            f"an array of {jobs} jobs",
            allowed=f"1 to {MOST_JOBS}, as Slurm's MaxArraySize says where nothing else is set",
            hint="each job does one stage after another: there need not be one for each run",
        )


SCRIPT = """\
#!/bin/bash
{options}

# Each job is a worker: it does stages that are wanted in the database, one after
# another, until none is left, or until it is told that its time is over soon.
{exports}cd -- {folder} || exit 1
{worker} &
worker=$!
trap 'told=1; kill -USR1 "$worker" 2>/dev/null' USR1
trap 'told=1; kill -TERM "$worker" 2>/dev/null' TERM
while
    told=0
    wait "$worker"
    code=$?
    [ "$told" -eq 1 ]  # a signal ends wait, not the worker
do :; done

# {over}: more is to do. The job begins again, with new time, behind others in the queue.
if [ "$code" -eq {over} ]; then
    trap '' TERM  # which all processes of the job get then
    scontrol requeue "${{SLURM_ARRAY_JOB_ID}}_${{SLURM_ARRAY_TASK_ID}}" ||
        echo "not requeued; give the command runner slurm again to go on" >&2
fi
exit "$code"
"""
