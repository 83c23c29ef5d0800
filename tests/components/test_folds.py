"""Folds: scikit-learn's, each image held out once, test images left alone."""

import warnings
from collections import Counter

import numpy as np
import pytest
from examples import examples
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError
from sklearn.model_selection import StratifiedKFold

from runner.components.data.folds import Fold, Folding, fold_of_images
from runner.components.data.splitting import (
    Split,
    TooFewForFolds,
    UnsplittableError,
    split_images,
)
from runner.components.data.synthetic import Synthetic

NAMES = ("a", "b", "c", "d")
LABELS = [*[2] * 31, *[0] * 17, *[1] * 9, *[2] * 4, *[1] * 8]
"""69 images of three classes, which first occur in another order."""


def fold(index: int, of: int = 4, held_out: str = "validation") -> Fold:
    return Fold.model_validate({"index": index, "of": of, "held_out": held_out})


def splits(
    index: int, of: int = 4, held_out: str = "validation", test: float = 0.2, seed: int = 3
) -> dict[Split, list[int]]:
    return split_images(
        LABELS, NAMES, (), 0.25, test, seed, None, Folding(fold(index, of, held_out))
    )


@st.composite
def labelled(draw: st.DrawFn) -> tuple[list[int], int]:
    """Draw labels in any order, each class with at least as many images as folds."""
    count = draw(st.integers(2, 7))
    sizes = draw(st.lists(st.integers(count, 25), min_size=2, max_size=6))
    labels = [label for label, size in enumerate(sizes) for _ in range(size)]
    return draw(st.permutations(labels)), count


@settings(max_examples=examples(60), deadline=None)
@given(labelled(), st.integers(0, 2**32 - 1))
def test_folds_are_those_of_scikit_learn(given: tuple[list[int], int], seed: int) -> None:
    labels, count = given
    found = np.asarray(fold_of_images(labels, count, seed))
    theirs = StratifiedKFold(count, shuffle=True, random_state=seed)
    parts = theirs.split(np.zeros(len(labels)), labels)
    for index, (train, held) in enumerate(parts, start=1):
        assert np.flatnonzero(found == index).tolist() == held.tolist()
        assert np.flatnonzero(found != index).tolist() == train.tolist()


def test_the_images_that_are_not_test_are_divided_as_scikit_learn_divides_them() -> None:
    plain = split_images(LABELS, NAMES, (), 0.25, 0.2, 3)
    left = np.asarray(sorted({*range(len(LABELS))} - {*plain["test"]}))
    theirs = StratifiedKFold(4, shuffle=True, random_state=3)
    parts = theirs.split(left, np.asarray(LABELS)[left])
    for index, (train, held) in enumerate(parts, start=1):
        found = splits(index)
        assert found["train"] == left[train].tolist()
        assert found["val"] == left[held].tolist()
        assert found["test"] == plain["test"]


def test_each_image_is_validation_in_one_fold() -> None:
    held = [index for number in range(1, 5) for index in splits(number)["val"]]
    assert sorted(held) == sorted({*range(len(LABELS))} - {*splits(1)["test"]})
    counts = [Counter(LABELS[index] for index in splits(number)["val"]) for number in range(1, 5)]
    for label in range(3):
        of_class = [count[label] for count in counts]
        assert max(of_class) - min(of_class) <= 1


def test_each_image_is_test_in_one_fold_where_folds_are_test() -> None:
    parts = [splits(number, held_out="test") for number in range(1, 5)]
    assert sorted(index for part in parts for index in part["test"]) == [*range(len(LABELS))]
    for part in parts:
        assert sorted(index for each in part.values() for index in each) == [*range(len(LABELS))]
        assert len(part["val"]) == -(-len(LABELS[: len(LABELS) - len(part["test"])]) // 4)


def test_official_test_images_stay_what_they_are() -> None:
    official: list[Split] = ["test" if index % 3 == 0 else "train" for index in range(len(LABELS))]
    for number in (1, 2, 3):
        found = split_images(LABELS, NAMES, official, 0.2, 0.0, 0, None, Folding(fold(number, 3)))
        assert found["test"] == [index for index in range(len(LABELS)) if index % 3 == 0]
        assert len(found["val"]) in (15, 16)


def test_another_seed_draws_other_folds() -> None:
    assert splits(1, test=0.0, seed=0)["val"] != splits(1, test=0.0, seed=1)["val"]


def test_a_sample_of_the_training_images_leaves_the_fold_as_it_is() -> None:
    whole = splits(2)
    sampled = split_images(LABELS, NAMES, (), 0.25, 0.2, 3, 10, Folding(fold(2)))
    assert (sampled["val"], sampled["test"]) == (whole["val"], whole["test"])
    assert set(sampled["train"]) < set(whole["train"])
    assert len(sampled["train"]) == 10


def test_a_class_with_fewer_images_than_folds_is_refused_by_name() -> None:
    labels = [0] * 20 + [1] * 3
    with pytest.raises(TooFewForFolds, match="class 'b' has 3 images left; 4 folds need at least"):
        split_images(labels, NAMES, (), 0.2, 0.0, 0, None, Folding(fold(1)))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(UserWarning, match="least populated class"):
            list(StratifiedKFold(4).split(labels, labels))
    assert issubclass(TooFewForFolds, UnsplittableError)


@pytest.mark.parametrize("values", [{"index": 0, "of": 3}, {"index": 4, "of": 3}, {"index": 1}])
def test_a_fold_is_one_of_several(values: dict[str, int]) -> None:
    with pytest.raises(ValidationError):
        Fold.model_validate(values)


def test_the_sizes_of_splits_are_foreseen() -> None:
    data = Synthetic.model_validate({"dataset": "synthetic", "test": 0.2, "fold": fold(1, 4)})
    assert data.split_sizes(100, {}) == {"train": 60.0, "val": 20.0, "test": 20.0}
    assert (data.has_validation(), data.has_test()) == (True, True)
    tested = fold(1, 4, "test")
    data = Synthetic.model_validate({"dataset": "synthetic", "validation": 0.2, "fold": tested})
    assert data.split_sizes(100, {}) == {"train": 60.0, "val": 15.0, "test": 25.0}


def test_a_fold_leaves_the_decoded_pixels_alone() -> None:
    plain = Synthetic.model_validate({"dataset": "synthetic"})
    folded = plain.model_copy(update={"fold": fold(1)})
    assert folded.pixel_settings() == plain.pixel_settings()
    assert folded.source_settings() == plain.source_settings()
