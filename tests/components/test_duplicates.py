"""Images of equal content in several splits or under several labels."""

from hypothesis import given
from hypothesis import strategies as st

from runner.components.data.duplicates import (
    duplicates,
    in_several_splits,
    under_several_labels,
)
from runner.components.data.splitting import SPLITS, Split


@given(st.lists(st.integers(0, 8).map(str), max_size=20))
def test_duplicates_are_the_groups_of_equal_contents(digests: list[str]) -> None:
    expected = {
        tuple(index for index, other in enumerate(digests) if other == digest)
        for digest in digests
        if digests.count(digest) > 1
    }
    assert set(map(tuple, duplicates(digests))) == expected


def names(count: int) -> list[str]:
    return [f"{index}.png" for index in range(count)]


def notes_of(groups: list[list[int]], **splits: list[int]) -> list[str]:
    every: dict[Split, list[int]] = {split: splits.get(split, []) for split in SPLITS}
    return list(in_several_splits(groups, every, names(40)))


def test_one_image_of_each_split_is_named() -> None:
    assert notes_of([[0, 1, 2, 3], [4, 5]], train=[0, 1, 4, 5], val=[3], test=[2]) == [
        "1 image is in several splits, byte for byte: 0.png (train) and 3.png (val) and 2.png"
        " (test)"
    ]


def test_images_that_no_split_has_do_not_count() -> None:
    assert notes_of([[0, 1], [2, 3]], train=[0, 2, 3], val=[9]) == []


def test_of_many_the_first_are_named() -> None:
    groups = [[index, index + 20] for index in range(7)]
    (note,) = notes_of(groups, train=list(range(20)), test=list(range(20, 40)))
    assert note.startswith(
        "7 images are in several splits, byte for byte: 0.png (train) and 20.png"
    )
    assert note.endswith("4.png (train) and 24.png (test); … and 2 more")


def test_labels_of_equal_images_are_compared() -> None:
    assert list(under_several_labels([[0, 1], [2, 3, 4]], [0, 0, 1, 0, 1], names(5))) == [
        "1 image has several labels, byte for byte: 2.png and 3.png"
    ]
    assert list(under_several_labels([[0, 1]], [1, 1], names(2))) == []
