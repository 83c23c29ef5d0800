"""Splits as scikit-learn draws them; samples of the training images: nested, in proportion."""

import random
from collections import Counter

import pytest
from examples import examples
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.model_selection import train_test_split

from runner.components.data.splitting import (
    Split,
    TooFewTrainingImages,
    UnsplittableError,
    split_images,
)
from runner.components.data.synthetic import Synthetic

CLASSES = [str(label) for label in range(12)]
SIZES = st.lists(st.integers(2, 40), min_size=1, max_size=12)


def labels_of(sizes: list[int]) -> list[int]:
    return [label for label, size in enumerate(sizes) for _ in range(size)]


def training(sizes: list[int], count: int | None, seed: int = 0) -> list[int]:
    return split_images(labels_of(sizes), CLASSES, (), 0.0, 0.0, seed, count)["train"]


def by_scikit_learn(
    labels: list[int], test: float, validation: float, seed: int
) -> list[list[int]]:
    def taken(indices: list[int], fraction: float) -> tuple[list[int], list[int]]:
        strata = [labels[index] for index in indices]
        parts = train_test_split(indices, test_size=fraction, stratify=strata, random_state=seed)
        return sorted(parts[0]), sorted(parts[1])

    rest, tested = taken(list(range(len(labels))), test)
    return [*taken(rest, validation), tested]


@pytest.mark.slow
@settings(max_examples=examples(400), deadline=None)
@given(
    sizes=st.lists(st.integers(2, 60), min_size=1, max_size=40)
    | st.builds(lambda count, size: [size] * count, st.integers(1, 40), st.integers(2, 30)),
    test=st.sampled_from([0.01, 0.1, 0.2, 0.25, 0.5, 0.75, 0.99]) | st.floats(0.001, 0.999),
    validation=st.sampled_from([0.02, 0.1, 0.2, 0.25, 0.5, 0.9]) | st.floats(0.001, 0.999),
    seed=st.integers(0, 3) | st.integers(0, 2**32 - 1),
    order=st.randoms(use_true_random=False),
)
def test_split_is_that_of_scikit_learn(
    sizes: list[int], test: float, validation: float, seed: int, order: random.Random
) -> None:
    labels, classes = labels_of(sizes), [str(label) for label in range(len(sizes))]
    order.shuffle(labels)
    try:
        expected = by_scikit_learn(labels, test, validation, seed)
    except ValueError:
        with pytest.raises(UnsplittableError):
            split_images(labels, classes, (), validation, test, seed)
        return
    found = split_images(labels, classes, (), validation, test, seed)
    assert [found["train"], found["val"], found["test"]] == expected


@pytest.mark.parametrize("seed", [0, 1, 2**32 - 1])
def test_split_of_many_unequal_classes_is_that_of_scikit_learn(seed: int) -> None:
    labels = [label for label in range(101) for _ in range(31 + 7 * label % 90)]
    random.Random(seed).shuffle(labels)
    found = split_images(labels, [str(label) for label in range(101)], (), 0.2, 0.2, seed)
    expected = by_scikit_learn(labels, 0.2, 0.2, seed)
    assert [found["train"], found["val"], found["test"]] == expected


def test_split_that_leaves_no_image_of_a_class_says_what_it_needs() -> None:
    message = (
        r"60 images of 12 classes cannot be split with test: 0\.1: it takes 6 and leaves 54, and a"
        r" stratified split needs at least one of each class on both sides"
    )
    with pytest.raises(UnsplittableError, match=message):
        split_images(labels_of([5] * 12), CLASSES, (), 0.2, 0.1, 0)


def test_no_images_beside_the_official_test_images_are_an_error() -> None:
    official: list[Split] = ["test", "test"]
    with pytest.raises(UnsplittableError, match="0 images of 0 classes cannot be split with val"):
        split_images([0, 1], CLASSES, official, 0.2, 0.0, 0)


OFFICIAL: dict[tuple[Split, ...], str] = {
    ("train",): "drawn",
    ("train", "test"): "test is given",
    ("train", "val"): "val is given",
    ("train", "val", "test"): "both are given",
}


@pytest.mark.parametrize("parts", OFFICIAL, ids=OFFICIAL.values())
@pytest.mark.parametrize("sample", [None, 8])
def test_official_images_are_their_split_and_the_rest_is_drawn_from_train(
    parts: tuple[Split, ...], sample: int | None
) -> None:
    labels = labels_of([10] * 4) * len(parts)
    official = [part for part in parts for _ in range(40)]
    found = split_images(labels, CLASSES, official, 0.25, 0.2, 3, sample)
    train = list(range(40))
    expected = split_images(
        labels[:40],
        CLASSES,
        (),
        0.0 if "val" in parts else 0.25,
        0.0 if "test" in parts else 0.2,
        3,
        sample,
    )
    for split, images in expected.items():
        own = [index for index, part in enumerate(official) if part == split]
        if split == "train" or split not in parts:
            assert found[split] == images, split
            assert set(found[split]) <= set(train)
        else:
            assert found[split] == own
    sizes = Synthetic(
        dataset="synthetic", validation=0.25, test=0.2, train_images=sample
    ).split_sizes(len(labels), Counter(official))
    assert sizes == {split: len(images) for split, images in found.items()}


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
