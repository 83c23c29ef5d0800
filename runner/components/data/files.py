"""Image files, verified before they are decoded.

A file is read once; its bytes are compared with the hash in the data set's fingerprint, then
decoded from memory.
"""

from __future__ import annotations

import hashlib
import io
import os
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING

from runner.components.data.dataset import DataAccess, ImageSource
from runner.components.data.depth import eight_bits, levels_fingerprint, levels_of
from runner.components.data.listing import Listing
from runner.components.data.splitting import Split
from runner.components.data.transparency import files_fingerprint
from runner.core.keys import content_key
from runner.core.text import printable

if TYPE_CHECKING:
    from PIL.Image import Image


class TooManyPixels(OSError):
    """An image that would take too much memory."""


class ChangedFile(Exception):
    """A file has changed since it was hashed.

    Attributes:
        files: among which it is.
        name: of the file.
        why: what is wrong, as a predicate.
    """

    def __init__(self, files: HashedFiles, name: str, why: str) -> None:
        super().__init__(f"{files.root / name} {why}")
        self.files = files
        self.name = name
        self.why = why


@dataclass(frozen=True)
class HashedFiles:
    """Files that can be read only while they are as they were hashed.

    Attributes:
        root: folder of the files.
        names: relative to it.
        digests: SHA-256 of each, in hexadecimal.
        sizes: of each, in bytes: no more than that is read into memory.
        access: forgets what it remembers of the files when one has changed.
    """

    root: Path
    names: tuple[str, ...]
    digests: tuple[str, ...]
    sizes: tuple[int, ...]
    access: DataAccess

    def read(self, index: int) -> bytes:
        """Return the content of a file.

        Raises:
            ChangedFile: when it is another than was hashed, or is gone; what is remembered of the
                files is forgotten.
        """
        name = self.names[index]
        try:
            content = self._content(index)
        except OSError as error:
            why = f"cannot be read any more: {error.strerror or error}"
        else:
            if _is_digest(content, self.digests[index]):
                return content
            why = "has other content"
        with suppress(OSError):  # it must not hide what is wrong with the file
            self.access.forget(self.root)
        raise ChangedFile(self, name, why)

    def _content(self, index: int) -> bytes:
        def opener(path: str, flags: int) -> int:
            # what has become a pipe must not be waited for
            return os.open(path, flags | getattr(os, "O_NONBLOCK", 0))

        with open(self.root / self.names[index], "rb", opener=opener) as file:
            return file.read(self.sizes[index] + 1)

    def changed(self) -> dict[str, str]:
        """Return why each changed file counts as changed, by name."""

        def why(index: int) -> str:
            try:
                self.read(index)
            except ChangedFile as changed:
                return changed.why
            return ""

        with ThreadPoolExecutor(os.cpu_count()) as pool:
            found = zip(self.names, pool.map(why, range(len(self.names))), strict=True)
            return {name: wrong for name, wrong in found if wrong}


def _is_digest(content: bytes, digest: str) -> bool:
    return hashlib.sha256(content).hexdigest() == digest


def file_source(
    access: DataAccess,
    root: Path,
    listing: Listing,
    splits: Sequence[Split] = (),
    lists: Sequence[str] = (),
) -> ImageSource:
    """Return the source of the listed image files, identified by their names and contents.

    Args:
        access: hashes the files.
        root: folder of the files.
        listing: names, labels and classes.
        splits: official split of each image, if the data set has one.
        lists: files below ``root`` that say which image is of which class or split, where names
            alone do not: their contents are identified too.

    Raises:
        OSError: when a file cannot be read.
    """
    names = listing.names
    digests = access.hash_files(root, names)
    sizes = tuple(os.stat(os.path.join(root, name)).st_size for name in names)
    files = HashedFiles(root, names, tuple(digests), sizes, access)

    def read(index: int) -> Image:
        return decode_image(files.read(index))

    fingerprint = files_fingerprint(root, names, digests, access.recall)
    fingerprint = levels_fingerprint(root, names, fingerprint, access.recall)
    if lists:
        found = {"images": fingerprint, "lists": access.hash_files(root, lists)}
        fingerprint = content_key("fingerprint", found)
    return ImageSource(
        names=tuple(map(printable, names)),
        labels=listing.labels,
        classes=listing.classes,
        splits=tuple(splits),
        fingerprint=fingerprint,
        read=read,
        root=root,
        notes=listing.notes,
        digests=files.digests,
    )


def decode_image(content: bytes) -> Image:
    """Return the image that a file holds; see :func:`decoded_image`.

    Raises:
        OSError: when it is no image, is truncated or too large, or its levels have no known range.
    """
    with opened(io.BytesIO(content)) as image:
        return decoded_image(image)


def decoded_image(image: Image) -> Image:
    """Return the first frame of an opened image, turned as its EXIF data says, in 8 bits.

    Whoever decodes a file does it here, so that a file is the same image to all.

    Raises:
        OSError: when it is truncated, or its levels have no known range.
    """
    from PIL import ImageOps

    levels = levels_of(image)
    image.load()
    return eight_bits(ImageOps.exif_transpose(image), levels)


@contextmanager
def opened(file: IO[bytes]) -> Iterator[Image]:
    """Give an image of which only the head has been read.

    Raises:
        OSError: when it is no image, or has so many pixels that Pillow refuses it.
    """
    from PIL import Image as PillowImage
    from PIL import UnidentifiedImageError

    try:
        with PillowImage.open(file) as image:
            yield image
    except UnidentifiedImageError:
        # Pillow's own message names an object in memory, another one each time
        raise UnidentifiedImageError("cannot identify image file") from None
    except PillowImage.DecompressionBombError:
        raise TooManyPixels(_too_many_pixels(file)) from None


def _too_many_pixels(file: IO[bytes]) -> str:
    """Return what is wrong with an image that Pillow does not open; only its head is read."""
    from PIL import Image as PillowImage

    most = f"more than the {2 * (PillowImage.MAX_IMAGE_PIXELS or 0):,} pixels that are decoded"
    file.seek(0)
    head = file.read(16)
    for factory, accepts in map(PillowImage.OPEN.__getitem__, PillowImage.ID):
        # a reader that does not look at the head would take any file for its own
        if accepts is None or accepts(head) is not True:
            continue
        file.seek(0)
        with suppress(Exception), factory(file, "") as image:
            return f"it is {image.height}×{image.width} (height × width), {most}"
    return f"it has {most}"
