"""A table as a data set, on the command line: problems with their positions, and whole runs."""

from pathlib import Path

import pytest
from commands import Call
from pictures import draw_classes

from runner import api
from runner.components.data.dataset import DataAccess
from runner.components.data.table import Table

SPEC = """\
name: pets
data: {dataset: table, path: pets.csv, validation: 0.25, test: 0.25}
model: {name: mlp, hidden: [4]}
train: {epochs: 2}
"""


def write_table(folder: Path, **counts: int) -> Path:
    """Write images of two classes below ``folder``, and ``pets.csv`` with so many in each split."""
    lines = ["path,label,split"]
    for split, count in counts.items():
        draw_classes(folder / split, {"cat": count, "dog": count})
        for path in sorted((folder / split).rglob("*.png")):
            path.write_bytes(path.read_bytes() + str(path).encode())  # no two images are alike
            lines.append(f"{path.relative_to(folder).as_posix()},{path.parent.name},{split}")
    table = folder / "pets.csv"
    table.write_text("\n".join(lines) + "\n")
    return table


@pytest.fixture(autouse=True)
def table(tmp_path: Path) -> Path:
    Path("pets.yaml").write_text(SPEC)
    return write_table(tmp_path, train=12, val=5, test=3)


def problem(call: Call, *words: str) -> str:
    refused = call("validate", "pets.yaml", "--deep", *words)
    assert (refused.code, refused.out) == (2, "")
    return refused.err


def test_fractions_of_splits_of_a_table_are_refused_at_their_places(call: Call) -> None:
    assert problem(call) == (
        "error: pets.yaml:2:52: data.validation is 0.25, but the data set has 10 validation"
        " images of its own\n    hint: leave it out\n"
        "pets.yaml:2:64: data.test is 0.25, but the data set has 6 test images of its own\n"
        "    hint: leave it out\n"
    )


def test_bad_rows_are_told_at_the_path_of_the_table(table: Path, call: Call) -> None:
    lines = table.read_text().splitlines()
    table.write_text("\n".join([*lines[:2], "gone.png,cat,train", *lines[3:], lines[4][:-5]]))
    assert problem(call) == (
        f"error: pets.yaml:2:30: {table} has rows that cannot be used:\n"
        "    no split: line 42\n"
        "    no such file: line 3 (gone.png)\n"
        f"    hint: files are looked for below {table.parent}; data.root names another folder;"
        " data.on_corrupt: skip leaves out rows without a file\n"
    )


def test_wrong_column_is_told_at_its_name(table: Path, call: Call) -> None:
    Path("pets.yaml").write_text(SPEC.replace("csv,", "csv, columns: {label: lable},"))
    assert problem(call) == (
        f"error: pets.yaml:2:57: {table} has no column lable\n    did you mean: label\n"
        "    allowed: path, label, split\n    hint: name another: columns: {label: …}\n"
    )
    Path("pets.yaml").write_text(SPEC.replace("csv,", "csv, columns: {labels: label},"))
    assert call("validate", "pets.yaml").err == (
        "error: pets.yaml:2:50: unknown setting 'labels' in data.columns\n"
        "    did you mean: label\n    allowed: path, label, group, split\n"
    )


def test_table_or_root_that_is_not_there_is_missing_data(tmp_path: Path, call: Call) -> None:
    found = problem(call, "--set", "data.root=nowhere")
    assert found.startswith(
        "error: --set data.root=nowhere: missing data set table: no folder nowhere\n"
    )
    assert "hint: give the folder to which the paths in the table are relative" in found
    Path("pets.csv").unlink()
    refused = problem(call)
    assert refused.startswith(
        "error: pets.yaml:2:30: missing data set table: no file or folder pets.csv\n"
        f"    looked for: {tmp_path}/data/pets.csv, {tmp_path}/pets.csv\n"
    )
    planned = call("plan", "pets.yaml")
    assert planned.code == 0
    assert "keys provisional, since data is not there" in planned.out


@pytest.mark.slow
@pytest.mark.parametrize("split", ["val", "test", "none"])
def test_run_on_a_table_is_measured_on_its_splits(table: Path, call: Call, split: str) -> None:
    spec = SPEC
    if split == "none":
        lines = [line.rpartition(",")[0] for line in table.read_text().splitlines()]
        table.write_text("\n".join(line.replace("split", "") for line in lines))
        for part in ("train", "val", "test"):  # no longer called like splits
            Path(part).rename(f"of {part}")
            table.write_text(table.read_text().replace(f"\n{part}/", f"\nof {part}/"))
    else:
        spec = SPEC.replace(", validation: 0.25, test: 0.25", "")
    Path("pets.yaml").write_text(spec)
    assert call("run", "pets.yaml").code == 0
    if split == "none":
        data = Table(dataset="table", path=str(table.absolute()), validation=0.25, test=0.25)
        listed = data.list_rows(DataAccess((), lambda root, names: []))
        numbers = data.split(listed.labels, listed.classes, listed.splits)
        expected = {listed.names[number] for number in numbers["test"]}
        assert len(expected) == 10
        names = api.predictions("pets:0", "test").frame()["image"]
        assert set(names) == expected
        return
    names = api.predictions("pets:0", split).frame()["image"]
    assert {name.split("/")[0] for name in names} == {split}
    assert len(names) == {"val": 10, "test": 6}[split]


@pytest.mark.slow
def test_run_on_a_table_of_class_folders_is_that_on_the_folders(tmp_path: Path, call: Call) -> None:
    train = tmp_path / "train"
    rows = [f"{path.relative_to(tmp_path)},{path.parent.name}" for path in train.rglob("*.png")]
    (tmp_path / "pets.csv").write_text("\n".join(["path,label", *sorted(rows, reverse=True)]))
    found = []
    for name, root in (("table", "pets.csv"), ("imagefolder", "train")):
        spec = SPEC.replace("table", name).replace("pets.csv", root)
        Path(f"{name}.yaml").write_text(spec.replace("name: pets", f"name: {name}"))
        assert call("run", f"{name}.yaml").code == 0
        frame = api.predictions(f"{name}:0", "test").frame()
        frame["image"] = frame["image"].str.removeprefix("train/")
        found.append(frame.set_index("image").to_dict())
    assert found[0] == found[1]
    assert len(found[0]["label"]) == 6


def test_other_order_of_rows_and_other_columns_make_no_new_run(table: Path, call: Call) -> None:
    Path("pets.yaml").write_text(SPEC.replace(", validation: 0.25, test: 0.25", ""))
    before = call("plan", "pets.yaml", "--format", "json").out
    head, *rows = table.read_text().splitlines()
    table.write_text("\n".join([f"{head},age", *[f"{row},3" for row in reversed(rows)]]))
    keys = [line for line in before.splitlines() if '"key"' in line]
    after = call("plan", "pets.yaml", "--format", "json").out
    assert keys == [line for line in after.splitlines() if '"key"' in line]
    assert keys


def test_new_writes_a_spec_for_a_table_or_its_folder(table: Path, call: Call) -> None:
    assert call("new", "pets.csv", "--out", "new.yaml").code == 0
    lines = Path("new.yaml").read_text().splitlines()
    assert lines[:2] == ["name: pets", "data: {dataset: table, path: pets.csv}"]
    assert call("validate", "--deep", "new.yaml").code == 0
    text = table.read_text().replace("path,", "file_name,").replace(",split", ",note")
    lines = text.splitlines()
    head, rows = lines[0], [line for line in lines[1:] if line.startswith("train/")]
    Path("train/metadata.csv").write_text("\n".join([head, *rows]).replace("train/", ""))
    printed = call("new", "train", "--out", "-").out
    assert "name: train\ndata: {dataset: table, path: train, validation: 0.2, test: 0.2}" in printed
    assert "name: train\ndata: {dataset: table, path: train/metadata.csv," in (
        call("new", "train/metadata.csv", "--out", "-").out
    )
    Path("train/metadata.csv").write_text("species,age\ncat,9\n")
    assert "{dataset: imagefolder, path: train, v" in call("new", "train", "--out", "-").out


def test_new_tells_what_is_wrong_with_a_table(table: Path, call: Call) -> None:
    table.write_text("path,label\ngone.png,cat\n")
    refused = call("new", "pets.csv", "--out", "new.yaml")
    assert (refused.code, Path("new.yaml").exists()) == (2, False)
    assert "no such file: line 2 (gone.png)\n    hint: files are looked for below" in refused.err
    table.write_text("path,label\ntrain/cat/image 0.png,cat\n")
    refused = call("new", "pets.csv")
    assert refused.err == "error: pets.csv has 1 class\n    allowed: 2 or more\n"
    refused = call("new", "pets.yaml")
    assert refused.err == (
        "error: pets.yaml is no data set\n"
        "    allowed: a folder, a table (.csv, .tsv, .jsonl, .parquet) or arrays (.npz)\n"
    )
