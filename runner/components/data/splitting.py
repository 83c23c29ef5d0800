"""Stratified splits of a source's images into train, validation and test.

A split depends on labels, fractions and the split seed only.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from typing import Literal

from runner.components.data.folds import Folding, fold_of_images
from runner.components.data.group_folds import fold_of_grouped
from runner.components.data.stratifying import stratified
from runner.core.keys import keyed_seed

Split = Literal["train", "val", "test"]
SPLITS: tuple[Split, ...] = ("train", "val", "test")


class UnsplittableError(ValueError):
    """The images cannot be split as asked; the message names the class and its count."""


class TooFewForFolds(UnsplittableError):
    """The images cannot be divided into so many folds; the message says why."""


class TooFewTrainingImages(UnsplittableError):
    """``train_images`` leaves classes without a training image."""


def split_images(
    labels: Sequence[int],
    classes: Sequence[str],
    official: Sequence[Split],
    validation: float,
    test: float,
    seed: int,
    train_images: int | None = None,
    folding: Folding | None = None,
) -> dict[Split, list[int]]:
    """Return the image indices of each split, ascending.

    First the test images are taken, then the validation images from the rest, each stratified by
    class as scikit-learn's ``train_test_split`` does it. Where the data set has test or validation
    images of its own, they are these, and what is taken is taken from its training images. A fold
    takes the place of one of them. Of the others, a sample of at most ``train_images`` trains.

    Args:
        labels: class index of each image.
        classes: class names, for error messages.
        official: the data set's own split of each image, or empty.
        validation: fraction of the images that are not test; unused with official ones.
        test: fraction of all images, or of the official training images; unused with official
            test images.
        seed: of the shuffling, in [0, 2**32).
        train_images: the most images that train; None is all. The images of a smaller sample are
            among those of a larger one.
        folding: what is held out as validation images, of all that are not test, or as test
            images, in the place of these fractions; the data set has none of its own.

    Raises:
        UnsplittableError: when a class is too small, or a split has fewer images than classes.
        TooFewForFolds: when a class has fewer images than there are folds, there are fewer groups,
            or a class would be held out whole.
        TooFewTrainingImages: when ``train_images`` is below the number of classes.
    """
    own: dict[Split, list[int]] = {split: [] for split in SPLITS}
    for index in range(len(labels)):
        own[official[index] if official else "train"].append(index)
    train, held, chosen = own["train"], own["val"], own["test"]
    if folding is not None and folding.fold.held_out == "test":
        train, chosen = _take_fold(train, labels, classes, folding, seed)
    elif not chosen:
        train, chosen = _take(train, labels, classes, test, seed, "test")
    if folding is not None and folding.fold.held_out == "validation":
        train, held = _take_fold(train, labels, classes, folding, seed)
    elif not held:
        train, held = _take(train, labels, classes, validation, seed, "validation")
    if train_images is not None and train_images < len(train):
        train = _sample(train, labels, train_images, seed)
    return {"train": train, "val": held, "test": chosen}


def _sample(indices: Sequence[int], labels: Sequence[int], count: int, seed: int) -> list[int]:
    """Return a stratified sample of ``count`` of ``indices``, with each class at least once.

    Images of each class are shuffled and ranked by the fraction of the class before them, 0 for
    the first. The lowest ranks are taken (Webster's method), so that samples are nested.
    """
    import numpy as np

    members: dict[int, list[int]] = {}
    for index in indices:
        members.setdefault(labels[index], []).append(index)
    if count < len(members):
        raise TooFewTrainingImages(
            f"train_images is {count}, but the training images are of {len(members)} classes"
        )
    marks: list[tuple[float, float, int]] = []
    for label, images in sorted(members.items()):
        draw = np.random.default_rng(keyed_seed(seed, "train_images", label))
        # of two classes whose turn is the same, the drawn number says which is first
        turn = float(draw.random())
        order = draw.permutation(images).tolist()
        marks.append((0.0, turn, order[0]))
        marks += [
            ((rank + 0.5) / len(order), turn, index)
            for rank, index in enumerate(order[1:], start=1)
        ]
    return sorted(index for _, _, index in sorted(marks)[:count])


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
    taken = math.ceil(fraction * len(indices))
    if min(taken, len(indices) - taken) < max(1, len(counts)):
        raise UnsplittableError(
            f"{len(indices)} images of {len(counts)} classes cannot be split with {what}:"
            f" {fraction}: it takes {taken} and leaves {len(indices) - taken}, and a stratified"
            " split needs at least one of each class on both sides"
        )
    stays, goes = stratified(strata, taken, seed)
    return sorted(indices[each] for each in stays), sorted(indices[each] for each in goes)


def _take_fold(
    indices: list[int],
    labels: Sequence[int],
    classes: Sequence[str],
    folding: Folding,
    seed: int,
) -> tuple[list[int], list[int]]:
    """Return (rest, taken): the images of the other folds, and those of this one."""
    fold, strata = folding.fold, [labels[index] for index in indices]
    for label, count in sorted(Counter(strata).items()):
        if count < fold.of:
            left = "1 image" if count == 1 else f"{count} images"
            raise TooFewForFolds(
                f"class '{classes[label]}' has {left} left; {fold.of} folds need at least"
                f" {fold.of} of each class"
            )
    if folding.groups:
        groups = [folding.groups[index] for index in indices]
        if (count := len(set(groups))) < fold.of:
            raise TooFewForFolds(
                f"the images left are of {count} groups, fewer than {fold.of} folds"
            )
        folds = fold_of_grouped(strata, groups, fold.of, seed)
    else:
        folds = fold_of_images(strata, fold.of, seed)
    there = list(zip(indices, folds, strict=True))
    rest = sorted(index for index, own in there if own != fold.index)
    for label in sorted(set(strata) - {labels[index] for index in rest}):
        raise TooFewForFolds(
            f"class '{classes[label]}' is whole in fold {fold.index} of {fold.of}, as too few"
            " groups have images of it: none is left to train"
        )
    return rest, sorted(index for index, own in there if own == fold.index)
