"""trackio in a process of its own: it takes its folder from the environment, once for all.

There it is offline, has no login, and knows of no server, Space or bucket that the environment
names. Owns what is kept of the environment.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import IO, Any

from runner.core.errors import UsageError
from runner.core.text import printable

CHILD = Path(__file__).with_name("trackio_child.py")
TRACKIO = ("TRACKIO_", "HF_", "GRADIO_", "SPACE_", "SYSTEM")
"""What variables begin with that say to trackio and its libraries where to send, and who sends."""

KEPT = "TRACKIO_SQLITE_"
"""How files are written, on file systems of other kinds."""

OFFLINE = {
    "HF_HUB_OFFLINE": "1",
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "GRADIO_ANALYTICS_ENABLED": "False",
}
END_SECONDS = 30.0


class TrackioProcess:
    """Starts with the first question, and ends when closed, or with this process."""

    def __init__(self, folder: Path) -> None:
        """Start nothing yet.

        Args:
            folder: where projects are.
        """
        self._folder = folder
        self._child: subprocess.Popen[str] | None = None
        self._errors: IO[bytes] | None = None
        self._held = ExitStack()

    def ask(self, function: str, **arguments: Any) -> Any:
        """Return what a function of `trackio_child.py` answers.

        Raises:
            UsageError: when trackio refuses, or its process has died.
        """
        if self._child is None:
            self._child = self._started()
        child = self._child
        assert child.stdin is not None
        assert child.stdout is not None
        try:
            child.stdin.write(json.dumps([function, arguments]) + "\n")
            child.stdin.flush()
            line = child.stdout.readline()
        except BrokenPipeError:
            line = ""
        is_whole = line.endswith("\n")
        answer = json.loads(line) if is_whole else {"error": self._last_words()}
        if "error" in answer:
            said = printable(str(answer["error"]).strip().partition("\n")[0])
            raise UsageError(f"trackio in {printable(str(self._folder))}: {said}")
        return answer["answer"]

    def close(self) -> None:
        """End the process, which has stored all that was answered."""
        child, self._child = self._child, None
        if child is not None:
            assert child.stdin is not None
            with suppress(BrokenPipeError):  # it has died
                child.stdin.close()
            try:
                child.wait(END_SECONDS)
            except subprocess.TimeoutExpired:
                child.kill()
        self._held.close()

    def _started(self) -> subprocess.Popen[str]:
        with ExitStack() as stack:
            self._errors = stack.enter_context(tempfile.TemporaryFile())
            child = subprocess.Popen(
                [sys.executable, "-P", str(CHILD)],
                env=_environment(self._folder),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=self._errors,
                encoding="utf-8",
                start_new_session=True,  # Ctrl-C is for the export, which ends between two runs
            )
            stack.enter_context(child)
            self._held = stack.pop_all()
        return child

    def _last_words(self) -> str:
        """Return what a process that has died said last."""
        child = self._child
        assert child is not None
        assert self._errors is not None
        code = child.wait(END_SECONDS)
        self._errors.seek(0)
        said = self._errors.read().decode(errors="replace").strip()
        return said.rpartition("\n")[2] or f"its process ended with {code}"


def _environment(folder: Path) -> Mapping[str, str]:
    """Return the variables of the process."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if name.startswith(KEPT) or not name.startswith(TRACKIO)
    }
    return {**kept, **OFFLINE, "TRACKIO_DIR": str(folder.resolve())}
