"""Stratified splits of a source's images into train, validation and test.

Independent of the pixels: the split follows from the labels, the fractions and the split seed.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from runner.components.data.dataset import Split


class UnsplittableError(ValueError):
    """The images cannot be split as asked; the message names the class and its count."""


def split_images(
    labels: Sequence[int],
    classes: Sequence[str],
    official: Sequence[Split],
    validation: float,
    test: float,
    seed: int,
) -> dict[Split, list[int]]:
    """Return the image indices of each split, ascending.

    First the test images are taken from all (unless the data set says which they are), then the
    validation images from the rest, each stratified by class with scikit-learn's
    ``train_test_split``.

    Args:
        labels: class index of each image.
        classes: class names, for error messages.
        official: the data set's own split of each image, or empty.
        validation: fraction of the images that are not test.
        test: fraction of all images; unused with an official split.
        seed: of the shuffling, in [0, 2**32).

    Raises:
        UnsplittableError: when a class is too small, or there are fewer places than classes.
    """
    if official:
        chosen = [index for index, split in enumerate(official) if split == "test"]
        rest = [index for index, split in enumerate(official) if split != "test"]
    else:
        rest, chosen = _take(list(range(len(labels))), labels, classes, test, seed, "test")
    train, held = _take(rest, labels, classes, validation, seed, "validation")
    return {"train": train, "val": held, "test": chosen}


def _take(
    indices: list[int],
    labels: Sequence[int],
    classes: Sequence[str],
    fraction: float,
    seed: int,
    what: str,
) -> tuple[list[int], list[int]]:
    """Return (rest, taken): ``fraction`` of ``indices``, stratified."""
    if fraction == 0:
        return sorted(indices), []
    strata = [labels[index] for index in indices]
    counts = Counter(strata)
    for label, count in sorted(counts.items()):
        if count < 2:
            raise UnsplittableError(
                f"class '{classes[label]}' has {count} image left; a stratified {what} split needs"
                " at least 2 of each class"
            )
    from sklearn.model_selection import train_test_split

    try:
        rest, taken = train_test_split(
            indices, test_size=fraction, stratify=strata, random_state=seed
        )
    except ValueError as error:
        raise UnsplittableError(
            f"{len(indices)} images of {len(counts)} classes cannot be split with {what}:"
            f" {fraction} ({error})"
        ) from error
    return sorted(rest), sorted(taken)
