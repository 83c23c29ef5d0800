"""Real `runner` processes without the seconds of importing torch: one server forks them.

The server imports everything, computes nothing and starts no thread; each command is a forked child
with its own folder, process id and standard streams, which can be killed like any other. Run as a
script this file is the server; imported, it is the client.
"""

from __future__ import annotations

import faulthandler
import json
import os
import signal
import subprocess
import sys
import time
import traceback
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from threading import Event
from typing import Any

IMPORTS = (
    "alembic.command",
    "pandas",
    "PIL.Image",
    "PIL.PngImagePlugin",
    "psutil",
    "safetensors.torch",
    "torch",
    "torch._dynamo",
    "runner.api.reporting",
    "runner.api.running",
    "runner.cli.app",
    "runner.cli.progress",
    "runner.components.models.convnet_net",
    "runner.components.models.mlp_net",
    "runner.engine.engine",
    "runner.execute",
    "runner.report.tables.render",
    "runner.store.migrations",
)
OUTPUT = "output.txt"
LONGEST = 300.0
"""Seconds after which a child that is waited for is taken to hang."""

PATIENCE = 120.0
"""Seconds after which what stands still at one moment gives up waiting for the other."""


@dataclass(frozen=True)
class KillAt:
    """Kill -9 oneself when a moment is reached for the ``call``-th time, from 1.

    Where there is another moment to wait for, it is that one that kills: what has reached the first
    stands still until then.
    """

    moment: str
    call: int = 1
    signal: int = signal.SIGKILL
    until: str = ""
    until_call: int = 1


def behind_checkpoint(number: int, epoch_begins: int) -> KillAt:
    """Return the moment at which a checkpoint is whole and no further epoch begun.

    Args:
        number: of the checkpoint, from 1.
        epoch_begins: the number of the epoch that follows it, of all that the process trains.
    """
    return KillAt("epoch begins", epoch_begins, until="checkpoint whole", until_call=number)


class Forks:
    """The client: starts children in folders, waits for them, kills them."""

    def __init__(self) -> None:
        variables = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
        self._server = subprocess.Popen(
            [sys.executable, __file__],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env={**os.environ, **variables},
            text=True,
        )

    @property
    def pid(self) -> int:
        """Process id of the server."""
        return self._server.pid

    def start(
        self,
        folder: Path,
        words: Sequence[str],
        kill: KillAt | None = None,
        lease: float | None = None,
    ) -> int:
        """Start ``runner WORDS`` in a folder; return its process id.

        With a lease, claims in a file count for so many seconds.
        """
        if kill is not None:
            from planted import check_moment  # the server does not find it

            check_moment(kill.moment)
            if kill.until:
                check_moment(kill.until)
        planted = None if kill is None else asdict(kill)
        return self._ask(
            {"folder": str(folder), "words": list(words), "kill": planted, "lease": lease}
        )

    def wait(self, pid: int) -> int:
        """Wait for a child; return its exit code, or minus the signal that killed it."""
        return self._ask({"wait": pid})

    def run(self, folder: Path, words: Sequence[str], kill: KillAt | None = None) -> int:
        """Start a child and wait for it.

        Raises:
            AssertionError: when it was to be killed and was not.
        """
        code = self.wait(self.start(folder, words, kill))
        assert kill is None or code == -kill.signal, (
            f"{kill.moment!r} was not reached {kill.call} times: {(folder / OUTPUT).read_text()}"
        )
        return code

    def close(self) -> None:
        """End the server."""
        assert self._server.stdin is not None
        assert self._server.stdout is not None
        self._server.kill()
        self._server.wait()
        self._server.stdin.close()
        self._server.stdout.close()

    def _ask(self, request: dict[str, Any]) -> int:
        assert self._server.stdin is not None
        assert self._server.stdout is not None
        self._server.stdin.write(json.dumps(request) + "\n")
        self._server.stdin.flush()
        return int(self._server.stdout.readline())


def parse_modules() -> None:
    """Know the digests of the program's modules, which the first run in a folder parses."""
    from runner.bind.code_digests import Sources, own_modules

    Sources(Path(os.devnull)).digests(own_modules())


def serve() -> None:
    """Fork a child per request, until the client goes."""
    for name in IMPORTS:
        __import__(name)
    import torch

    torch.set_num_threads(1)
    parse_modules()
    replies = os.fdopen(os.dup(1), "w")
    for line in sys.stdin:
        request = json.loads(line)
        if "wait" in request:
            status = _waited_for(request["wait"])
            replies.write(f"{os.waitstatus_to_exitcode(status)}\n")
        else:
            pid = os.fork()
            if pid == 0:
                _be_child(request)
            replies.write(f"{pid}\n")
        replies.flush()


def _waited_for(pid: int) -> int:
    """Wait for a child; one that hangs is aborted, and leaves the stacks of its threads."""
    deadline = time.monotonic() + LONGEST
    while True:
        ended, status = os.waitpid(pid, os.WNOHANG)
        if ended:
            return status
        if time.monotonic() > deadline:
            os.kill(pid, signal.SIGCONT)
            os.kill(pid, signal.SIGABRT)
            return os.waitpid(pid, 0)[1]
        time.sleep(0.002)


def _be_child(request: dict[str, Any]) -> None:
    code = 70
    try:
        os.chdir(request["folder"])
        output = os.open(OUTPUT, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        os.dup2(output, 1)
        os.dup2(output, 2)
        faulthandler.enable(2)
        if request["lease"] is not None:
            from runner.store import leases

            # not renewed more often: a process that is stopped may keep others from writing then
            leases.FILE_LEASE = leases.Lease(request["lease"], leases.FILE_LEASE.renew_seconds)
        if request["kill"] is not None:
            _plant(KillAt(**request["kill"]))
        sys.argv = ["runner", *request["words"]]
        from runner.cli.app import main

        main()
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else 0
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def _plant(kill: KillAt) -> None:
    """Signal this process when the moment is reached for the ``call``-th time."""
    from runner.core import moments

    calls: Counter[str] = Counter()

    def hook(moment: str) -> None:
        calls[moment] += 1
        if moment == kill.moment and calls[moment] == kill.call:
            if kill.until and not Event().wait(PATIENCE):
                os.write(2, f"{kill.until!r} was not reached {kill.until_call} times".encode())
                os._exit(71)
            os.kill(os.getpid(), kill.signal)
        if moment == kill.until and calls[moment] == kill.until_call:
            os.kill(os.getpid(), kill.signal)

    moments.hook = hook


if __name__ == "__main__":
    serve()
