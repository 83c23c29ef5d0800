"""Images that are there twice, byte for byte: in two splits, or under two labels.

Found by the hashes of their contents, which the fingerprint needs anyway; no file is read here.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence

from runner.components.data.splitting import SPLITS, Split

SHOWN = 5
"""Images that are named before it is said how many more there are."""


def duplicates(digests: Sequence[str]) -> list[list[int]]:
    """Return the indices of the images of each content that is there more than once.

    Args:
        digests: of the contents, by image.
    """
    several = {digest for digest, count in Counter(digests).items() if count > 1}
    if not several:
        return []
    found: dict[str, list[int]] = {}
    for index, digest in enumerate(digests):
        if digest in several:
            found.setdefault(digest, []).append(index)
    return list(found.values())


def in_several_splits(
    groups: Sequence[Sequence[int]], splits: Mapping[Split, Sequence[int]], names: Sequence[str]
) -> Iterator[str]:
    """Yield a note where images of equal content are in several splits.

    Args:
        groups: indices of images of equal content.
        splits: indices of the images of each.
        names: of all images.
    """
    where = {index: split for split in SPLITS for index in splits[split]}
    found = []
    for group in groups:
        used = [index for index in group if index in where]
        if len({where[index] for index in used}) > 1:
            used.sort(key=lambda index: (SPLITS.index(where[index]), index))
            # one of each split, so that many copies in one do not hide the others
            first = {where[index]: index for index in reversed(used)}
            found.append([f"{names[first[split]]} ({split})" for split in SPLITS if split in first])
    if found:
        are = "1 image is" if len(found) == 1 else f"{len(found)} images are"
        yield f"{are} in several splits, byte for byte: {_listed(found)}"


def under_several_labels(
    groups: Sequence[Sequence[int]], labels: Sequence[int], names: Sequence[str]
) -> Iterator[str]:
    """Yield a note where images of equal content have several labels.

    Args:
        groups: indices of images of equal content.
        labels: of all images.
        names: of all images.
    """
    found = []
    for group in groups:
        first = {labels[index]: index for index in reversed(group)}
        if len(first) > 1:
            found.append([names[index] for index in sorted(first.values())])
    if found:
        have = "1 image has" if len(found) == 1 else f"{len(found)} images have"
        yield f"{have} several labels, byte for byte: {_listed(found)}"


def _listed(found: Sequence[Sequence[str]]) -> str:
    shown = [" and ".join(each) for each in found[:SHOWN]]
    more = [f"… and {len(found) - SHOWN} more"] if len(found) > SHOWN else []
    return "; ".join([*shown, *more])
