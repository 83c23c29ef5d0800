"""The images of a file of arrays: which arrays they are, their labels, splits and classes.

Owns the layout. Pixels are not read here.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from runner.components.data.array_files import ArrayHead, array_heads, array_names, read_arrays
from runner.components.data.invalid import InvalidData
from runner.components.data.joining import split_notes
from runner.components.data.labelled import by_split, training_classes
from runner.components.data.listing import enumerated
from runner.components.data.splitting import SPLITS, Split

IMAGES, LABELS = "images", "labels"
LAYOUT = "save train_images and train_labels, and val_…, test_… of both; or images and labels"


@dataclass(frozen=True, slots=True)
class ImagePart:
    """An array of images.

    Attributes:
        name: of the array.
        split: of its images, or None.
        shape: (N, height, width), or with 1 or 3 channels behind.
    """

    name: str
    split: Split | None
    shape: tuple[int, ...]

    @property
    def count(self) -> int:
        """How many images there are."""
        return self.shape[0]

    @property
    def is_gray(self) -> bool:
        """Whether images have one channel."""
        return self.shape[3:] in ((), (1,))

    def names(self) -> Iterator[str]:
        """Yield the names of the images: their indices, below their split."""
        folder = f"{self.split}/" if self.split else ""
        return (f"{folder}{index:08d}" for index in range(self.count))


@dataclass(frozen=True, slots=True)
class ListedArrays:
    """The images of a file of arrays.

    Attributes:
        parts: the arrays, in the order of splits.
        names: of the images.
        labels: class index of each, in [0, len(classes)).
        classes: names of those of the training images.
        splits: of each image, () where the file has none.
        notes: for people.
    """

    parts: tuple[ImagePart, ...]
    names: tuple[str, ...]
    labels: tuple[int, ...]
    classes: tuple[str, ...]
    splits: tuple[Split, ...]
    notes: tuple[str, ...]


def list_arrays(path: Path, called: Sequence[str] | None = None) -> ListedArrays:
    """Return the images of a file, whose labels are read, and of whose pixels only the head.

    Args:
        path: the file.
        called: names of the classes with the labels 0, 1, 2 …

    Raises:
        InvalidData: when its arrays are not as they should be.
        OSError: when it cannot be read.
    """
    prefixes = _prefixes(array_names(path), path)
    used = [f"{prefix}{kind}" for prefix in prefixes for kind in (IMAGES, LABELS)]
    heads = array_heads(path, used)
    parts = [_part(prefix, split, heads, path) for prefix, split in prefixes.items()]
    labels = [_labels(prefix, heads, path) for prefix in prefixes]
    for part, own in zip(parts, labels, strict=True):
        if part.count != len(own):
            raise InvalidData(
                f"{path}: {part.name} has {part.count} images, but there are {len(own)} labels"
            )
    return _listed(path, parts, labels, called)


def _listed(
    path: Path,
    parts: Sequence[ImagePart],
    labels: Sequence[Sequence[int]],
    called: Sequence[str] | None,
) -> ListedArrays:
    """Return the images with their classes: those of the training images.

    Args:
        path: the file.
        parts: in the order of splits.
        labels: of the images of each part.
        called: names of the labels, or None.
    """
    texts = [str(label) for own in labels for label in own]
    splits = [part.split or "train" for part in parts for _ in range(part.count)]

    def places(text: str) -> list[str]:
        return [name for name, label in zip(names, texts, strict=True) if label == text]

    names = [name for part in parts for name in part.names()]
    split_labels = by_split(texts, splits)
    found = training_classes(split_labels, places, str(path))
    numbers = {text: number for number, text in enumerate(found)}
    classes = _classes(found, called, path)
    official = parts[0].split is not None
    told: list[str] = []
    if official:
        named = {
            split: [classes[numbers[text]] for text in own] for split, own in split_labels.items()
        }
        told += split_notes(named, classes, {}, str(path))
    absent = [name for name in called or () if name not in classes]
    if absent:
        told.append(f"{path} has no training images of {enumerated(absent)}")
    return ListedArrays(
        tuple(parts),
        tuple(names),
        tuple(numbers[text] for text in texts),
        classes,
        tuple(splits) if official else (),
        tuple(told),
    )


def _classes(labels: Sequence[str], called: Sequence[str] | None, path: Path) -> tuple[str, ...]:
    """Return the names of the classes with these labels, in order."""
    if called is None:
        return tuple(labels)
    if int(labels[-1]) >= len(called):
        raise InvalidData(
            f"{path} has labels up to {labels[-1]}, but names of classes up to {len(called) - 1}",
            "name the classes of all labels, from 0 on",
            "classes",
        )
    return tuple(called[int(label)] for label in labels)


def _prefixes(names: Sequence[str], path: Path) -> dict[str, Split | None]:
    """Return what names of arrays begin with, and the split of each.

    Raises:
        InvalidData: when there are no training images, some have no labels, or it cannot be told
            which count.
    """
    there: dict[str, Split | None] = {f"{split}_": split for split in SPLITS}
    for prefix in ("", *there):
        both = {f"{prefix}{kind}": f"{prefix}{kind}" in names for kind in (IMAGES, LABELS)}
        if len(set(both.values())) > 1:
            has, lacks = sorted(both, key=lambda name: not both[name])
            raise InvalidData(f"{path} has {has}, but no {lacks}", LAYOUT)
    there = {prefix: split for prefix, split in there.items() if f"{prefix}{IMAGES}" in names}
    if IMAGES in names:
        if there:
            others = [f"{prefix}{IMAGES}" for prefix in there]
            raise InvalidData(f"{path} has both {IMAGES} and {enumerated(others)}", LAYOUT)
        return {"": None}
    if "train_" not in there:
        what = f"but {enumerated(names)}" if names else "and no others"
        raise InvalidData(f"{path} has no array train_{IMAGES}, {what}", LAYOUT)
    return there


def _part(
    prefix: str, split: Split | None, heads: Mapping[str, ArrayHead], path: Path
) -> ImagePart:
    """Return an array of images, from its head.

    Raises:
        InvalidData: when it holds none.
    """
    name = f"{prefix}{IMAGES}"
    head = heads[name]
    channels = head.shape[3:] or (1,)
    if head.dtype != "uint8" or len(head.shape) not in (3, 4) or channels[0] not in (1, 3):
        raise InvalidData(
            f"{path}: {name} is {head}",
            "images are uint8 of shape (N, height, width), or (N, height, width, 1 or 3)",
        )
    if 0 in head.shape:
        raise InvalidData(f"{path}: {name} is empty: {head}")
    return ImagePart(name, split, head.shape)


def _labels(prefix: str, heads: Mapping[str, ArrayHead], path: Path) -> list[int]:
    """Return the labels of a part.

    Raises:
        InvalidData: when they are not one whole number for each image.
    """
    name = f"{prefix}{LABELS}"
    head = heads[name]
    columns = head.shape[1:] or (1,)
    if head.dtype.kind not in "iu" or len(head.shape) not in (1, 2) or columns[0] != 1:
        several = len(head.shape) == 2 and columns[0] > 1
        raise InvalidData(
            f"{path}: {name} is {head}",
            "labels are whole numbers of shape (N,) or (N, 1)"
            + (": an image has one class" if several else ""),
        )
    (array,) = read_arrays(path, [name])
    labels: list[int] = array.reshape(-1).tolist()
    if labels and min(labels) < 0:
        raise InvalidData(
            f"{path}: {name} has {min(labels)} at {labels.index(min(labels))}",
            "labels are 0 or more; leave out images without one",
        )
    return labels
