"""File systems that fsspec knows, as places: object stores, servers, memory.

Owns how fsspec is asked, and what is said where it, or what it needs, is not installed. Who may
read and write there is said by its libraries' own files and variables, never by an address.
Nothing is renamed: few of these can. A file may be half-written for a moment; who reads it compares
digests.
"""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Any

from runner.core.errors import UsageError, nearest

EXTRA = "pip install 'runner[remote]'"


class RemotePlace:
    """A folder in a file system of fsspec."""

    def __init__(self, files: Any, root: str) -> None:
        """Look at nothing yet.

        Args:
            files: an ``fsspec.AbstractFileSystem``.
            root: the path in it.
        """
        self._files, self._root = files, root.rstrip("/")

    def names(self, folder: str) -> list[str]:
        """See :meth:`Place.names`."""
        path = self._path(folder)
        self._files.invalidate_cache(path)  # others put things there
        try:
            found = self._files.ls(path, detail=True)
        except FileNotFoundError:
            return []
        return [each["name"].rpartition("/")[2] for each in found if each["type"] == "file"]

    def read(self, name: str) -> bytes:
        """See :meth:`Place.read`."""
        return bytes(self._files.cat_file(self._path(name)))

    def fetch(self, name: str, path: Path) -> None:
        """See :meth:`Place.fetch`."""
        self._files.get_file(self._path(name), str(path))

    def put(self, path: Path, name: str) -> None:
        """See :meth:`Place.put`."""
        final = self._path(name)
        try:
            self._files.put_file(str(path), final)
        except FileNotFoundError:
            path.stat()  # which of the two is not there
            self._files.makedirs(final.rpartition("/")[0], exist_ok=True)
            self._files.put_file(str(path), final)

    def write(self, content: bytes, name: str) -> None:
        """See :meth:`Place.write`."""
        final = self._path(name)
        try:
            self._files.pipe_file(final, content)
        except FileNotFoundError:
            self._files.makedirs(final.rpartition("/")[0], exist_ok=True)
            self._files.pipe_file(final, content)

    def remove(self, name: str) -> None:
        """See :meth:`Place.remove`."""
        with contextlib.suppress(FileNotFoundError):
            self._files.rm_file(self._path(name))

    def _path(self, name: str) -> str:
        return f"{self._root}/{name}"


def open_remote(address: str) -> RemotePlace:
    """Return the place at a URL.

    Raises:
        UsageError: when fsspec is not installed, knows no such file system, or lacks a package for
            it.
    """
    protocol = address.partition("://")[0]
    try:
        import fsspec
        from fsspec.core import url_to_fs
    except ImportError:
        raise UsageError(
            f"artifacts at {protocol}:// need the package fsspec", hint=EXTRA
        ) from None
    known = fsspec.available_protocols()
    if protocol not in known:
        raise UsageError(
            f"fsspec knows no file system '{protocol}'",
            allowed=", ".join(sorted(known)),
            suggestion=nearest(protocol, known),
        )
    try:
        files, root = url_to_fs(address)
    except ImportError as error:
        raise UsageError(f"artifacts at {protocol}:// need another package: {error}") from None
    except Exception as error:
        told = f"{type(error).__name__} of fsspec"  # its text may hold what is secret
        raise UsageError(f"the {protocol}:// address for artifacts is not right: {told}") from None
    return RemotePlace(files, root)
