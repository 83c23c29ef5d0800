"""An own data set as a source of images, identified by what it gives.

Its code is in no key: equal images, labels, classes, splits and groups are the same data.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from runner.components.data.dataset import ImageSource
from runner.components.data.joining import split_notes
from runner.components.data.labelled import by_split, training_classes
from runner.components.data.listing import enumerated
from runner.components.data.own_items import OwnItems, Undecodable
from runner.components.data.own_memory import Given
from runner.components.data.splitting import Split
from runner.components.own.problems import OwnCodeFailed
from runner.core.errors import DataError, nearest
from runner.core.keys import content_key
from runner.core.spacing import evenly_spaced

if TYPE_CHECKING:
    from PIL.Image import Image

TWICE = 8
"""So many images are looked at twice."""


def read_all(items: OwnItems, skip: bool) -> Given:
    """Return what own code gives: every image is looked at.

    Args:
        items: gives them.
        skip: whether images that cannot be decoded are left out.

    Raises:
        OwnCodeFailed: when own code raises an error, or gives no images and labels.
    """
    found: list[tuple[int, str, int | str]] = []
    corrupt: list[str] = []
    for index in range(items.count):
        try:
            item = items[index]
        except Undecodable as error:
            if not skip:
                hint = "mend it, or set data.on_corrupt: skip"
                raise OwnCodeFailed(str(error), hint=hint) from error
            corrupt.append(str(error))
            continue
        found.append((index, item.digest, item.label))
    kept, digests, labels = map(list, zip(*found, strict=True)) if found else ([], [], [])
    _refuse_others(items, kept, digests)
    return Given(kept, digests, labels, corrupt)


def _refuse_others(items: OwnItems, kept: Sequence[int], digests: Sequence[str]) -> None:
    """Refuse images that are others each time.

    Raises:
        OwnCodeFailed: with the first of those that are looked at.
    """
    for place in evenly_spaced(len(kept), TWICE):
        if items[kept[place]].digest != digests[place]:
            where = items.line_of("__getitem__")
            raise OwnCodeFailed(
                f"'{items.name}' gives another image each time at index {kept[place]}{where}",
                hint="what is drawn for each epoch is an augmentation: train.augment",
            )


def own_source(items: OwnItems, given: Given, forget: Callable[[], None]) -> ImageSource:
    """Return the source of own images.

    Args:
        items: gives them.
        given: what it gave.
        forget: drops what is remembered of it, once an image is another.

    Raises:
        InvalidData: when a class has no training images.
        OwnCodeFailed: when a label is of no class, or no image of a split can be decoded.
    """
    classes, splits, groups = items.classes(), items.splits(), items.groups()
    kept, corrupt = given.kept, given.corrupt
    chosen = [splits[each] for each in kept] if splits else []
    if lost := sorted(set(splits).difference(chosen)):
        found = f"none of the {lost[0]} images of '{items.name}' can be decoded: {corrupt[0]}"
        raise OwnCodeFailed(found)
    told = [f"'{items.name}': left out: {each}" for each in corrupt]
    return _identified(
        given,
        _Labelled(items, classes, kept, given.labels, chosen),
        [groups[each] for each in kept] if groups else [],
        told,
        _reader(items, given, forget),
    )


class _Labelled:
    """The labels of images, as the classes that have training images.

    Attributes:
        labels: class index of each image, in [0, len(classes)).
        classes: their names.
        splits: of each image, or ().
        notes: for people.
    """

    def __init__(
        self,
        items: OwnItems,
        names: Sequence[str],
        kept: Sequence[int],
        given: Sequence[int | str],
        splits: Sequence[Split],
    ) -> None:
        self.splits = tuple(splits)
        texts = _texts(items, names, kept, given)
        where = f"'{items.name}'"
        own = by_split(texts, splits or ["train"] * len(texts))

        def places(text: str) -> list[str]:
            return [f"index {kept[each]}" for each, label in enumerate(texts) if label == text]

        found = training_classes(own, places, where)
        numbers = {text: number for number, text in enumerate(found)}
        self.labels = tuple(numbers[text] for text in texts)
        self.classes = tuple(names[int(text)] for text in found) if names else found
        named = {
            split: [self.classes[numbers[text]] for text in each] for split, each in own.items()
        }
        self.notes = list(split_notes(named, self.classes, {}, where)) if splits else []
        if absent := [name for name in names if name not in self.classes]:
            self.notes.append(f"{where} has no training images of {enumerated(absent)}")


def _texts(
    items: OwnItems, names: Sequence[str], kept: Sequence[int], given: Sequence[int | str]
) -> list[str]:
    """Return the labels as texts: numbers where the classes have names.

    Raises:
        OwnCodeFailed: when one is of no class, or some are numbers and others names.
    """
    where = items.line_of("__getitem__")
    numbers = {name: number for number, name in enumerate(names)}
    for place, label in enumerate(given):
        is_known = label < len(names) if isinstance(label, int) else label in numbers
        if names and not is_known:
            raise OwnCodeFailed(
                f"'{items.name}' gives the label {label!r} at index {kept[place]}{where}",
                allowed=f"0 to {len(names) - 1}, or one of {enumerated(names)}",
                suggestion="" if isinstance(label, int) else nearest(label, names),
            )
        if not names and type(label) is not type(given[0]):
            raise OwnCodeFailed(
                f"'{items.name}' gives the label {label!r} at index {kept[place]}{where}, but"
                f" {given[0]!r} at index {kept[0]}",
                allowed="numbers, or names",
                hint="with `classes`, labels may be both",
            )
    return [
        str(numbers.get(str(label), label)) if type(label) is str else str(label) for label in given
    ]


def _identified(
    given: Given,
    labelled: _Labelled,
    groups: Sequence[str],
    notes: Sequence[str],
    read: Callable[[int], Image],
) -> ImageSource:
    identity = {
        "images": list(given.digests),
        "classes": list(labelled.classes),
        "labels": list(labelled.labels),
        "splits": list(labelled.splits),
        **({"groups": list(groups)} if groups else {}),
    }
    return ImageSource(
        names=tuple(f"{index:08d}" for index in given.kept),
        labels=labelled.labels,
        classes=labelled.classes,
        splits=labelled.splits,
        fingerprint=content_key("fingerprint", {"own": identity}),
        read=read,
        notes=(*notes, *labelled.notes),
        digests=tuple(given.digests),
        groups=tuple(groups),
    )


def _reader(items: OwnItems, given: Given, forget: Callable[[], None]) -> Callable[[int], Image]:
    """Return a function that reads an image, while it is the one that was identified."""

    def read(place: int) -> Image:
        index = given.kept[place]
        try:
            item = items[index]
            if item.digest == given.digests[place]:
                return item.image
            why = f"gives another image at index {index} than when this command began"
        except Undecodable as error:
            why = f"gives no image at index {index} any more: {error}"
        forget()
        raise DataError(
            f"'{items.name}' {why}; nothing of it is kept, and the same command again takes it as"
            " it is then"
        )

    return read
