"""Folds of grouped images: images of a group, as those of one patient, are never apart.

Owns the algorithm, that of scikit-learn's ``StratifiedGroupKFold`` with ``shuffle``, from its
version 1.8 on. It is part of what the key of a run stands for, as the one in `folds` is. Knows no
data set.
"""

from __future__ import annotations

from collections.abc import Sequence


def fold_of_grouped(
    strata: Sequence[int], groups: Sequence[str], count: int, seed: int
) -> list[int]:
    """Return the fold of each image, from 1.

    Groups are taken in order, those first whose images are spread most unevenly over the classes;
    each goes to the fold by which the shares of the classes become most alike, among equals to the
    smallest.

    Args:
        strata: class of each image.
        groups: of each image.
        count: of folds; there are as many groups, and images of each class, at least.
        seed: of the order of groups that are equally uneven, in [0, 2**32).
    """
    import numpy as np

    _, classes, sizes = np.unique(
        np.asarray(strata, dtype=np.int64), return_inverse=True, return_counts=True
    )
    names, group_of = np.unique(np.asarray(groups, dtype=np.str_), return_inverse=True)
    drawn = np.arange(len(names))
    np.random.RandomState(seed).shuffle(drawn)
    place = np.empty_like(drawn)
    place[drawn] = np.arange(len(names))
    group_of = place[group_of]
    counts = np.zeros((len(names), len(sizes)))
    np.add.at(counts, (group_of, classes), 1)
    held = np.zeros((count, len(sizes)))
    fold_of = np.empty(len(names), dtype=np.int64)
    for group in np.argsort(-np.std(counts, axis=1), kind="stable"):
        best, least, fewest = -1, np.inf, np.inf
        for fold in range(count):
            before = held[fold].sum()
            held[fold] += counts[group]
            unevenness = np.mean(np.std(held / sizes, axis=0))
            held[fold] -= counts[group]
            if unevenness < least or (np.isclose(unevenness, least) and before < fewest):
                best, least, fewest = fold, unevenness, before
        held[best] += counts[group]
        fold_of[group] = best
    found: list[int] = (fold_of[group_of] + 1).tolist()
    return found
