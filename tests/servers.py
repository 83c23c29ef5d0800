"""A server on this machine that hands out bytes, well or badly."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from socket import SHUT_RDWR


@dataclass
class Server:
    """What is served, and what was asked for.

    Attributes:
        url: of the server, without a final "/".
        files: content by name; any other name is a 404.
        cut_after: bytes after which the connection breaks, None for whole files.
        parts: whether it gives parts of files, from a byte on.
        tag: of every file, for the condition of a part.
        tells_length: whether an answer says how long it is.
        pause: seconds between two blocks.
        asked: names of the files that were asked for, in order.
        on_asked: called with each such name, once the answer is settled.
    """

    url: str = ""
    files: dict[str, bytes] = field(default_factory=dict)
    cut_after: int | None = None
    parts: bool = False
    tag: str = '"1"'
    tells_length: bool = True
    pause: float = 0.0
    asked: list[str] = field(default_factory=list)
    on_asked: Callable[[str], None] = lambda name: None


@contextmanager
def serving() -> Iterator[Server]:
    """Serve while entered; afterwards nothing listens at the URL."""
    server = Server()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            _answer(self, server)

        def log_message(self, *arguments: object) -> None:
            pass

    http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.url = f"http://127.0.0.1:{http.server_address[1]}"
    thread = threading.Thread(target=http.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield server
    finally:
        http.shutdown()
        http.server_close()
        thread.join()


def _answer(handler: BaseHTTPRequestHandler, server: Server) -> None:
    name = handler.path.rpartition("/")[2]
    server.asked.append(name)
    if name not in server.files:
        handler.send_error(404)
        return
    content = server.files[name]
    total, first = len(content), _first_byte(handler, server)
    content = content[first:]
    handler.send_response(206 if first else 200)
    if first:
        handler.send_header("Content-Range", f"bytes {first}-{total - 1}/{total}")
    sent = content if server.cut_after is None else content[: server.cut_after]
    if server.parts:
        handler.send_header("Accept-Ranges", "bytes")
        handler.send_header("ETag", server.tag)
    if server.tells_length:
        handler.send_header("Content-Length", str(len(content)))
    handler.end_headers()
    server.on_asked(name)
    block = max(len(sent) // 8, 1) if server.pause else max(len(sent), 1)
    try:
        for start in range(0, len(sent), block):
            handler.wfile.write(sent[start : start + block])
            time.sleep(server.pause)
    except ConnectionError:
        return
    if server.cut_after is not None:
        with suppress(OSError):  # it is closed where all has come
            handler.connection.shutdown(SHUT_RDWR)


def _first_byte(handler: BaseHTTPRequestHandler, server: Server) -> int:
    """Return from which byte on a file is asked for; 0 where it has to come whole."""
    asked = handler.headers.get("Range", "")
    if not server.parts or handler.headers.get("If-Range") != server.tag:
        return 0
    return int(asked.removeprefix("bytes=").removesuffix("-") or 0)
