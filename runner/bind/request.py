"""What an invocation is asked for, as plain values.

A request can be pickled: another process that has it binds and plans the same work.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any, TypeVar

from runner.core.errors import UsageError, nearest
from runner.core.plan import DEFAULT_CACHE_LIMIT

RAY = "ray"
EXECUTOR_NAMES = ("local", "process", "workers", RAY)
"""As in ``execute.EXECUTORS``, which takes seconds to import; a test compares them."""

FEWEST = 2
"""Workers of the executor `workers`, where no number is given; of `ray`, as far as is known."""

TEXTS = ("specs", "only", "sets", "runs", "disable")
"""Fields that hold several values; one value by itself is also taken."""


Text = TypeVar("Text", str, Path, str | Path)


@dataclass(frozen=True)
class Request:
    """What `run`, `plan` or `verify` is asked for; an option means the same wherever it counts.

    `verify` trains anew: what says something of recorded results has no meaning for it.

    Attributes:
        specs: spec files.
        only: label texts, ``label=text`` or ``setting=value``; only these cells.
        profile: name of a profile of the specs.
        sets: ``setting=value``, on top of every cell.
        limit: the most runs that are done now.
        retry_failed: do failed runs again.
        rerun: do runs that have a result once more, as a further repetition.
        device: ``cpu``, ``cuda``, ``cuda:1``, ``mps``; the CUDA GPU when there is one. Several, as
            ``cuda:0,cuda:1``, have a worker each.
        threads: the most CPU threads, of each worker; those of all cores when not given, divided
            between the workers.
        db: the database; results.db when not given.
        data: folder in which data sets are looked for; RUNNER_DATA when not given.
        artifacts: folder or URL where artifacts are shared with other machines, "" for none;
            RUNNER_ARTIFACTS, or `[tool.runner] artifacts` of the project, when not given.
        executor: name of the executor.
        gpus: GPUs of each worker of the executor ``ray``, 0 to 1; a fraction shares one. By default
            1 where the cluster has GPUs and the device is not the CPU.
        workers: how many processes do the stages; 0 records what is wanted and leaves it to other
            workers; None is one for each device, or this process; of the executor ``ray`` as many
            as the cluster has room for.
        checkpoint_seconds: seconds of finished epochs that a kill may lose.
        deterministic: let a GPU repeat itself to the byte; a CPU does anyway.
        accept_mixed: go on from checkpoints of another device, torch or number of threads.
        download: fetch public data sets that are not there.
        cache_limit: the most bytes that features, changed images and states may take.
        runs: keys of the only runs that are wanted; all when empty.
        no_share: compute every run by itself.
        disable: names of rules of the planner that are switched off.
        use_reference: count results in the reference as done; `run` copies them.
    """

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
    artifacts: str | None = None
    executor: str = "local"
    gpus: float | None = None
    workers: int | None = None
    checkpoint_seconds: float = 30.0
    deterministic: bool = False
    accept_mixed: bool = False
    download: bool = True
    cache_limit: int = DEFAULT_CACHE_LIMIT
    runs: Sequence[str] = ()
    no_share: bool = False
    disable: Sequence[str] = ()
    use_reference: bool = False

    def __post_init__(self) -> None:
        """Make tuples of lists and of single values; check what no type tells.

        Raises:
            UsageError: for an executor that there is not, a limit below 1, or workers or devices
                that cannot be.
        """
        if self.limit is not None and self.limit < 1:
            raise UsageError(f"limit is {self.limit}", allowed="at least 1")
        if self.executor not in EXECUTOR_NAMES:
            raise UsageError(
                f"there is no executor '{self.executor}'",
                allowed=", ".join(EXECUTOR_NAMES),
                suggestion=nearest(self.executor, EXECUTOR_NAMES),
            )
        if self.workers is not None and self.workers < 0:
            raise UsageError(f"there are {self.workers} workers", allowed="at least 0")
        if self.num_workers > 1 and self.executor == "process":
            raise UsageError("the executor 'process' is one process", allowed="local, workers")
        _check_devices(self.devices)
        _check_ray(self)
        for name in TEXTS:
            object.__setattr__(self, name, several(getattr(self, name)))

    @property
    def devices(self) -> tuple[str, ...]:
        """The devices that were named."""
        return () if self.device is None else tuple(self.device.split(","))

    @property
    def num_workers(self) -> int:
        """How many processes do the stages at once, at least 1."""
        if self.workers is not None:
            return max(1, self.workers)
        return FEWEST if self.executor in ("workers", RAY) else max(1, len(self.devices))

    @property
    def executor_name(self) -> str:
        """The executor that is meant: several workers have one of their own."""
        if self.executor == RAY:
            return RAY
        return "workers" if self.num_workers > 1 else self.executor


def _check_devices(devices: Sequence[str]) -> None:
    listed = ",".join(devices)
    if len(set(devices)) < len(devices):
        raise UsageError(f"device {listed} names one twice", hint="workers says how many")
    if len({name.partition(":")[0] for name in devices}) > 1:
        raise UsageError(f"device {listed} names several kinds", allowed="as cuda:0,cuda:1")


def _check_ray(request: Request) -> None:
    """Check what only the executor `ray` knows, or only it forbids."""
    if request.executor != RAY:
        if request.gpus is not None:
            raise UsageError("gpus is for workers of the executor 'ray'", hint="see device")
        return
    if importlib.util.find_spec("ray") is None:
        raise UsageError("the executor 'ray' needs Ray", hint='pip install "runner[ray]"')
    if request.device not in (None, "auto", "cpu", "cuda"):
        found = f"the executor 'ray' takes no device {request.device}: Ray chooses GPUs"
        raise UsageError(found, allowed="cpu, cuda")
    if request.gpus is not None and not 0 <= request.gpus <= 1:
        raise UsageError(f"gpus is {request.gpus:g}", allowed="0 to 1: a stage uses one at most")
    if request.gpus and request.device == "cpu":
        raise UsageError(f"gpus is {request.gpus:g}, and device is cpu", hint="leave one of them")


Asked = Request | str | Path | Iterable[str | Path]
"""A request, or the spec files of one."""


def as_request(asked: Asked, options: dict[str, Any]) -> Request:
    """Return a request with options on top.

    Args:
        asked: a request, or spec files.
        options: fields of a :class:`Request`.

    Raises:
        TypeError: for an option that there is not.
    """
    names = [field.name for field in fields(Request)]
    unknown = [name for name in options if name not in names]
    if unknown:
        raise TypeError(f"no option {unknown[0]!r}; there are: {', '.join(names[1:])}")
    if isinstance(asked, Request):
        return replace(asked, **options)
    return Request(several(asked), **options)


def several(value: Text | Iterable[Text]) -> tuple[Text, ...]:
    """Return texts or paths; one by itself stands for one of them, not for its letters."""
    return (value,) if isinstance(value, str | Path) else tuple(value)
