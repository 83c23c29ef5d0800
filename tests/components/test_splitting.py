"""Samples of the training images: nested, in proportion, drawn after the other splits."""

from collections import Counter

import pytest
from examples import examples
from hypothesis import given, settings
from hypothesis import strategies as st

from runner.components.data.splitting import TooFewTrainingImages, split_images
from runner.components.data.synthetic import Synthetic

CLASSES = [str(label) for label in range(12)]
SIZES = st.lists(st.integers(2, 40), min_size=1, max_size=12)


def labels_of(sizes: list[int]) -> list[int]:
    return [label for label, size in enumerate(sizes) for _ in range(size)]


def training(sizes: list[int], count: int | None, seed: int = 0) -> list[int]:
    return split_images(labels_of(sizes), CLASSES, (), 0.0, 0.0, seed, count)["train"]


@settings(max_examples=examples(80))
@given(sizes=SIZES, more=st.integers(0, 300), seed=st.integers(0, 5))
def test_sample_has_its_size_and_every_class_in_proportion(
    sizes: list[int], more: int, seed: int
) -> None:
    count, total = len(sizes) + more, sum(sizes)
    sample = training(sizes, count, seed)
    assert sample == sorted(set(sample))
    assert len(sample) == min(count, total)
    labels = labels_of(sizes)
    found = Counter(labels[index] for index in sample)
    assert set(found) == set(range(len(sizes)))
    if len(set(sizes)) == 1:
        assert max(found.values()) - min(found.values()) <= 1


@settings(max_examples=examples(40))
@given(sizes=SIZES, counts=st.tuples(st.integers(0, 99), st.integers(0, 99)))
def test_smaller_sample_is_part_of_a_larger_one(sizes: list[int], counts: tuple[int, int]) -> None:
    few, many = sorted(len(sizes) + each for each in counts)
    assert set(training(sizes, few)) <= set(training(sizes, many))


def test_classes_of_unequal_size_keep_their_shares() -> None:
    found = Counter(labels_of([800, 400, 40])[index] for index in training([800, 400, 40], 124))
    assert found == {0: 80, 1: 40, 2: 4}


def test_sample_is_drawn_with_the_split_seed() -> None:
    samples = [tuple(training([30, 30], 10, seed)) for seed in (0, 0, 1)]
    assert samples[0] == samples[1] != samples[2]
    assert samples[0] != tuple(range(10))


@pytest.mark.parametrize("count", [100, 60, None])
def test_train_images_as_many_as_there_are_is_all_of_them(count: int | None) -> None:
    assert training([30, 30], count) == list(range(60))


def test_validation_and_test_images_stay_what_they_are() -> None:
    labels = labels_of([30, 30, 30])
    plain, sampled = (
        Synthetic(dataset="synthetic", train_images=count).split(labels, CLASSES, ())
        for count in (None, 7)
    )
    assert (sampled["val"], sampled["test"]) == (plain["val"], plain["test"])
    assert len(sampled["train"]) == 7
    assert set(sampled["train"]) < set(plain["train"])


def test_train_images_fewer_than_classes_are_refused() -> None:
    with pytest.raises(TooFewTrainingImages, match="train_images is 2, but"):
        training([30, 30, 30], 2)
