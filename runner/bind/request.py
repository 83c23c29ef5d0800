"""What an invocation is asked for, as plain values.

A request can be pickled: another process that has it binds and plans the same work.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from runner.core.errors import UsageError, nearest
from runner.core.plan import DEFAULT_CACHE_LIMIT

EXECUTOR_NAMES = ("local", "process")
"""As in ``execute.EXECUTORS``, which takes seconds to import; a test compares them."""


@dataclass(frozen=True)
class Request:
    """What a `run` is asked for; see :func:`runner.api.run` for the meanings."""

    specs: Sequence[str | Path]
    only: Sequence[str] = ()
    profile: str | None = None
    sets: Sequence[str] = ()
    limit: int | None = None
    retry_failed: bool = False
    rerun: bool = False
    device: str | None = None
    threads: int | None = None
    db: str | Path | None = None
    data: str | Path | None = None
    executor: str = "local"
    checkpoint_seconds: float = 30.0
    accept_mixed: bool = False
    download: bool = True
    cache_limit: int = DEFAULT_CACHE_LIMIT
    runs: Sequence[str] = ()
    no_share: bool = False
    disable: Sequence[str] = ()
    use_reference: bool = False

    def __post_init__(self) -> None:
        """Check what no type tells.

        Raises:
            UsageError: for an executor that there is not.
        """
        if self.executor not in EXECUTOR_NAMES:
            raise UsageError(
                f"there is no executor '{self.executor}'",
                allowed=", ".join(EXECUTOR_NAMES),
                suggestion=nearest(self.executor, EXECUTOR_NAMES),
            )
