"""The command `page`."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from typing import Annotated

import typer

from runner.cli.options import DATABASE_VARIABLE, Db, Reference, chosen_database
from runner.core.errors import UsageError

INSTALL = 'pip install "runner[page]"'
PARENT_SECONDS = 1.0
"""Between two looks whether the run is still there."""

EXAMPLES = """\b
Examples:
  runner page                       the experiments of results.db
  runner page --open                the same, and opens the browser
  runner page --db old.db --port 8080
  runner page --reference           the results that ship with the program
  runner run spec.yaml --page       beside a run"""


def page(
    port: Annotated[
        int, typer.Option(min=0, max=65535, metavar="PORT", help="Where; 0 is any that is free.")
    ] = 0,
    host: Annotated[
        str,
        typer.Option(
            metavar="ADDRESS",
            help="An address of this machine. Other than the default, others can reach it: it"
            " needs a token of your own in RUNNER_PAGE_TOKEN, and is not encrypted.",
        ),
    ] = "127.0.0.1",
    open_browser: Annotated[
        bool, typer.Option("--open", help="Open it in the browser at once.")
    ] = False,
    db: Db = None,
    reference: Reference = False,
) -> None:
    """Show experiments in a browser while they run: plan, tables, curves, runs.

    Reads only, and never slows a run down. Only this machine can reach it, with the address that is
    printed. Ends with Ctrl-C.
    """
    try:
        from runner.page.serving import TOKEN_VARIABLE, PageServer
    except ModuleNotFoundError as error:
        raise UsageError(f"the page needs {error.name}", hint=INSTALL) from None
    token = os.environ.get(TOKEN_VARIABLE) or None
    server = PageServer(chosen_database(db, reference), port, host, token)
    typer.echo(server.address)
    sys.stdout.flush()
    if open_browser:
        import webbrowser

        webbrowser.open(server.address)
    server.serve()


def end_with(parent: int) -> None:
    """End this process as soon as the one that started it has ended, however that was.

    Args:
        parent: its number.
    """

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(PARENT_SECONDS)
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=watch, daemon=True).start()


class PageBeside:
    """A context in which a page of its own process can be started; it ends with the context.

    A process of its own, so that the run has its interpreter for itself.
    """

    def __init__(self, db: str | None) -> None:
        self._db = db
        self._process: subprocess.Popen[str] | None = None

    def start(self) -> None:
        """Start it, and say where it is on standard error; a page that cannot start says why."""
        # by -m, whatever is called runner in the current folder would be run; -P leaves that out
        main = "from runner.__main__ import main; from runner.cli.paging import end_with;"
        main += f" end_with({os.getpid()}); main()"
        begin = f"import sys; sys.path[:] = {[each for each in sys.path if each]!r}; {main}"
        command = [sys.executable, "-P", "-c", begin, "page"]
        # not among the words, which other users see: it may hold a password
        database = {} if self._db is None else {DATABASE_VARIABLE: str(self._db)}
        self._process = subprocess.Popen(
            command,
            env=os.environ | database,
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,  # Ctrl-C is for the run, which ends the page
        )
        assert self._process.stdout is not None
        address = self._process.stdout.readline().strip()
        if address:
            typer.echo(f"page: {address}", err=True)

    def __enter__(self) -> PageBeside:
        return self

    def __exit__(self, *_: object) -> None:
        if self._process is None:
            return
        self._process.terminate()
        try:
            self._process.wait(timeout=5)
        except subprocess.TimeoutExpired:
            self._process.kill()
