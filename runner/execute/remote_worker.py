"""A worker that another program starts on some machine, and that is told plain values only.

It does what is wanted in the database, as `runner worker` does, but only the runs that it is given.
It keeps notes until they are asked for, and can be asked to stop, from other threads.
"""

from __future__ import annotations

import os
import queue
import tempfile
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

import runner
import runner.core.errors as errors
from runner.artifacts.lock import shared
from runner.artifacts.process import this_process
from runner.bind.plan_runs import PlannedRuns
from runner.bind.request import as_request
from runner.bind.workspace import workspace
from runner.components.own.permission import allow_code
from runner.core.errors import Interrupted, RunnerError, UsageError
from runner.execute.child import Failure
from runner.execute.listener import Listener, NullListener
from runner.execute.plan_execution import PlanExecution
from runner.execute.ray_nodes import Share
from runner.execute.work import Told, work_on_wanted
from runner.store.attempts_seen import newest_attempt_id

LISTEN_SECONDS = 2.0
"""How long who asks for notes waits for one."""

PASSED_ON = (
    "checkpoint_seconds",
    "deterministic",
    "accept_mixed",
    "download",
    "cache_limit",
    "no_share",
    "disable",
    "retry_failed",
)
"""Options that mean the same for a worker."""


def asked_of_worker(
    execution: PlanExecution, code: Sequence[str], share: Share, mark: str = ""
) -> dict[str, Any]:
    """Return what a worker is told, so that it does the runs of a plan: plain values only.

    Args:
        execution: the plan.
        code: files and folders whose Python code is allowed.
        share: what it has of a node.
        mark: a file that it sees where it has the same ``.runner/``; "" where it need not.
    """
    request, home = execution.setup.request, execution.workspace
    database = home.database_path
    if "://" not in database:
        database = str(Path(database).absolute())
    options = {name: getattr(request, name) for name in PASSED_ON}
    options |= {"db": database, "artifacts": home.address, "device": share.device}
    options |= {"threads": share.cpus, "data": None if home.data is None else str(home.data)}
    return {
        "version": runner.__version__,
        "options": options,
        "failures": dict(execution.failures),
        "since": newest_attempt_id(execution.database),
        "runs": {key: execution.reruns[key] for key in execution.plan.stages_by_run},
        "code": [str(Path(path).absolute()) for path in code],
        "folder": os.getcwd(),
        "mark": mark,
    }


@contextmanager
def mark_in(folder: Path) -> Iterator[str]:
    """Have a file in ``.runner/`` by which another node tells that it has the same."""
    with tempfile.NamedTemporaryFile(prefix="seen-by-nodes-", dir=folder) as file:
        yield file.name


class RemoteWorker:
    """Does the wanted runs that it is given; its methods may be called from several threads."""

    def __init__(self) -> None:
        self._stop = threading.Event()
        self._is_over = False
        self._notes: queue.SimpleQueue[str] = queue.SimpleQueue()

    def work(self, asked: Mapping[str, Any]) -> dict[str, Any]:
        """Do what is asked until nothing is left of it that can be done here.

        Args:
            asked: by :func:`asked_of_worker`.

        Returns:
            Nothing, or what ended it: ``kind`` in ``core.errors``, ``message`` and ``parts``.
        """
        try:
            self._work(asked)
        except RunnerError as error:
            parts = {key: part for key, part in vars(error).items() if isinstance(part, str)}
            return {"kind": type(error).__name__, "message": str(error), "parts": parts}
        finally:
            self._is_over = True
            self._notes.put("")  # who waits for notes need not
        return {}

    def _work(self, asked: Mapping[str, Any]) -> None:
        if asked["version"] != runner.__version__:
            found = f"a worker has version {runner.__version__} of runner, not {asked['version']}"
            raise UsageError(found, hint="install the same version on every node")
        if asked["mark"] and not Path(asked["mark"]).exists():
            folder = Path(asked["mark"]).parent
            hint = "share artifacts with --artifacts URL, or start in a folder that all have"
            raise UsageError(f"{folder} is not the same on {os.uname().nodename}", hint=hint)
        if Path(asked["folder"]).is_dir():
            os.chdir(asked["folder"])  # data is looked for there
        options = asked["options"]
        request = as_request((), dict(options))
        home = workspace(request.db, request.data, request.artifacts)
        on_progress = (lambda progress: None) if request.download else None
        told = Told(
            self._listen,
            self._stop.is_set,
            self._notes.put,
            on_progress,
            is_ours=lambda process: True,  # that others share the work is no news
        )
        with (
            allow_code(*asked["code"]),
            home.open(create=False) as database,
            shared(home.folder),
        ):
            known = {"failures": asked["failures"], "since": asked["since"]}
            work_on_wanted(request, home, database, told, only=asked["runs"], **known)

    def _listen(self, planned: PlannedRuns) -> Listener:
        return _Notes(self._notes)

    def who(self) -> dict[str, Any]:
        """Return which process it is, as plain values."""
        return asdict(this_process())

    def stop(self) -> None:
        """Let it stop after the current step, at a checkpoint."""
        self._stop.set()

    def notes(self) -> list[str]:
        """Return the notes since the last call; waits a moment for the first."""
        found: list[str] = []
        try:
            found.append(self._notes.get(timeout=0 if self._is_over else LISTEN_SECONDS))
            while True:
                found.append(self._notes.get_nowait())
        except queue.Empty:
            return [note for note in found if note]


class _Notes(NullListener):
    """Keeps notes; all else is read from the database."""

    def __init__(self, notes: queue.SimpleQueue[str]) -> None:
        self._notes = notes

    def on_note(self, note: str) -> None:
        self._notes.put(note)


def raise_answer(answer: Mapping[str, Any]) -> None:
    """Raise what ended a worker, if anything has; that it was asked to stop is no error.

    Raises:
        RunnerError: of the worker's kind.
    """
    if answer and not issubclass(getattr(errors, answer["kind"], RunnerError), Interrupted):
        raise Failure(answer["kind"], answer["message"], answer["parts"]).raised()
