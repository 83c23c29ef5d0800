"""Folds of groups: scikit-learn's, no group in two folds, read from a column of a table."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import sklearn
from examples import examples
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from sklearn.model_selection import StratifiedGroupKFold

from runner.components.data.dataset import DataAccess, ImageSource
from runner.components.data.folds import Fold, Folding
from runner.components.data.group_folds import fold_of_grouped
from runner.components.data.invalid import InvalidData
from runner.components.data.splitting import TooFewForFolds, split_images
from runner.components.data.table import Table, TableColumns

CLASSES = ("a", "b", "c")


def folding(index: int, of: int, groups: Any, held_out: str = "validation") -> Folding:
    values = {"index": index, "of": of, "held_out": held_out}
    return Folding(Fold.model_validate(values), groups)


@st.composite
def grouped(draw: st.DrawFn) -> tuple[list[int], list[str], int]:
    """Draw labels and groups of images, with enough of both for the folds."""
    count = draw(st.integers(2, 5))
    images = draw(
        st.lists(st.tuples(st.integers(0, 3), st.integers(0, 30)), min_size=12, max_size=150)
    )
    labels = [label for label, _ in images]
    groups = [f"patient {group}" for _, group in images]
    assume(min(labels.count(label) for label in set(labels)) >= count)
    assume(len(set(groups)) >= count)
    assume(len(set(labels)) > 1)
    return labels, groups, count


@pytest.mark.slow
@pytest.mark.skipif(
    tuple(map(int, sklearn.__version__.split(".")[:2])) < (1, 8),
    reason="StratifiedGroupKFold of scikit-learn shuffles otherwise before 1.8",
)
@settings(max_examples=examples(300), deadline=None)
@given(grouped(), st.integers(0, 2**32 - 1))
def test_folds_of_groups_are_those_of_scikit_learn(
    drawn: tuple[list[int], list[str], int], seed: int
) -> None:
    labels, groups, count = drawn
    found = np.asarray(fold_of_grouped(labels, groups, count, seed))
    theirs = StratifiedGroupKFold(count, shuffle=True, random_state=seed)
    parts = theirs.split(np.zeros(len(labels)), labels, groups)
    for index, (train, held) in enumerate(parts, start=1):
        assert np.flatnonzero(found == index).tolist() == held.tolist()
        assert np.flatnonzero(found != index).tolist() == train.tolist()
    for group in set(groups):
        own = [fold for fold, of in zip(found, groups, strict=True) if of == group]
        assert len(set(own)) == 1


@settings(max_examples=examples(300), deadline=None)
@given(
    st.lists(st.lists(st.integers(1, 40), min_size=3, max_size=3), min_size=2, max_size=10),
    st.integers(0, 2**32 - 1),
)
def test_groups_as_many_as_folds_are_the_folds(counts: list[list[int]], seed: int) -> None:
    labels: list[int] = []
    groups: list[str] = []
    for group, of_class in enumerate(counts):
        for label, count in enumerate(of_class):
            labels += [label] * count
            groups += [f"fold {group}"] * count
    found = fold_of_grouped(labels, groups, len(counts), seed)
    assert len(set(found)) == len(set(zip(groups, found, strict=True))) == len(counts)


@pytest.mark.parametrize("held_out", ["validation", "test"])
def test_no_group_is_in_training_and_in_what_is_held_out(held_out: str) -> None:
    labels = [index % 3 for index in range(90)]
    groups = [str(index // 3 % 11) for index in range(90)]
    name = "val" if held_out == "validation" else "test"
    seen: list[int] = []
    for index in (1, 2, 3):
        fold = folding(index, 3, groups, held_out)
        splits = split_images(labels, CLASSES, (), 0.0, 0.0, 5, None, fold)
        held = splits["val" if held_out == "validation" else "test"]
        assert not {groups[each] for each in held} & {groups[each] for each in splits["train"]}
        seen += splits["val" if name == "val" else "test"]
    assert sorted(seen) == [*range(90)]


def test_fewer_groups_than_folds_are_refused() -> None:
    labels, groups = [0, 1] * 10, ["x", "y"] * 10
    with pytest.raises(TooFewForFolds, match="of 2 groups, fewer than 3 folds"):
        split_images(labels, CLASSES, (), 0.0, 0.0, 0, None, folding(1, 3, groups))


def test_a_class_that_one_group_has_alone_is_refused() -> None:
    labels = [0] * 12 + [1] * 6
    groups = [str(index % 4) for index in range(12)] + ["only"] * 6
    told = []
    for index in (1, 2, 3):
        try:
            split_images(labels, CLASSES, (), 0.0, 0.0, 0, None, folding(index, 3, groups))
        except TooFewForFolds as error:
            told.append(str(error))
    assert len(told) == 1
    assert told[0].startswith("class 'b' is whole in fold ")


def build(home: Path, rows: list[str], **columns: Any) -> ImageSource:
    (home / "scans.csv").write_text("\n".join(rows) + "\n", encoding="utf-8")
    chosen = TableColumns(**columns)
    data = Table(dataset="table", path=str(home / "scans.csv"), columns=chosen)
    return data.build(DataAccess((), lambda root, names: [f"hash of {name}" for name in names]))


@pytest.fixture
def home(tmp_path: Path) -> Path:
    for name in ("1.png", "2.png", "3.png", "4.png"):
        (tmp_path / name).write_bytes(name.encode())
    return tmp_path


ROWS = ["path,label,patient", "4.png,b,P1", "1.png,a,P2", "3.png,b,P2", "2.png,a,P1"]


def test_groups_are_those_of_the_column_in_the_order_of_the_images(home: Path) -> None:
    source = build(home, ROWS, group="patient")
    assert source.names == ("1.png", "2.png", "3.png", "4.png")
    assert source.groups == ("P2", "P1", "P2", "P1")
    assert build(home, ROWS).groups == ()


def test_groups_are_in_the_key_and_other_columns_are_not(home: Path) -> None:
    plain, source = build(home, ROWS), build(home, ROWS, group="patient")
    other = [row.replace("P1", "P3") for row in ROWS]
    assert build(home, other).fingerprint == plain.fingerprint
    assert len({plain.fingerprint, source.fingerprint,
                build(home, other, group="patient").fingerprint}) == 3  # fmt: skip


def test_a_row_without_a_group_is_named(home: Path) -> None:
    with pytest.raises(InvalidData, match=r"no group: line 3"):
        build(home, [*ROWS[:2], "1.png,a,", *ROWS[3:]], group="patient")


def test_a_group_that_is_no_column_is_told_the_nearest(home: Path) -> None:
    with pytest.raises(InvalidData, match="has no column pateint") as raised:
        build(home, ROWS, group="pateint")
    assert raised.value.setting == "columns.group"
    assert raised.value.suggestion == "patient"


def test_a_group_in_several_splits_of_the_table_is_refused_by_row(home: Path) -> None:
    splits = ["split", "train", "train", "test", "train"]
    rows = [f"{row},{split}" for row, split in zip(ROWS, splits, strict=True)]
    with pytest.raises(InvalidData, match=r"several splits: P2 \(line 3 train, line 4 test\)"):
        build(home, rows, group="patient")
    assert build(home, rows).splits.count("test") == 1


def test_a_group_in_several_folders_that_are_splits_is_refused(tmp_path: Path) -> None:
    rows = ["path,label,patient"]
    for number, split in enumerate(("train", "train", "test", "test")):
        path = tmp_path / split / f"{number}.png"
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(b"image")
        rows.append(f"{split}/{number}.png,{'ab'[number % 2]},P{number // 3}")
    with pytest.raises(InvalidData, match=r"several splits: P0 \(line 2 train, line 4 test\)"):
        build(tmp_path, rows, group="patient")
