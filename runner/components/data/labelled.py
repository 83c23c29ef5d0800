"""Labels that a data set states for each image: which classes there are, and in which order.

Owns the rule that the classes are those of the training images. Knows no file.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping, Sequence

from runner.components.data.invalid import InvalidData
from runner.components.data.listing import SHOWN, enumerated
from runner.components.data.splitting import SPLITS, Split
from runner.core.errors import nearest

WHOLE_NUMBER = re.compile(r"0|-?[1-9][0-9]*")


def in_order(labels: Collection[str]) -> tuple[str, ...]:
    """Return different labels in order: by number where all are whole numbers, else by text."""
    if all(WHOLE_NUMBER.fullmatch(label) for label in labels):
        return tuple(sorted(set(labels), key=int))
    return tuple(sorted(set(labels)))


def by_split(labels: Sequence[str], splits: Sequence[Split]) -> dict[Split, list[str]]:
    """Return the labels of the images of each split that has images, in the order of splits."""
    found: dict[Split, list[str]] = {split: [] for split in SPLITS}
    for label, split in zip(labels, splits, strict=True):
        found[split].append(label)
    return {split: own for split, own in found.items() if own}


def training_classes(
    labels: Mapping[Split, Sequence[str]], places: Callable[[str], Sequence[str]], where: str
) -> tuple[str, ...]:
    """Return the classes of the training images, in order.

    Args:
        labels: of the images of each split.
        places: from a label to where it stands, for messages.
        where: what holds them all, for messages.

    Raises:
        InvalidData: when there are no training images, or none with a label that others have.
    """
    if "train" not in labels:
        raise InvalidData(f"{where} has no training images", "give some of them the split `train`")
    classes = in_order(set(labels["train"]))
    known = set(classes)
    unknown = in_order({each for own in labels.values() for each in own if each not in known})
    if unknown:
        lines = [f"labels of {where} that no training image has:"]
        for name in unknown[:SHOWN]:
            similar = "" if WHOLE_NUMBER.fullmatch(name) else nearest(name, classes)
            like = f", looks like {similar}" if similar else ""
            lines.append(f"    {name}: {enumerated(places(name))}{like}")
        if len(unknown) > SHOWN:
            lines.append(f"    … and {len(unknown) - SHOWN} more")
        raise InvalidData("\n".join(lines), "give each class training images")
    return classes
