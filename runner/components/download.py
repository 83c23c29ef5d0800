"""Downloads: streamed, checked against a checksum, written atomically.

Owns the transfer and its errors. The caller decides what may be fetched; URLs are constants of the
code, never of a spec.
"""

from __future__ import annotations

import hashlib
import http.client
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Literal

from runner.artifacts.atomic import whole_file
from runner.core.errors import UsageError

TIMEOUT_SECONDS = 30.0
"""How long a server may be silent, while connecting and between two blocks."""

MOST_RESUMED = 50
"""How often one download goes on after its connection has broken off."""

BLOCK = 1 << 18
TOLD_SECONDS = 0.25
HEADERS = {"User-Agent": "runner"}
PARTIAL = 206


@dataclass(frozen=True, slots=True)
class Checksum:
    """The beginning of a file's hash.

    Attributes:
        digits: hexadecimal; may be a prefix, since some publishers give eight digits only.
    """

    algorithm: Literal["md5", "sha256"]
    digits: str

    def __post_init__(self) -> None:
        if len(self.digits) < 8:
            raise ValueError(f"{self.digits!r} is too short for a checksum")

    def matches(self, digest: str) -> bool:
        """Return whether a hexadecimal digest begins with the digits."""
        return digest.lower().startswith(self.digits.lower())


@dataclass(frozen=True, slots=True)
class Downloading:
    """Progress of a download; it has ended when ``done`` equals ``total``.

    Attributes:
        name: of the file.
        done: bytes received.
        total: bytes of the file, or None when the server does not say.
        target: the file or folder to be written.
    """

    name: str
    done: int
    total: int | None
    target: Path


OnProgress = Callable[[Downloading], None]


class DownloadFailed(UsageError):
    """A file could not be fetched; nothing of it is left behind.

    Attributes:
        url: of the file.
        what: what happened.
    """

    def __init__(self, url: str, what: str, to_do: str) -> None:
        super().__init__(f"cannot download {url}: {what}", hint=to_do)
        self.url = url
        self.what = what


def file_name(url: str) -> str:
    """Return the name of the file at a URL."""
    return url.rpartition("/")[2]


def show_bytes(num_bytes: float) -> str:
    """Return a size for people: 812 B, 9.0 MB, 1.2 GB."""
    for unit in ("B", "kB", "MB"):
        if num_bytes < 1000:
            return f"{num_bytes:.0f} {unit}" if unit == "B" else f"{num_bytes:.1f} {unit}"
        num_bytes /= 1000
    return f"{num_bytes:.1f} GB"


def download(url: str, path: Path, checksum: Checksum, on_progress: OnProgress) -> None:
    """Fetch a file to ``path``, which appears when it is complete and its checksum matches.

    Args:
        url: of the file.
        path: of the target; its folder is made.
        checksum: of the file.
        on_progress: called at the beginning, a few times a second, and at the end; an exception in
            it ends the download.

    Raises:
        DownloadFailed: when it cannot be fetched or stored, or has another checksum.
    """
    to_do = f"run the same command again, or fetch the file by hand and save it as {path}"
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with whole_file(path) as partial:
            with partial.open("wb") as file:
                digest = _transfer(url, file, path, checksum.algorithm, on_progress)
            if not checksum.matches(digest):
                expected = f"{checksum.algorithm} {checksum.digits}"
                what = f"the file that came has another checksum: {digest} instead of {expected}"
                raise DownloadFailed(url, what, to_do)
    except _Broken as error:
        raise DownloadFailed(url, str(error), to_do) from None
    except OSError as error:
        raise DownloadFailed(url, f"it cannot be stored: {error}", to_do) from error


class _Broken(Exception):
    """The network or the server failed; the message says how."""


def _transfer(
    url: str, file: IO[bytes], target: Path, algorithm: str, on_progress: OnProgress
) -> str:
    """Copy ``url`` into ``file``; return the digest. It goes on where a connection breaks off."""
    # md5 guards against accidents here, so it is also allowed where it is banned for security
    hashed = hashlib.new(algorithm, usedforsecurity=False)
    name, done = file_name(url), 0
    with _Source(url) as source:
        total = source.total
        on_progress(Downloading(name, 0, total, target))
        next_told = time.monotonic() + TOLD_SECONDS
        while block := source.read():
            file.write(block)
            hashed.update(block)
            done += len(block)
            if time.monotonic() >= next_told and done != total:
                next_told = time.monotonic() + TOLD_SECONDS
                on_progress(Downloading(name, done, total, target))
    on_progress(Downloading(name, done, done, target))
    return hashed.hexdigest()


class _Source:
    """A file on a server, read once from its beginning to its end.

    Where the server gives parts of files, reading goes on at the same byte after a connection has
    broken off, as long as each connection brings something.
    """

    def __init__(self, url: str) -> None:
        self._url = url
        self._response = _open(url)
        headers = self._response.headers
        length = headers.get("Content-Length", "")
        self.total = int(length) if length.isdecimal() else None
        self._has_parts = self.total is not None and headers.get("Accept-Ranges") == "bytes"
        tag = headers.get("ETag", "")
        self._condition = {} if tag.startswith("W/") or not tag else {"If-Range": tag}
        self._done = self._resumed_at = self._resumed = 0

    def __enter__(self) -> _Source:
        return self

    def __exit__(self, *_: object) -> None:
        self._response.close()

    def read(self) -> bytes:
        """Return what comes next, at most a block; b"" at the end.

        Raises:
            _Broken: when the connection breaks off and reading cannot go on.
        """
        while True:
            try:
                block = _read(self._response)
                if not block and self.total is not None and self._done < self.total:
                    raise _Broken(
                        f"the connection broke off after {self._done} of {self.total} bytes"
                    )
            except _Broken as broken:
                self._go_on(broken)
            else:
                self._done += len(block)
                return block

    def _go_on(self, broken: _Broken) -> None:
        """Connect again at the next byte.

        Raises:
            _Broken: the one given, where that is not possible.
        """
        if not self._has_parts or self._done == self._resumed_at or self._resumed == MOST_RESUMED:
            raise broken
        self._response.close()
        try:
            self._response = _open(self._url, {"Range": f"bytes={self._done}-", **self._condition})
        except _Broken:
            raise broken from None
        rest = f"bytes {self._done}-{(self.total or 0) - 1}/{self.total}"
        if self._response.status != PARTIAL or self._response.headers.get("Content-Range") != rest:
            raise broken  # it is another file by now, or comes whole
        self._resumed_at = self._done
        self._resumed += 1


def _open(url: str, headers: Mapping[str, str] | None = None) -> http.client.HTTPResponse:
    request = urllib.request.Request(url, headers={**HEADERS, **(headers or {})})
    try:
        response: http.client.HTTPResponse = urllib.request.urlopen(
            request, timeout=TIMEOUT_SECONDS
        )
    except urllib.error.HTTPError as error:
        error.close()
        raise _Broken(f"the server answers {error.code} {error.reason}") from None
    except (OSError, http.client.HTTPException) as error:
        reason = error.reason if isinstance(error, urllib.error.URLError) else error
        raise _Broken(f"the server cannot be reached: {_in_words(reason)}") from None
    return response


def _read(response: http.client.HTTPResponse) -> bytes:
    """Read what has arrived, at most a block; b"" at the end."""
    try:
        return response.read1(BLOCK)
    except (OSError, http.client.HTTPException) as error:
        raise _Broken(f"the connection broke off: {_in_words(error)}") from None


def _in_words(error: object) -> str:
    if isinstance(error, TimeoutError):
        return f"no answer for {TIMEOUT_SECONDS:g} s"
    return str(error) or type(error).__name__
