"""Published sets of image files whose lists say which image is of which class and split."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path, PurePosixPath
from typing import NamedTuple

from runner.components.data.dataset import DataAccess, ImageSource
from runner.components.data.files import file_source
from runner.components.data.listing import Listing
from runner.components.data.splitting import Split


class ListedImage(NamedTuple):
    """An image as a list has it.

    Attributes:
        name: of its file, relative to the data set's folder, with "/".
        label: index of its class.
        split: its official split.
    """

    name: str
    label: int
    split: Split


def listed_source(
    access: DataAccess,
    root: Path,
    images: Iterable[ListedImage],
    classes: Sequence[str],
    lists: Sequence[str],
) -> ImageSource:
    """Return the source of listed images, in the order of the lists.

    Args:
        access: hashes the files.
        root: folder of the data set.
        images: all that are listed.
        classes: names of the classes.
        lists: files of the lists, relative to ``root``; their contents are identified too.

    Raises:
        OSError: when there are none, when one is listed twice, lies outside of the folder, is of
            no class or is not there, or when a file cannot be read.
    """
    listed = list(images)
    if not listed:
        raise OSError(f"{root} is not as it was published: {' and '.join(lists)} list no images")
    seen: set[str] = set()
    for name, label, _ in listed:
        what = ""
        if name in seen:
            what = "is listed twice"
        elif PurePosixPath(name).is_absolute() or ".." in PurePosixPath(name).parts:
            what = "would lie outside of the folder"
        elif not 0 <= label < len(classes):
            what = f"is of class {label}, but the classes are 0 to {len(classes) - 1}"
        if what:
            raise OSError(f"{root} is not as it was published: {name} {what}")
        seen.add(name)
    names, labels, splits = zip(*listed, strict=True)
    return file_source(access, root, Listing(names, labels, tuple(classes)), splits, lists)


def lines_of(path: Path, words: int, separator: str | None = None) -> Iterator[list[str]]:
    """Yield the words of each line of a text file that is not empty.

    Args:
        path: of the file.
        words: how many each line must have.
        separator: between words; None is white space.

    Raises:
        OSError: when it is not there, is no text, or a line has another number of words.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise OSError(f"{path} is no text: {error}") from None
    for number, line in enumerate(text.splitlines(), start=1):
        found = line.strip().split(separator)
        if not line.strip():
            continue
        if len(found) != words:
            raise OSError(
                f"{path}:{number} is not as it was published: {len(found)} instead of {words}"
                f" parts in {line.strip()[:60]!r}"
            )
        yield found
