"""Tables with a row for each image: read strictly, what is wrong named by row."""

import errno
import hashlib
import json
import os
import random
from pathlib import Path
from typing import Any

import pytest

from runner.components.data.dataset import DataAccess, ImageSource
from runner.components.data.finding import MissingData
from runner.components.data.imagefolder import ImageFolder
from runner.components.data.invalid import InvalidData, UnknownClasses
from runner.components.data.split_paths import SplitPaths
from runner.components.data.table import Table, TableColumns

ROWS = [("cat/a.png", "cat"), ("cat/b.png", "cat"), ("dog/a.png", "dog"), ("dog/c.png", "dog")]
NAMES = tuple(name for name, _ in ROWS)


def touch(root: Path, *names: str) -> None:
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(name.encode())


def access() -> DataAccess:
    def hash_files(root: Path, names: Any) -> list[str]:
        return [hashlib.sha256((root / name).read_bytes()).hexdigest() for name in names]

    return DataAccess((), hash_files)


def build(path: Path | SplitPaths, **choices: Any) -> ImageSource:
    given = path if isinstance(path, SplitPaths) else str(path)
    return Table(dataset="table", path=given, **choices).build(access())


def refused(path: Path | SplitPaths, **choices: Any) -> InvalidData:
    with pytest.raises(InvalidData) as caught:
        build(path, **choices)
    return caught.value


@pytest.fixture
def home(tmp_path: Path) -> Path:
    root = tmp_path / "pets"
    touch(root, *NAMES)
    return root


def write(home: Path, *lines: str, name: str = "pets.csv") -> Path:
    path = home / name
    path.parent.mkdir(exist_ok=True)
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def write_rows(home: Path, rows: Any = ROWS, head: str = "path,label") -> Path:
    return write(home, head, *[",".join(row) for row in rows])


def test_table_of_class_folders_has_their_images_in_their_order(home: Path) -> None:
    folder = ImageFolder(dataset="imagefolder", path=str(home)).build(access())
    rows = list(ROWS)
    random.Random(3).shuffle(rows)
    source = build(write_rows(home, rows))
    for name in ("names", "labels", "classes", "splits", "digests", "root", "notes"):
        assert getattr(source, name) == getattr(folder, name)


def as_parquet(path: Path, rows: list[dict[str, Any]]) -> None:
    arrow = pytest.importorskip("pyarrow")
    from pyarrow import parquet

    parquet.write_table(arrow.Table.from_pylist(rows), path)


@pytest.mark.parametrize("form", ["csv", "tsv", "jsonl", "parquet", "excel", "blank lines"])
def test_formats_of_equal_content_have_one_fingerprint(home: Path, form: str) -> None:
    before = build(write_rows(home)).fingerprint
    if form in ("csv", "excel", "blank lines"):
        lines = ["other,label,path", *[f'"1,\n""2""",{label},{name}' for name, label in ROWS]]
        text = ("\n\n" if form == "blank lines" else "\r\n").join(lines)
        path = home / "other.csv"
        path.write_bytes(text.encode("utf-8-sig" if form == "excel" else "utf-8"))
    elif form == "tsv":
        path = write(home, "label\tpath", *[f"{b}\t./{a}" for a, b in ROWS], name="a.tsv")
    elif form == "jsonl":
        rows = [json.dumps({"path": a, "extra": [1], "label": b}) for a, b in ROWS]
        path = write(home, *rows, name="a.jsonl")
    else:
        path = home / "a.parquet"
        as_parquet(path, [{"path": a, "label": b, "size": 1.5} for a, b in ROWS])
    assert build(path).fingerprint == before


def test_label_or_split_of_a_row_changes_the_fingerprint(home: Path) -> None:
    before = build(write_rows(home)).fingerprint
    other = [*ROWS[:3], ("dog/c.png", "cat")]
    found = {before, build(write_rows(home, other)).fingerprint}
    for splits in (("train", "test"), ("test", "train")):
        rows = [(*row, splits[number % 2]) for number, row in enumerate(ROWS)]
        found.add(build(write_rows(home, rows, "path,label,split")).fingerprint)
    assert len(found) == 4


def test_whole_numbers_are_classes_in_their_order_and_other_labels_in_that_of_text(
    home: Path,
) -> None:
    numbers = [(name, label) for name, label in zip(NAMES, ("10", "9", "9", "-1"), strict=True)]
    assert build(write_rows(home, numbers)).classes == ("-1", "9", "10")
    texts = [(name, label) for name, label in zip(NAMES, ("10", "9", "NA", "1.0"), strict=True)]
    source = build(write_rows(home, texts))
    assert source.classes == ("1.0", "10", "9", "NA")
    assert source.names == ("dog/c.png", "cat/a.png", "cat/b.png", "dog/a.png")
    rows = [{"path": name, "label": label} for name, label in zip(NAMES, (1, 0, 1, 0), strict=True)]
    path = write(home, *map(json.dumps, rows), name="a.jsonl")
    assert build(path).labels == (0, 0, 1, 1)


def test_columns_can_have_other_names(home: Path) -> None:
    path = write_rows(home, [(*row, "") for row in ROWS], "file,species,path")
    columns = TableColumns(path="file", label="species")
    assert build(path, columns=columns).fingerprint == build(write_rows(home)).fingerprint


def test_root_is_the_folder_of_the_paths_which_may_be_absolute(home: Path, tmp_path: Path) -> None:
    before = build(write_rows(home)).fingerprint
    path = write_rows(tmp_path / "tables", [(f"{home}/{name}", label) for name, label in ROWS])
    assert build(path, root=str(home)).fingerprint == before
    assert "outside of the folder: line 2" in str(refused(path))


@pytest.fixture
def official(home: Path) -> Path:
    words = ("training", "Val", "TRAIN", "test")
    touch(home, *[f"{word}/{name}" for word in words for name in NAMES])
    rows = [(f"{word}/{name}", label, word) for word in words for name, label in ROWS]
    return write_rows(home, rows, "path,label,split")


def test_column_split_says_the_official_splits(official: Path) -> None:
    source = build(official)
    assert source.splits == ("train",) * 8 + ("val",) * 4 + ("test",) * 4
    assert source.names[:2] == ("TRAIN/cat/a.png", "TRAIN/cat/b.png")
    assert source.names[-1] == "test/dog/c.png"
    assert source.notes == (
        f"splits of {official}: train (8 training images), val (4 validation images),"
        " test (4 test images); 2 classes: cat, dog",
    )


def test_folders_called_like_splits_are_splits_of_a_table_without_that_column(
    official: Path,
) -> None:
    before = build(official)
    lines = official.read_text().splitlines()
    metadata = write(official.parent, *[line.rpartition(",")[0] for line in lines])
    assert build(metadata).fingerprint == before.fingerprint
    below = [metadata.read_text().splitlines()[0]]
    below += [f"all/{line}" for line in metadata.read_text().splitlines()[1:]]
    touch(official.parent, *[line.split(",")[0] for line in below[1:]])
    assert build(write(official.parent, *below)).splits == before.splits


def test_folder_that_is_called_like_no_split_is_refused_beside_those_that_are(home: Path) -> None:
    names = ("train/1.png", "train/2.png", "dev/1.png", "2.png")
    touch(home, *names)
    rows = [(name, str(number % 2)) for number, name in enumerate(names)]
    error = refused(write_rows(home, rows))
    assert (
        "lie in train, which are called like splits, but these do not: line 4 (dev/1.png),"
        " line 5 (2.png)"
    ) in str(error)
    assert "column `split`" in error.hint
    assert build(write_rows(home, rows[:2])).splits == ()
    vehicles = [("train/1.png", "train"), ("dev/1.png", "car")]
    assert build(write_rows(home, vehicles)).classes == ("car", "train")


def test_folder_in_the_layout_of_hugging_face_is_read_as_it_is(tmp_path: Path) -> None:
    for part in ("train", "test"):
        touch(tmp_path / part, "1.png", "2.png")
        rows = [("1.png", "7"), ("2.png", "10")]
        write(tmp_path, "file_name,label", *map(",".join, rows), name=f"{part}/metadata.csv")
    source = build(tmp_path)
    assert source.names == ("train/1.png", "train/2.png", "test/1.png", "test/2.png")
    assert source.classes == ("7", "10")
    assert source.splits == ("train", "train", "test", "test")
    paths = SplitPaths(train=str(tmp_path / "train"), test=str(tmp_path / "test" / "metadata.csv"))
    assert build(paths).fingerprint == source.fingerprint
    whole = [f'{{"file_name": "{name}", "label": {number}}}' for name, number in zip(
        source.names, (7, 10, 7, 10), strict=True)]  # fmt: skip
    write(tmp_path, *whole, name="metadata.jsonl")
    assert "has a table itself, and others in test, train" in str(refused(tmp_path))
    (tmp_path / "train" / "metadata.csv").unlink()
    (tmp_path / "test" / "metadata.csv").unlink()
    assert build(tmp_path).names == source.names
    assert build(tmp_path).splits == source.splits


def test_tables_for_each_split_share_a_folder_or_lie_apart(home: Path, tmp_path: Path) -> None:
    train = write(home, "path,label", *map(",".join, ROWS), name="train.csv")
    touch(home, "new/1.png", "new/2.png")
    rows = ("new/1.png,dog,val", "new/2.png,cat,val")
    val = write(home, "path,label,split", *rows, name="val.csv")
    source = build(SplitPaths(train=str(train), val=str(val)))
    assert source.names == (*NAMES, "new/2.png", "new/1.png")
    assert source.splits == ("train",) * 4 + ("val",) * 2
    error = refused(SplitPaths(train=str(train), test=str(val)))
    assert "another split than test, which the table is: line 2 (val), line 3 (val)" in str(error)
    twice = str(refused(SplitPaths(train=str(train), val=str(train))))
    assert "name the same file: line 2 of train and line 2 of val (cat/a.png)" in twice
    (tmp_path / "other").mkdir()
    (home / "new").rename(tmp_path / "other" / "new")
    (home / "val.csv").rename(tmp_path / "other" / "val.csv")
    apart = build(SplitPaths(train=str(train), val=str(tmp_path / "other" / "val.csv")))
    assert apart.names == (*[f"train/{name}" for name in NAMES], "val/new/2.png", "val/new/1.png")
    assert apart.labels == source.labels


BAD_ROWS = """\
path,label,split
cat/a.png,cat,train
cat/gone.png,cat,train
,cat,train
../pets/cat/b.png,cat,train
dog/../cat/b.png,cat,train
cat,cat,train
dog/a.png,,train
dog/c.png, dog,train
cat/b.png,cat,tran
cat/b.png,cat,
"""


def test_everything_wrong_with_rows_is_told_at_once_by_row(home: Path) -> None:
    path = write(home, *BAD_ROWS.splitlines())
    error = refused(path)
    assert str(error) == (
        f"{path} has rows that cannot be used:\n"
        "    no path: line 4\n"
        "    a path outside of the folder: line 5 (../pets/cat/b.png), line 6 (dog/../cat/b.png)\n"
        "    not a regular file: line 7 (cat)\n"
        "    no label: line 8\n"
        "    a label that begins or ends with a space: line 9 (' dog')\n"
        "    an unknown split (allowed: train, val, test): line 10 (tran, looks like train)\n"
        "    no split: line 11\n"
        "    no such file: line 3 (cat/gone.png)"
    )
    assert error.hint == (
        f"files are looked for below {home}; data.root names another folder;"
        " data.on_corrupt: skip leaves out rows without a file"
    )


@pytest.mark.parametrize("name", ["a\x00.png", "a\x1b.png", "\ud800.png"])
def test_paths_that_no_file_can_have_are_refused(home: Path, name: str) -> None:
    path = write(home, json.dumps({"path": name, "label": "cat"}), name="a.jsonl")
    assert "cannot be printed: line 1" in str(refused(path))


def test_backslashes_in_paths_are_pointed_out(home: Path) -> None:
    error = refused(write_rows(home, [("cat\\a.png", "cat")]))
    assert "no such file: line 2" in str(error)
    assert error.hint.startswith("folders are separated by /; ")


def test_of_many_bad_rows_the_first_are_named(home: Path) -> None:
    error = refused(write(home, "path,label", *["nowhere.png,cat"] * 99))
    assert "line 11 (nowhere.png), … and 89 more" in str(error)


def test_rows_without_a_file_are_left_out_and_noted_where_corrupt_ones_are(home: Path) -> None:
    path = write_rows(home, [("gone.png", "cow"), *ROWS])
    source = build(path, on_corrupt="skip")
    assert source.names == NAMES
    assert source.notes == (f"left out of {path}, no such file: line 2 (gone.png)",)


@pytest.mark.parametrize("head", ["path,label,split", "path,label,other"])
def test_split_of_which_no_file_is_there_is_refused(home: Path, head: str) -> None:
    touch(home, "train/1.png", "train/2.png")
    rows = [(f"train/{number}.png", str(number), "train") for number in (1, 2, 3)]
    rows += [("test/1.png", "1", "test"), ("test/2.png", "2", "test")]
    path = write_rows(home, rows, head)
    with pytest.raises(InvalidData, match=r"no file of the test images of .* is there: line 5"):
        build(path, on_corrupt="skip")
    touch(home, "test/2.png")
    source = build(path, on_corrupt="skip")
    assert source.splits == ("train", "train", "test")
    assert source.notes[0].endswith("no such file: line 4 (train/3.png), line 5 (test/1.png)")


def test_table_of_which_no_file_is_there_is_refused(home: Path) -> None:
    path = write_rows(home, [("gone.png", "cat")])
    assert f"no file of {path} is there: line 2" in str(refused(path, on_corrupt="skip"))


def test_file_that_cannot_be_looked_at_is_not_missing(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write_rows(home)
    look = os.stat

    def failing(name: Any, *given: Any, **named: Any) -> os.stat_result:
        if str(name).endswith("b.png"):
            raise OSError(errno.EIO, "Input/output error", str(name))
        return look(name, *given, **named)

    monkeypatch.setattr(os, "stat", failing)
    with pytest.raises(OSError, match="Input/output"):
        build(path, on_corrupt="skip")


def test_file_that_is_there_twice_is_refused(home: Path) -> None:
    error = refused(write_rows(home, [*ROWS, ("cat//a.png", "dog")]))
    assert "name the same file: line 2 and line 6 (cat/a.png)" in str(error)


def test_label_without_training_images_is_refused_by_row(home: Path) -> None:
    rows = [(*row, "train") for row in ROWS[:3]] + [("dog/c.png", "dogg", "test")]
    error = refused(write_rows(home, rows, "path,label,split"))
    assert "no training image has:\n    dogg: line 5, looks like dog" in str(error)
    rows = [(*row, "test") for row in ROWS]
    assert "no training images" in str(refused(write_rows(home, rows, "path,label,split")))


def test_of_many_labels_without_training_images_the_first_are_named(home: Path) -> None:
    names = [f"test/{number}.png" for number in range(99)]
    touch(home, *names)
    rows = [(name, str(number), "test") for number, name in enumerate(names)]
    error = refused(write_rows(home, [("cat/a.png", "100", "train"), *rows], "path,label,split"))
    lines = str(error).splitlines()
    assert lines[1:3] == ["    0: line 3", "    1: line 4"]
    assert lines[10:] == ["    9: line 12", "    … and 89 more"]


def test_class_that_another_split_lacks_is_a_note(home: Path) -> None:
    rows = [(*row, "train") for row in ROWS[:3]] + [("dog/c.png", "dog", "test")]
    path = write_rows(home, rows, "path,label,split")
    assert build(path).notes == (
        f"splits of {path}: train (3 training images), test (1 test image); 2 classes: cat, dog;"
        " validation images are drawn from train",
        f"{path}: test has no images of cat",
    )


@pytest.mark.parametrize(
    ("head", "columns", "found", "setting"),
    [
        ("path,species", {}, "no column label", "columns.label"),
        ("path,lable", {}, "no column label", "columns.label"),
        ("file,label", {}, "no column path", "columns.path"),
        ("path,label", {"split": "zone"}, "no column zone", "columns.split"),
        ("path,label", {"path": "file"}, "no column file", "columns.path"),
        ("path,label,file_name", {}, "both columns path and file_name", "columns"),
        ("path,label,label", {}, "has columns that are there twice: label", "path"),
        ("path;label", {}, "no column path", "columns.path"),
    ],
)
def test_column_that_is_not_there_is_refused_with_those_that_are(
    home: Path, head: str, columns: dict[str, str], found: str, setting: str
) -> None:
    path = write(home, head, "cat/a.png,cat" + ",x" * (head.count(",") - 1))
    error = refused(path, columns=TableColumns(**columns))
    assert found in str(error)
    assert error.setting == setting
    if "no column" in found:
        assert error.allowed == head.replace(",", ", ")
        assert error.suggestion == ("lable" if "lable" in head else "")
    assert ("semicolons" in error.hint) == (";" in head)


@pytest.mark.parametrize(
    ("name", "text", "found"),
    [
        ("a.csv", b"", "has no column path"),
        ("a.csv", b"path,label\n", "has no rows"),
        ("a.csv", b"path,label\na.png\n", "a.csv:2: 1 values, but 2 columns"),
        ("a.csv", b"path,label\n\na.png,b,c\n", "a.csv:3: 3 values, but 2 columns"),
        ("a.csv", b'path,label\n"a.png,b\n', "a.csv:2: unexpected end of data"),
        ("a.csv", b"path,label\ncaf\xe9,b\n", "is not UTF-8"),
        ("a.jsonl", b"", "has no rows"),
        ("a.jsonl", b'{"path": "a"}\n{"path": \n', "a.jsonl:2: no JSON"),
        ("a.jsonl", b'{"path": "a", "path": "b"}\n', "a.jsonl:1: no JSON: a name is there twice"),
        ("a.jsonl", b"[" * 100_000 + b"\n", "a.jsonl:1: no JSON"),
        ("a.jsonl", b"[1]\n", "a.jsonl:1: a list in place of an object"),
        ("a.jsonl", b'{"path": "a", "label": 1.0}\n', "text nor whole numbers: line 1: a float"),
        ("a.jsonl", b'{"path": ["a"], "label": 1}\n', "text nor whole numbers: line 1: a list"),
        ("a.parquet", b"no parquet", "is no Parquet file that can be read"),
        ("a.xlsx", b"", "is no table"),
    ],
)
def test_file_that_is_no_such_table_is_refused(
    home: Path, name: str, text: bytes, found: str
) -> None:
    if name.endswith(".parquet"):
        pytest.importorskip("pyarrow")
    (home / name).write_bytes(text)
    assert found in str(refused(home / name))


def test_missing_values_are_no_labels(home: Path) -> None:
    rows = [json.dumps({"path": "cat/a.png"}), json.dumps({"path": "cat/b.png", "label": None})]
    assert "no label: line 1, line 2" in str(refused(write(home, *rows, name="a.jsonl")))
    path = home / "a.parquet"
    as_parquet(path, [{"path": "cat/a.png", "label": None}, {"path": "cat/b.png", "label": "b"}])
    assert "no label: row 1" in str(refused(path))


def test_parquet_without_its_library_says_what_to_install(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("runner.components.data.table_files.find_spec", lambda name: None)
    touch(home, "a.parquet")
    error = refused(home / "a.parquet")
    assert "pyarrow, which is not installed" in str(error)
    assert 'pip install "runner[parquet]"' in error.hint


def test_missing_tables_and_folders_are_named_at_their_settings(home: Path) -> None:
    train = str(write_rows(home))
    for choices, setting, found in (
        ({"path": str(home / "nowhere.csv")}, "path", "no file or folder"),
        ({"path": str(home)}, "path", "no metadata.csv or metadata.jsonl in"),
        ({"path": train, "root": str(home / "nowhere")}, "root", "no folder"),
        ({"path": SplitPaths(train=train, val="/nowhere")}, "path.val", "no file or folder"),
    ):
        with pytest.raises(MissingData, match=found) as caught:
            Table(dataset="table", **choices).build(access())  # type: ignore[arg-type]
        assert caught.value.setting == setting


def test_folders_with_several_tables_are_refused(home: Path) -> None:
    for name in ("metadata.csv", "metadata.jsonl"):
        write(home, "path,label", name=name)
    assert "has metadata.csv, metadata.jsonl" in str(refused(home))
    for name in ("metadata.csv", "metadata.jsonl"):
        (home / name).unlink()
    write(home, "path,label", name="train/metadata.csv")
    (home / "test").mkdir()
    assert "has tables in train, and no table in test" in str(refused(home))
    (home / "test").rmdir()
    write(home, "path,label", name="training/metadata.csv")
    assert "and two folders of one split" in str(refused(home))
    (home / "training" / "metadata.csv").unlink()
    (home / "training").rmdir()
    write(home, "path,label", name="dev/metadata.csv")
    assert "has tables in train, and one in dev, not called like a split" in str(refused(home))
    empty = SplitPaths(train=str(home))
    assert "no metadata.csv or metadata.jsonl in" in str(refused(empty))


def test_chosen_classes_and_images_are_those_of_the_same_rows_alone(home: Path) -> None:
    touch(home, "cow/a.png")
    rows = [(name, label, "train") for name, label in ROWS]
    rows += [("cow/a.png", "cow", "train"), ("cow/gone.png", "cow", "test")]
    table = write_rows(home, rows, "path,label,split")
    chosen = build(table, include=("dog", "cat"), per_class=1)
    alone = write_rows(home, [rows[0], rows[2]], "path,label,split")
    assert chosen.names == ("cat/a.png", "dog/a.png")
    assert chosen.fingerprint == build(alone).fingerprint


def test_images_of_a_class_are_chosen_in_each_split(home: Path) -> None:
    splits = ("train", "test", "train", "test")
    rows = [(*row, split) for row, split in zip(ROWS, splits, strict=True)]
    touch(home, "cat/0.png", "cat/c.png")
    rows += [("cat/c.png", "cat", "train"), ("cat/0.png", "cat", "test")]
    source = build(write_rows(home, rows, "path,label,split"), per_class=1)
    assert dict(zip(source.names, source.splits, strict=True)) == {
        "cat/a.png": "train",
        "dog/a.png": "train",
        "cat/0.png": "test",
        "dog/c.png": "test",
    }


def test_classes_that_no_row_has_are_refused_with_those_there_are(home: Path) -> None:
    with pytest.raises(UnknownClasses, match="no class is called cow") as caught:
        build(write_rows(home), include=("cat", "cow"))
    assert caught.value.classes == ("cat", "dog")
