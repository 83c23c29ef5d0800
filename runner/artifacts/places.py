"""Places that several machines reach: what a shared store asks of one, and shared folders.

Owns addresses: a folder, or the URL of any file system that fsspec knows. A file in a folder is
written beside its place and renamed. Knows names of files, not what is in them.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Protocol
from urllib.parse import unquote, urlsplit

from runner.artifacts.atomic import whole_file
from runner.core.errors import UsageError
from runner.core.text import first_breaking_character, printable

WAY = "give a folder, or a URL as s3://bucket/folder"
CREDENTIALS = (
    "user names with passwords and keys do not belong into it: others see it in lists of processes"
)


class Place(Protocol):
    """Files by name; a name has parts between slashes, as ``states/a/b.json``.

    Every method but :meth:`names` and :meth:`remove` raises FileNotFoundError where there is no
    such file, and any error of its library where it cannot be reached.
    """

    def names(self, folder: str) -> list[str]:
        """Return the names of the files directly in a folder, of none where there is none."""

    def read(self, name: str) -> bytes:
        """Return the content of a small file."""

    def fetch(self, name: str, path: Path) -> None:
        """Write a file to ``path``."""

    def put(self, path: Path, name: str) -> None:
        """Put a file there, in place of another."""

    def write(self, content: bytes, name: str) -> None:
        """Put a small file there, in place of another."""

    def remove(self, name: str) -> None:
        """Remove a file, if it is there."""


class FolderPlace:
    """A folder that several machines have mounted."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def names(self, folder: str) -> list[str]:
        """See :meth:`Place.names`."""
        self._look()
        try:
            with os.scandir(self._root / folder) as found:
                return [each.name for each in found if each.is_file()]
        except FileNotFoundError:
            return []

    def read(self, name: str) -> bytes:
        """See :meth:`Place.read`."""
        self._look()
        return (self._root / name).read_bytes()

    def fetch(self, name: str, path: Path) -> None:
        """See :meth:`Place.fetch`."""
        self._look()
        shutil.copyfile(self._root / name, path)

    def put(self, path: Path, name: str) -> None:
        """See :meth:`Place.put`."""
        with whole_file(self._final(name)) as partial:
            shutil.copyfile(path, partial)

    def write(self, content: bytes, name: str) -> None:
        """See :meth:`Place.write`."""
        with whole_file(self._final(name)) as partial:
            partial.write_bytes(content)

    def remove(self, name: str) -> None:
        """See :meth:`Place.remove`."""
        self._look()
        (self._root / name).unlink(missing_ok=True)

    def _final(self, name: str) -> Path:
        self._look()
        final = self._root / name
        final.parent.mkdir(parents=True, exist_ok=True)
        return final

    def _look(self) -> None:
        """Refuse a folder that is gone: one that is not mounted must not be made on this disk.

        Raises:
            OSError: that is no FileNotFoundError, which would speak of a file in it.
        """
        if not self._root.is_dir():
            raise NotADirectoryError(f"the folder {self._root} is not there")


def check_address(address: str) -> None:
    """Refuse what is no address, without looking whether anything is there.

    Raises:
        UsageError: also for one with a password or a key, which is not printed.
    """
    if not address or first_breaking_character(address) is not None:
        raise UsageError(f"'{printable(address)}' is no address for artifacts", allowed=WAY)
    if "://" not in address:
        return
    parts = urlsplit(address)
    if "::" in address:
        raise UsageError("the address for artifacts joins several URLs", allowed=WAY)
    if parts.query or parts.fragment or parts.password is not None:
        protocol = printable(parts.scheme)
        raise UsageError(
            f"the {protocol}:// address for artifacts holds more than a place",
            allowed=WAY,
            hint=CREDENTIALS,
        )


def open_place(address: str) -> Place:
    """Return the place at an address.

    Raises:
        UsageError: when there is no such folder or no such file system.
    """
    check_address(address)
    if "://" in address and not address.startswith("file://"):
        from runner.artifacts.remote_place import open_remote

        return open_remote(address)
    is_url = address.startswith("file://")
    root = Path(unquote(urlsplit(address).path) if is_url else address).expanduser()
    if not root.is_dir():
        hint = "make it, or mount the disk on which it lies"
        raise UsageError(f"there is no folder {root} for artifacts", hint=hint)
    return FolderPlace(root.absolute())
