"""The drawing of a stratified split: which images of each class are taken.

Owns the algorithm, that of scikit-learn's ``train_test_split``, draw by draw: it is part of what
the key of a run stands for, and so must stay the same whatever scikit-learn does, and whether it is
there. numpy promises that the stream of ``RandomState`` never changes. Knows no data set.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


def stratified(strata: Sequence[int], count: int, seed: int) -> tuple[list[int], list[int]]:
    """Return the positions that are left and those that are taken, each ascending.

    Of every class as many are taken as are its share of ``count``, rounded; which classes are
    rounded up is drawn where several are as close.

    Args:
        strata: class of each image.
        count: how many are taken; at least the number of classes, and as many are left.
        seed: of the drawing, in [0, 2**32).
    """
    import numpy as np

    random = np.random.RandomState(seed)
    _, classes, sizes = np.unique(
        np.asarray(strata, dtype=np.int64), return_inverse=True, return_counts=True
    )
    by_class = np.split(np.argsort(classes, kind="stable"), np.cumsum(sizes)[:-1])
    left = _shares(sizes, len(strata) - count, random)
    # what is taken is all that is not left, but this draws numbers where rounding hides that
    taken = _shares(sizes - left, count, random)
    parts: tuple[list[NDArray[np.int64]], list[NDArray[np.int64]]] = ([], [])
    for members, first, second in zip(by_class, left, taken, strict=True):
        shuffled = members[random.permutation(len(members))]
        parts[0].append(shuffled[:first])
        parts[1].append(shuffled[first : first + second])
    stays, goes = (np.sort(np.concatenate(part)).tolist() for part in parts)
    return stays, goes


def _shares(
    sizes: NDArray[np.int64], count: int, random: np.random.RandomState
) -> NDArray[np.int64]:
    """Return how many of ``count`` draws are of each class, in proportion to its size.

    Largest remainders are rounded up; among equal ones, it is drawn which.
    """
    import numpy as np

    exact = sizes / sizes.sum() * count
    remainders = exact - np.floor(exact)
    shares: NDArray[np.int64] = np.floor(exact).astype(np.int64)
    missing = count - int(shares.sum())
    for remainder in np.unique(remainders)[::-1]:
        if missing <= 0:
            break
        (alike,) = np.where(remainders == remainder)
        rounded_up = random.choice(alike, size=min(len(alike), missing), replace=False)
        shares[rounded_up] += 1
        missing -= len(rounded_up)
    return shares
