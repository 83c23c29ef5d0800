"""The error tree.

    RunnerError                 exit code 1
    ├── UsageError              2   a wrong argument, an unknown run, no database
    │   └── SpecError           2   problems in a spec, each with its place
    ├── DataError               1   data that cannot be read or prepared
    ├── StageFailed             1   one stage ended without a result; the grid goes on
    ├── DiskFull                1   nothing more can be stored
    ├── StoreBusy               1   another process keeps the database locked
    ├── ClaimLost               1   another process took this stage over
    └── Interrupted             130 asked to stop

Every message says what was found, what is allowed, and what to do next.
"""

import errno
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from itertools import chain


class RunnerError(Exception):
    """Base of every error that the program raises on purpose."""

    exit_code = 1


class UsageError(RunnerError):
    """The request itself is wrong; nothing was started."""

    exit_code = 2


@dataclass(frozen=True, slots=True, order=True)
class Place:
    """Where something stands in a file; lines and columns count from 1.

    Line 0 is the whole of ``file``, as for a ``--set``.
    """

    file: str
    line: int
    column: int

    def __str__(self) -> str:
        return f"{self.file}:{self.line}:{self.column}" if self.line else self.file


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing wrong with a spec.

    Attributes:
        place: where it stands, or None when it stands in no file (a ``--set``).
        found: what was found, as a sentence without a full stop.
        allowed: what would be right, or "".
        suggestion: the nearest right spelling, or "".
    """

    place: Place | None
    found: str
    allowed: str = ""
    suggestion: str = ""

    def __str__(self) -> str:
        lines = [f"{self.place}: {self.found}" if self.place else self.found]
        if self.suggestion:
            lines.append(f"    did you mean: {self.suggestion}")
        if self.allowed:
            lines.append(f"    allowed: {self.allowed}")
        return "\n".join(lines)


MAX_PROBLEMS = 200
"""Problems of one error: nobody reads more, and a nearest spelling for each takes time."""


class SpecError(UsageError):
    """One or several problems in specs, found before any work started.

    Attributes:
        problems: each once, in the order of their places; of very many, those found first.
    """

    def __init__(self, problems: Iterable[Problem]) -> None:
        distinct: dict[Problem, None] = {}
        for problem in problems:
            distinct[problem] = None
            if len(distinct) == MAX_PROBLEMS:
                break
        nowhere = Place("", 0, 0)
        self.problems = tuple(sorted(distinct, key=lambda problem: problem.place or nowhere))
        told = [str(problem) for problem in self.problems]
        if len(told) == MAX_PROBLEMS:
            told.append(f"these are the first {MAX_PROBLEMS} problems; there may be more")
        super().__init__("\n".join(told))


def refuse(problems: Iterable[Problem]) -> None:
    """Raise a SpecError when there are problems; no more of them are looked for than it tells.

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


class DiskFull(RunnerError):
    """Nothing more can be stored; what was recorded is safe."""

    def __init__(self, cause: object) -> None:
        super().__init__(
            f"the disk is full ({cause}); what was recorded is safe: free some space (runner cache"
            " clear states removes what only saves time), then run the same command again"
        )


class StoreBusy(RunnerError):
    """Another process kept the database locked for too long; what was recorded is safe."""

    def __init__(self, cause: object) -> None:
        super().__init__(
            f"another process keeps the database locked ({cause}); run the same command again"
        )


class ClaimLost(RunnerError):
    """Another process holds the stage now; what this one computed is dropped."""


class Interrupted(RunnerError):
    """The user asked to stop."""

    exit_code = 130


def is_full_disk(error: BaseException) -> bool:
    """Return whether an error of the system says that nothing more fits on the disk."""
    return isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT)


LONGEST_WORD = 200
"""Letters of a word for which a nearest spelling is looked for."""


def nearest(word: str, allowed: Sequence[str]) -> str:
    """Return the entry of ``allowed`` spelled most like ``word``, or ""."""
    if len(word) > LONGEST_WORD:
        return ""
    matches = get_close_matches(word.lower(), [name.lower() for name in allowed], n=1, cutoff=0.6)
    if not matches:
        return ""
    return next(name for name in allowed if name.lower() == matches[0])
