"""Folds of k-fold cross-validation: which images are held out in each.

Owns the settings of a fold and the algorithm, that of scikit-learn's ``StratifiedKFold`` with
``shuffle``, draw by draw: it is part of what the key of a run stands for, and so must stay the same
whatever scikit-learn does, and whether it is there. Knows no data set.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Self

from pydantic import Field, model_validator

from runner.components.component import Component

MAX_FOLDS = 1000


class Fold(Component):
    """One fold of several, stratified by class, drawn with `data.split_seed`.

    The other folds train. With `held_out: validation`, test images are held out first and are the
    same in all folds; with `held_out: test`, validation images are a fraction of the other folds.
    """

    index: int = Field(
        ge=1, le=MAX_FOLDS, examples=[1], description="which fold is held out, from 1"
    )
    of: int = Field(ge=2, le=MAX_FOLDS, examples=[5], description="how many folds there are")
    held_out: Literal["validation", "test"] = Field(
        "validation", description="what the images of the fold are"
    )

    @model_validator(mode="after")
    def _is_one_of_them(self) -> Self:
        if self.index > self.of:
            raise ValueError(f"fold {self.index} of {self.of}: the index is at most {self.of}")
        return self


@dataclass(frozen=True, slots=True)
class Folding:
    """A fold of certain images.

    Attributes:
        fold: which.
        groups: of each image; images of a group are in one fold. () where they have none.
    """

    fold: Fold
    groups: Sequence[str] = ()


def fold_of_images(strata: Sequence[int], count: int, seed: int) -> list[int]:
    """Return the fold of each image, from 1.

    Each class is divided as evenly as possible, and all folds are of nearly equal size.

    Args:
        strata: class of each image.
        count: of folds; each class has as many images at least.
        seed: of the drawing, in [0, 2**32).
    """
    import numpy as np

    random = np.random.RandomState(seed)
    _, first, sorted_class = np.unique(
        np.asarray(strata, dtype=np.int64), return_index=True, return_inverse=True
    )
    # classes in the order in which they first occur
    order = np.argsort(np.argsort(first))[sorted_class]
    in_turn = np.sort(order)
    shares = [np.bincount(in_turn[fold::count], minlength=len(first)) for fold in range(count)]
    folds = np.empty(len(order), dtype=np.int64)
    for label, of_class in enumerate(np.transpose(shares)):
        drawn = np.arange(count).repeat(of_class)
        random.shuffle(drawn)
        folds[order == label] = drawn
    found: list[int] = (folds + 1).tolist()
    return found
