"""Folders called train, val and test: read as splits, or refused with both readings."""

import hashlib
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from examples import examples
from hypothesis import given, settings
from hypothesis import strategies as st

from runner.components.data.dataset import DataAccess, ImageSource
from runner.components.data.finding import MissingData
from runner.components.data.imagefolder import ImageFolder
from runner.components.data.invalid import UnknownClasses
from runner.components.data.listing import SharedFolder
from runner.components.data.split_folders import SPLIT_OF, SplitFolders
from runner.components.data.split_paths import SplitPaths

PARTS = ("Train", "val", "test")
INSIDE = ("cat/a.png", "dog/a.png", "dog/c.png")


def touch(root: Path, *names: str) -> None:
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(name.encode())


def build(root: Path | SplitPaths, **choices: Any) -> ImageSource:
    def hash_files(root: Path, names: Any) -> list[str]:
        return [hashlib.sha256((root / name).read_bytes()).hexdigest() for name in names]

    path = root if isinstance(root, SplitPaths) else str(root)
    data = ImageFolder(dataset="imagefolder", path=path, **choices)
    return data.build(DataAccess((), hash_files))


@pytest.fixture
def split(tmp_path: Path) -> Path:
    root = tmp_path / "split"
    touch(root, *[f"{part}/{name}" for part in PARTS for name in INSIDE])
    return root


def test_folders_called_like_splits_are_the_splits(split: Path) -> None:
    touch(split, "notes/read.txt", ".val/cat/a.png", "loose.png")
    source = build(split)
    assert source.classes == ("cat", "dog")
    assert source.names == tuple(f"{part}/{name}" for part in PARTS for name in INSIDE)
    assert source.labels == (0, 1, 1) * 3
    assert source.splits == ("train",) * 3 + ("val",) * 3 + ("test",) * 3
    assert source.root == split
    assert source.notes == (
        f"splits of {split}: Train (3 training images), val (3 validation images),"
        " test (3 test images); 2 classes: cat, dog",
    )


@pytest.mark.parametrize(
    ("parts", "splits"),
    [
        (("training", "VALIDATION"), {"train", "val"}),
        (("TRAIN", "Testing"), {"train", "test"}),
        (("train", "valid"), {"train", "val"}),
        (("train",), {"train"}),
    ],
)
def test_what_lacks_is_said_to_be_drawn(tmp_path: Path, parts: Any, splits: set[str]) -> None:
    touch(tmp_path / "set", *[f"{part}/{name}" for part in parts for name in INSIDE])
    source = build(tmp_path / "set")
    assert set(source.splits) == splits
    drawn = {"val": "validation", "test": "test"}
    said = " and ".join(word for split, word in drawn.items() if split not in splits)
    assert source.notes[0].endswith(f"; {said} images are drawn from {parts[0]}")


def test_images_are_read_from_their_split(tmp_path: Path) -> None:
    from PIL import Image

    for level, part in enumerate(PARTS):
        for number in range(level + 1):
            path = tmp_path / "set" / part / "cat" / f"{number}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.new("L", (1, 1), 10 * level + number).save(path)
    source = build(tmp_path / "set")
    levels = [source.read(index).getpixel((0, 0)) for index in range(6)]
    assert levels == [0, 10, 11, 20, 21, 22]


def test_choices_are_made_in_each_split(split: Path) -> None:
    source = build(split, include=("dog",), per_class=1)
    assert source.classes == ("dog",)
    assert source.names == tuple(f"{part}/dog/a.png" for part in PARTS)


def test_class_to_include_must_have_training_images(split: Path) -> None:
    touch(split, "val/cow/a.png")
    with pytest.raises(UnknownClasses, match="cow") as caught:
        build(split, include=("cat", "cow"))
    assert caught.value.classes == ("cat", "dog")
    assert build(split, include=("cat",)).classes == ("cat",)


def test_split_without_an_included_class_is_missing(tmp_path: Path) -> None:
    touch(tmp_path, "train/cat/a.png", "train/dog/b.png", "val/cat/c.png")
    with pytest.raises(MissingData, match=r"no images in class folders under .*val"):
        build(tmp_path, include=("dog",))


def test_class_without_training_images_is_named(split: Path) -> None:
    touch(split, "val/Dogs/a.png", "val/cow/a.png", "test/cow/a.png")
    with pytest.raises(SplitFolders) as caught:
        build(split)
    assert str(caught.value) == (
        f"the splits of {split} do not have the same classes\n"
        "    in val, not in Train: Dogs, cow\n"
        "    in test, not in Train: cow\n"
        "    Dogs looks like dog"
    )
    assert caught.value.hint == (
        "give each split the same class folders, or include: [Train, test, val] to say that"
        " these are the classes"
    )


def test_class_that_only_trains_is_noted(split: Path) -> None:
    touch(split, "Train/cow/a.png")
    assert build(split).notes[1:] == (
        f"{split}: val has no images of cow",
        f"{split}: test has no images of cow",
    )


def test_include_says_that_folders_are_classes(split: Path) -> None:
    source = build(split, include=("val", "test", "Train"))
    assert (source.classes, source.splits, source.notes) == (("Train", "test", "val"), (), ())
    assert build(split / "Train").classes == ("cat", "dog")
    assert build(split / "Train").splits == ()


def test_fingerprint_tells_the_readings_apart(split: Path) -> None:
    found = {build(split).fingerprint, build(split, include=("Train", "val", "test")).fingerprint}
    (split / "test").rename(split / "later")
    (split / "val").rename(split / "test")
    (split / "later").rename(split / "val")
    found.add(build(split).fingerprint)
    assert len(found) == 3


def test_fingerprint_stays_where_the_folder_is_moved(split: Path, tmp_path: Path) -> None:
    before = build(split).fingerprint
    split.rename(tmp_path / "moved")
    assert build(tmp_path / "moved").fingerprint == before
    touch(tmp_path / "moved", "val/dog/more.png")
    assert build(tmp_path / "moved").fingerprint != before


# splits that lie apart


def test_splits_that_lie_apart_are_those_of_one_folder(tmp_path: Path) -> None:
    for root, parts in (("one", ("train", "val", "test")), ("other", ("a", "b", "c"))):
        touch(tmp_path / root, *[f"{part}/{name}" for part in parts for name in INSIDE])
        for number, part in enumerate(parts):
            for name in INSIDE:
                (tmp_path / root / part / name).write_text(f"{number} {name}")
    paths = [str(tmp_path / "other" / part) for part in "abc"]
    whole, apart = (
        build(tmp_path / "one"),
        build(SplitPaths(train=paths[0], val=paths[1], test=paths[2])),
    )
    assert (apart.names, apart.labels, apart.splits) == (whole.names, whole.labels, whole.splits)
    assert apart.fingerprint == whole.fingerprint
    some = build(SplitPaths(train=paths[0], test=paths[2]))
    assert set(some.splits) == {"train", "test"}


@pytest.mark.parametrize("val", ["set", "set/dog", "link"])
def test_folder_of_two_splits_is_refused(tmp_path: Path, val: str) -> None:
    touch(tmp_path / "set", *INSIDE)
    (tmp_path / "link").symlink_to("set")
    with pytest.raises(SharedFolder, match=r"belongs to two splits: train is .*, val is "):
        build(SplitPaths(train=str(tmp_path / "set"), val=str(tmp_path / val)))


def test_split_that_lies_apart_has_no_splits_of_its_own(split: Path, tmp_path: Path) -> None:
    touch(tmp_path / "more", *INSIDE)
    with pytest.raises(SplitFolders, match="look like the parts of a split"):
        build(SplitPaths(train=str(split), val=str(tmp_path / "more")))


def test_link_from_one_split_to_another_is_refused(split: Path) -> None:
    (split / "val").rename(split / "old")
    (split / "val").symlink_to("Train")
    with pytest.raises(SharedFolder, match="Train and val"):
        build(split)


# what can be read in two ways


@pytest.mark.parametrize(
    ("names", "read", "hint"),
    [
        (
            ("test/a.png", "train/a.png"),
            "no classes; but the images lie in test, train themselves",
            "make one folder of images for each class, or include: [test, train] ",
        ),
        (
            ("train/a.png", "val/cat/a.png", "val/dog/a.png"),
            "2 classes: cat, dog; in train, val; but outside of class folders are 1 image in"
            " train itself",
            "write path: {root}/val to use that part alone, or include: [train, val] ",
        ),
        (
            ("cat/a.png", "train/cat/a.png", "test/cat/a.png"),
            "1 class: cat; in each of test, train; but cat is not called like a split",
            "write path: {{train: {root}/train, test: {root}/test}} to use these splits,"
            " path: {root}/train to use that part alone, or include: [cat, test, train] ",
        ),
        (
            ("train/cat/a.png", "val/cat/a.png", "Valid/cat/b.png"),
            "1 class: cat; in each of Valid, train, val; but Valid and val are both called val",
            "write path: {{train: {root}/train, val: {root}/Valid}} to use these splits,",
        ),
        (
            ("validation/cat/a.png", "test/cat/b.png"),
            "1 class: cat; in each of test, validation; but none of them is called train",
            "write path: {root}/validation to use that part alone, or",
        ),
    ],
    ids=["no classes", "loose images", "a class beside them", "two names", "no train"],
)
def test_both_readings_are_shown(
    tmp_path: Path, names: tuple[str, ...], read: str, hint: str
) -> None:
    root = tmp_path / "set"
    touch(root, *names)
    with pytest.raises(SplitFolders) as caught:
        build(root)
    first, as_classes, as_splits = str(caught.value).splitlines()
    assert first.startswith(f"class folders under {root} look like the parts of a split: ")
    assert as_classes.startswith("    read as classes: ")
    assert as_splits == f"    read as splits: {read}"
    assert caught.value.hint.startswith(hint.format(root=root))


@pytest.mark.parametrize(
    "names",
    [
        ("train/a.png", "testing/a.png"),
        ("TRAINING/a.png", "valid/a.png", "extra/a.png"),
        ("cat/a.png", "dog/a.png", "test/cat/a.png", "test/dog/a.png"),
        ("validation/cat/a.png", "validation/dog/a.png"),
        ("train/cat/a.png", "test/1.png", "test/2.png"),
    ],
    ids=["no classes in them", "others beside", "beside their own test", "one", "test unlabelled"],
)
def test_folders_that_look_like_a_split_are_refused(tmp_path: Path, names: tuple[str, ...]) -> None:
    touch(tmp_path / "set", *names)
    with pytest.raises(SplitFolders, match="look like the parts of a split"):
        build(tmp_path / "set")


def test_include_is_of_the_reading_that_has_its_classes(tmp_path: Path) -> None:
    quiz = ("quiz/a.png", "test/a.png")
    touch(tmp_path / "set", *[f"{part}/{name}" for part in ("train", "test") for name in quiz])
    assert set(build(tmp_path / "set", include=("quiz", "test")).splits) == {"train", "test"}
    assert build(tmp_path / "set", include=("test",)).splits == ()
    for include, classes in ((("quizz",), ("quiz", "test")), (("train", "x"), ("test", "train"))):
        with pytest.raises(UnknownClasses) as caught:
            build(tmp_path / "set", include=include)
        assert tuple(caught.value.classes) == classes
    touch(tmp_path / "set", "other/a.png")
    with pytest.raises(SplitFolders, match="other is not called like a split"):
        build(tmp_path / "set", include=("quiz",))
    with pytest.raises(UnknownClasses, match="no class is called quiz"):
        build(tmp_path / "set", include=("quiz", "other"))


@pytest.mark.parametrize(
    "names",
    [
        ("exam/a.png", "quiz/a.png", "test/a.png"),
        ("train/old/a.png", "plane/a.png", "ship/a.png"),
        ("tested/a.png", "trains/a.png"),
    ],
)
def test_class_of_such_a_name_among_others_is_a_class(
    tmp_path: Path, names: tuple[str, ...]
) -> None:
    touch(tmp_path / "set", *names)
    source = build(tmp_path / "set")
    assert (len(source.classes), source.splits) == (len(names), ())


# any folder


PIECES = st.sampled_from(["train", "Training", "val", "valid", "test", "cat", "dog", ".hidden"])
TREES = st.sets(
    st.lists(PIECES, min_size=1, max_size=3).map(lambda above: "/".join([*above, "a.png"])),
    min_size=1,
    max_size=6,
)


@settings(max_examples=examples(60), deadline=None)
@given(names=TREES)
def test_each_image_is_used_once_or_the_folder_refused(names: set[str]) -> None:
    with TemporaryDirectory() as folder:
        touch(Path(folder), *names)
        shown = {name for name in names if ".hidden" not in name}
        try:
            source = build(Path(folder))
        except (SplitFolders, MissingData):
            return
        assert sorted(source.names) == sorted(shown)
        for name, label, split in zip(
            source.names, source.labels, source.splits or [""] * 6, strict=False
        ):
            assert source.classes[label] == name.split("/")[1 if split else 0]
            if split:
                assert SPLIT_OF[name.split("/")[0].lower()] == split
