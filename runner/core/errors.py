"""The error tree.

    RunnerError                 exit code 1
    ├── UsageError              2   a wrong argument, an unknown run, no database
    │   └── SpecError           2   problems in a spec, each with its position
    ├── DataError               1   data that cannot be read or prepared
    ├── StageFailed             1   one stage ended without a result; the grid goes on
    │   └── OutOfMemory         1   it had too little memory
    ├── StoreError              1   nothing can be stored or read; no stage is to blame
    │   ├── DiskFull            1   nothing more fits on the disk
    │   ├── StoreBusy           1   another process keeps the database locked
    │   ├── StoreUnreachable    1   the database's server does not answer
    │   ├── StoreGone           1   the database or `.runner/` was removed under a run
    │   └── DamagedDatabase     2   what is in the database is not what was recorded
    ├── ClaimLost               1   another process took this stage over
    └── Interrupted             130 asked to stop
        └── TimeOver            75  its time is over, and more is to do

Every message says what was found, what is allowed, and what to do about it. Owns the printed form.
"""

import errno
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches
from itertools import chain
from typing import Any


class RunnerError(Exception):
    """Base of every error that the program raises on purpose.

    Attributes:
        found: what was found, as a sentence without a full stop.
        allowed: what would be right, or "".
        hint: what to do about it, or "".
        suggestion: the nearest right spelling, or "".
    """

    exit_code = 1

    def __init__(
        self, found: str, *, allowed: str = "", hint: str = "", suggestion: str = ""
    ) -> None:
        super().__init__(error_text(found, allowed, hint, suggestion))
        self.found = found
        self.allowed = allowed
        self.hint = hint
        self.suggestion = suggestion


def error_text(found: str, allowed: str = "", hint: str = "", suggestion: str = "") -> str:
    """Return an error as it is printed: what was found, then each part that is given, indented.

    A part of several lines begins below its label.
    """
    parts = (("did you mean", suggestion), ("allowed", allowed), ("hint", hint))
    return "\n".join([found, *(_part(label, text) for label, text in parts if text)])


def _part(label: str, text: str) -> str:
    separator = "\n        " if "\n" in text else " "
    return f"    {label}:{separator}" + text.replace("\n", "\n        ")


class UsageError(RunnerError):
    """The request itself is wrong; nothing was started."""

    exit_code = 2


@dataclass(frozen=True, slots=True, order=True)
class SourcePosition:
    """A position in a file; lines and columns count from 1.

    Line 0 means the whole of ``file``, as for a ``--set``.
    """

    file: str
    line: int
    column: int

    def __str__(self) -> str:
        return f"{self.file}:{self.line}:{self.column}" if self.line else self.file


@dataclass(frozen=True, slots=True)
class Subject:
    """The setting that a problem is about.

    Attributes:
        path: dotted.
        beside: the mapping that holds it, or lacks it, as plain values.
    """

    path: str
    beside: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing wrong with a spec.

    Attributes:
        position: in the file, or None when it stands in no file (a ``--set``).
        found: what was found, as a sentence without a full stop.
        allowed: what would be right, or "".
        hint: what to do about it, or "".
        suggestion: the nearest right spelling, or "".
        subject: helps to find a better suggestion, or None; not printed.
    """

    position: SourcePosition | None
    found: str
    allowed: str = ""
    hint: str = field(default="", kw_only=True)
    suggestion: str = field(default="", kw_only=True)
    subject: Subject | None = field(default=None, compare=False, repr=False, kw_only=True)

    def __str__(self) -> str:
        found = f"{self.position}: {self.found}" if self.position else self.found
        return error_text(found, self.allowed, self.hint, self.suggestion)


MAX_PROBLEMS = 200
"""Problems of one error; finding a suggestion for each takes time."""


class SpecError(UsageError):
    """One or several problems in specs, found before any work started.

    Attributes:
        problems: each once, by position; of very many, those found first.
    """

    def __init__(self, problems: Iterable[Problem]) -> None:
        distinct: dict[Problem, None] = {}
        for problem in problems:
            distinct[problem] = None
            if len(distinct) == MAX_PROBLEMS:
                break
        nowhere = SourcePosition("", 0, 0)
        self.problems = tuple(sorted(distinct, key=lambda problem: problem.position or nowhere))
        told = [str(problem) for problem in self.problems]
        if len(told) == MAX_PROBLEMS:
            told.append(f"these are the first {MAX_PROBLEMS} problems; there may be more")
        super().__init__("\n".join(told))


def refuse(problems: Iterable[Problem]) -> None:
    """Raise a SpecError if there are problems; stops looking after ``MAX_PROBLEMS``.

    Raises:
        SpecError: with the problems.
    """
    left = iter(problems)
    first = next(left, None)
    if first is not None:
        raise SpecError(chain((first,), left))


class DataError(RunnerError):
    """Data that is there but cannot be read, decoded or stored."""


class StageFailed(RunnerError):
    """A stage ended without a result (out of memory, an unreadable file)."""


class OutOfMemory(StageFailed):
    """A stage had too little memory, on a device or the host."""


class StoreError(RunnerError):
    """The database or `.runner/` cannot be used: the whole run ends, and no stage has failed."""


class DiskFull(StoreError):
    """Nothing more can be stored; what was recorded is safe."""

    def __init__(self, cause: object) -> None:
        super().__init__(
            f"the disk is full ({cause}); what was recorded is safe",
            hint="free some space (`runner cache clear changed states` removes what only saves"
            " time), then run the same command again",
        )


class StoreBusy(StoreError):
    """Another process kept the database locked for too long; what was recorded is safe."""

    def __init__(self, cause: object) -> None:
        super().__init__(
            f"another process keeps the database locked ({cause})",
            hint="run the same command again",
        )


class StoreUnreachable(StoreError):
    """The server of the database does not answer any more; what was recorded is safe."""

    def __init__(self, database: object, cause: object) -> None:
        super().__init__(
            f"{database} does not answer ({cause}); what was recorded is safe",
            hint="run the same command again when its server is back",
        )


class StoreGone(StoreError):
    """The database or `.runner/` was removed or replaced while a run was at work."""


class DamagedDatabase(StoreError):
    """What is in the database is not what was recorded, or cannot be read at all."""

    exit_code = 2


class ClaimLost(RunnerError):
    """Another process holds the stage now; what this one computed is dropped."""


class Interrupted(RunnerError):
    """The user asked to stop."""

    exit_code = 130


class TimeOver(Interrupted):
    """A process has had the time that a scheduler gave it, and more is to do.

    75 is what sysexits.h calls a temporary failure, after which the same command is tried again.
    """

    exit_code = 75


def is_full_disk(error: BaseException) -> bool:
    """Return whether an OSError means a full disk or an exhausted quota."""
    return isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT)


LONGEST_WORD = 200
"""Length of the longest word that gets a suggestion."""


def nearest(word: str, allowed: Sequence[str]) -> str:
    """Return the most similar entry of ``allowed``, ignoring case, or ""."""
    if len(word) > LONGEST_WORD:
        return ""
    matches = get_close_matches(word.lower(), [name.lower() for name in allowed], n=1, cutoff=0.6)
    if not matches:
        return ""
    return next(name for name in allowed if name.lower() == matches[0])
