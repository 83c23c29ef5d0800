"""Serving the page: an address on this machine, a token, and a server that ends with Ctrl-C."""

from __future__ import annotations

import re
import secrets
import socket
import threading
from collections.abc import Callable
from pathlib import Path
from types import FrameType

import uvicorn

from runner.api.picturing import Pictures
from runner.api.watching import Watch
from runner.core.errors import UsageError
from runner.page.app import PageApp
from runner.page.guard import Guard

LOOPBACK = "127.0.0.1"
TOKEN_VARIABLE = "RUNNER_PAGE_TOKEN"
HTTP_PORT = 80
LEAST_TOKEN = 16
"""Characters of a token of one's own: shorter ones can be guessed."""


class PageServer:
    """A server of one database, bound to its port as soon as it is made."""

    def __init__(
        self,
        db: str | Path | None = None,
        port: int = 0,
        host: str = LOOPBACK,
        token: str | None = None,
    ) -> None:
        """Open the database and the port.

        Args:
            db: the database; results.db when not given.
            port: 0 for any that is free.
            host: an address of this machine to listen on.
            token: of one's own, needed where others can reach the address; else a random one.

        Raises:
            UsageError: for a port that is taken, an address that is none of this machine's, one
                that others can reach without a token of one's own, or a token that is too short or
                has other characters than letters, digits, _ and -.
            DamagedDatabase: when the database is not whole.
        """
        if token is not None:
            _check_token(token)
        if token is None and not _is_loopback(host):
            raise UsageError(
                f"everybody who can reach {host} could see the page",
                hint=f"choose a token of your own and set {TOKEN_VARIABLE} to it",
            )
        self._socket = _bound(host, port)
        self.port: int = self._socket.getsockname()[1]
        self.token = secrets.token_urlsafe(24) if token is None else token
        try:
            self._watch, self._pictures = Watch(db), Pictures(db)
        except BaseException:
            self._socket.close()
            raise
        self._page = PageApp(self._watch, self._pictures)
        names = ["127.0.0.1", "localhost", "[::1]", host if ":" not in host else f"[{host}]"]
        if not _is_loopback(host):
            names += [socket.gethostname(), socket.getfqdn()]
        hosts = [f"{name}:{self.port}" for name in names]
        if self.port == HTTP_PORT:  # browsers leave it out
            hosts += names
        config = uvicorn.Config(
            Guard(self._page.application(), hosts, self.token),
            log_level="critical",  # what goes wrong is said by the page itself
            access_log=False,
            server_header=False,
            timeout_graceful_shutdown=1,
        )
        self._server = _Server(config, self._page.close)
        shown = "127.0.0.1" if host in ("0.0.0.0", "::") else host
        shown = f"[{shown}]" if ":" in shown else shown
        self.address = f"http://{shown}:{self.port}/?token={self.token}"

    def serve(self) -> None:
        """Answer until Ctrl-C or SIGTERM."""
        try:
            self._server.run([self._socket])
        except KeyboardInterrupt:
            pass
        finally:
            self.close()

    def start(self) -> Callable[[], None]:
        """Answer in a thread of its own; return what ends it."""
        thread = threading.Thread(target=self._server.run, args=([self._socket],), daemon=True)
        thread.start()

        def stop() -> None:
            self._page.close()
            self._server.should_exit = True
            thread.join(timeout=5)
            self.close()

        return stop

    def close(self) -> None:
        """Close port and database."""
        self._page.close()
        self._socket.close()
        self._watch.close()
        self._pictures.close()


class _Server(uvicorn.Server):
    """Ends requests for news as soon as it is told to end, so that it need not wait for them."""

    def __init__(self, config: uvicorn.Config, on_exit: Callable[[], None]) -> None:
        super().__init__(config)
        self._on_exit = on_exit

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Answer a signal."""
        self._on_exit()
        super().handle_exit(sig, frame)


def _check_token(token: str) -> None:
    """Refuse a token that can be guessed, or would be another in an address or a cookie."""
    allowed = f"at least {LEAST_TOKEN} letters, digits, _ and -"
    if len(token) < LEAST_TOKEN:
        raise UsageError(f"{TOKEN_VARIABLE} has {len(token)} characters", allowed=allowed)
    if not re.fullmatch("[A-Za-z0-9_-]+", token):
        raise UsageError(f"{TOKEN_VARIABLE} has a character that it must not have", allowed=allowed)


def _is_loopback(host: str) -> bool:
    return host in ("127.0.0.1", "::1", "localhost")


def _bound(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    opened = socket.socket(family, socket.SOCK_STREAM)
    opened.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        opened.bind((host, port))
        opened.listen()  # who knows the address may ask before the server is up
    except (OSError, ValueError) as error:  # ValueError: no name of a machine can be written so
        opened.close()
        why = getattr(error, "strerror", None) or error
        raise UsageError(
            f"cannot listen on {host}:{port}: {why}",
            hint="another --port, or none for any that is free",
        ) from error
    return opened
