"""What own data sets gave, remembered between commands: digests of their images, and labels.

It counts only while all that it depends on is the same: the code, its settings, versions of
packages and the files that the class declares. Losing it costs time only.
"""

from __future__ import annotations

import os
import random
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

from runner.artifacts.memory import recall, remember
from runner.components.data.dataset import DataAccess
from runner.components.data.own_items import OwnItems, Undecodable
from runner.components.own.problems import OwnCodeFailed
from runner.core.keys import content_key

FORMAT = 1
"""Raised when what identifies an image changes; memories of another format are not trusted."""
PACKAGES = ("numpy", "torch", "torchvision", "pillow")
"""Their versions are not in the digest of code, and may decide what an image is."""
SAMPLE = 8
"""So many images are looked at all the same, others each time."""


@dataclass(frozen=True)
class Given:
    """What own code gave.

    Attributes:
        kept: the indices of the images that can be decoded.
        digests: of these.
        labels: of these, as they were given.
        corrupt: what is wrong with the others.
    """

    kept: Sequence[int]
    digests: Sequence[str]
    labels: Sequence[int | str]
    corrupt: Sequence[str] = ()


class OwnMemory:
    """The memory of one own data set.

    Attributes:
        files: that it declares to read, () where it declares none.
        differs: index of an image that was another than is remembered, or None.
    """

    def __init__(
        self,
        access: DataAccess,
        items: OwnItems,
        code: Any,
        settings: Any,
        places: Iterable[Path | None] = (),
    ) -> None:
        """Hash the files that the class declares.

        Args:
            access: hashes files, and has a folder for what is remembered.
            items: of the data set.
            code: what is known of it, as JSON.
            settings: with the places that paths lead to, as JSON.
            places: where they lead: files among them are read, too, where any are declared.

        Raises:
            OwnCodeFailed: when a declared file cannot be read.
        """
        self.files = items.files()
        if self.files:
            given = (each.absolute() for each in places if each is not None and each.is_file())
            self.files = tuple(dict.fromkeys([*self.files, *given]))
        self.differs: int | None = None
        self._access, self._items = access, items
        self._about = [code, settings]
        self._key = self._hashed()
        name = content_key("own data", [items.name, settings])
        self._path = None if access.memory is None else access.memory / f"own-{name}.json"

    def _hashed(self) -> str:
        if not self.files:
            return ""
        parents = {path.parent for path in self.files}
        root = Path(os.path.commonpath([str(parent) for parent in parents]))
        names = [path.relative_to(root).as_posix() for path in self.files]
        try:
            digests = self._access.hash_files(root, names)
        except OSError as error:
            found = f"a file that '{self._items.name}' names in `files` cannot be read: {error}"
            raise OwnCodeFailed(found) from error
        versions = [sys.version, *map(_version, PACKAGES)]
        hashed = sorted(zip(map(str, self.files), digests, strict=True))
        return content_key("own data", [self._about, versions, hashed])

    def recall(self) -> Given | None:
        """Return what is remembered of this, None where nothing is, or some images are others."""
        if self._path is None or not self._key:
            return None
        known = recall(self._path, FORMAT)
        digests, labels = known.get("digests"), known.get("labels")
        if known.get("key") != self._key or not isinstance(digests, list):
            return None
        if not isinstance(labels, list) or not len(labels) == len(digests) == self._items.count:
            return None
        if known.get("checksum") != _checksum(digests, labels):
            return None
        self.differs = self._differing(digests, labels, random.Random(time.time_ns()).sample)
        return None if self.differs is not None else Given(range(len(digests)), digests, labels)

    def _differing(
        self,
        digests: Sequence[str],
        labels: Sequence[int | str],
        sample: Callable[[range, int], list[int]],
    ) -> int | None:
        for index in sample(range(len(digests)), min(SAMPLE, len(digests))):
            try:
                item = self._items[index]
            except Undecodable:
                return index
            if (item.digest, item.label) != (digests[index], labels[index]):
                return index
        return None

    def forget(self) -> None:
        """Remember nothing: an image is another, although nothing that is known has changed."""
        if self._path is not None:
            with suppress(OSError):  # it must not hide what is wrong with the image
                self._path.unlink(missing_ok=True)

    def remember(self, given: Given) -> None:
        """Remember what was given, unless files have changed meanwhile, or images are missing."""
        if self._path is None or not self._key or given.corrupt or self._hashed() != self._key:
            return
        digests, labels = list(given.digests), list(given.labels)
        content = {"key": self._key, "digests": digests, "labels": labels}
        remember(self._path, FORMAT, {**content, "checksum": _checksum(digests, labels)})


def _checksum(digests: Sequence[str], labels: Sequence[int | str]) -> str:
    return content_key("own data", [list(digests), list(labels)])


def _version(package: str) -> str:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return ""
