"""`--only` chooses before anything is looked at: what is left out needs no data and no weights."""

import json
import shutil
from pathlib import Path

import pytest
from commands import Call
from pictures import draw_classes

SPEC = """\
name: mixed
data: {dataset: synthetic, classes: 3, images: 60, height: 8, width: 8}
model: {name: mlp, hidden: [4]}
train: {epochs: 1, batch_size: 16}
sweep:
  rows:
    - {label: first, lr: 0.1}
    - {label: other data, data: {dataset: imagefolder, path: photos}, published: {TEST_ACC: 0.9}}
    - {label: other weights, model: {name: squeezenet1_1, weights: IMAGENET1K_V1}}
tables:
  mixed: {WHICH: label, DATA: data, NET: model, TEST_ACC: test_accuracy}
"""


@pytest.fixture(autouse=True)
def _enter_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    (tmp_path / "mixed.yaml").write_text(SPEC)


def rows_of(call: Call, table: str = "mixed") -> dict[str, dict]:
    text = call("report", "--table", table, "--format", "json").out
    return {row["WHICH"]: row for row in json.loads(text)["rows"]}


@pytest.mark.slow
def test_only_one_row_runs_without_what_others_need(call: Call) -> None:
    assert call("run", "mixed.yaml", "--no-download").code == 2
    assert not Path("results.db").exists()
    ran = call("run", "mixed.yaml", "--only", "first", "--no-download")
    assert ran.code == 0
    assert "1 run: 1 done" in ran.err
    rows = rows_of(call)
    assert [row["status"] for row in rows.values()] == ["done", "unfinished", "unfinished"]
    assert [row["DATA"] for row in rows.values()] == ["synthetic", "imagefolder", "synthetic"]
    assert [row["NET"] for row in rows.values()] == ["mlp", "mlp", "squeezenet1_1"]
    assert rows["other data"]["TEST_ACC_published"] == 0.9
    listed = json.loads(call("list", "--format", "json").out)
    assert [row["run"] is None for row in listed] == [False, True, True]
    assert call("list").out.splitlines()[2].split()[:3] == ["mixed:1:0", "–", "unfinished"]


@pytest.mark.slow
@pytest.mark.parametrize(
    "words", [["plan"], ["validate", "--deep"], ["plan", "--probe"]], ids=" ".join
)
def test_only_restricts_other_commands_to_the_chosen_cells(call: Call, words: list[str]) -> None:
    found = call(*words, "mixed.yaml", "--only", "first")
    assert (found.code, found.err) == (0, "")
    assert "missing" not in found.out
    other = call(*words, "mixed.yaml", "--only", "other data")
    assert "missing data set imagefolder" in other.out + other.err
    assert "missing weights" not in other.out + other.err


def test_validate_shows_the_chosen_cells(call: Call) -> None:
    assert "mixed: 1 cell, 1 run" in call("validate", "mixed.yaml", "--only", "first").out
    resolved = call("validate", "mixed.yaml", "--only", "other data", "--resolved").out
    assert [line for line in resolved.splitlines() if line[0] != " "] == ["mixed:1:0"]


@pytest.mark.slow
def test_verify_compares_runs_of_the_chosen_cells(call: Call) -> None:
    verified = call("verify", "mixed.yaml", "--only", "first")
    assert verified.code == 0
    assert verified.out.startswith("first seed=0 (")
    assert len(verified.out.splitlines()) == 1


@pytest.mark.slow
def test_cell_without_a_run_is_shown_and_compared(call: Call) -> None:
    call("run", "mixed.yaml", "--only", "first")
    shown = call("show", "mixed:1:0").out
    assert shown.startswith(
        "run       not known until its data is looked at\ncell      mixed:1:0  "
    )
    for part in ('  data.dataset: "imagefolder"', "status    unfinished"):
        assert f"\n{part}\n" in shown
    assert "--only 'label=other data'" in shown
    found = json.loads(call("diff", "mixed:0:0", "mixed:1:0", "--format", "json").out)
    (status,) = [each for each in found if each["name"] == "status"]
    assert (status["first"], status["second"]) == ("done", "unfinished")


@pytest.mark.slow
def test_row_that_is_left_out_keeps_what_was_recorded_for_it(tmp_path: Path, call: Call) -> None:
    draw_classes(tmp_path / "photos", {"a": 9, "b": 9})
    call("run", "mixed.yaml", "--only", "other data")
    call("run", "mixed.yaml", "--only", "first")
    before = rows_of(call)
    assert [row["status"] for row in before.values()] == ["done", "done", "unfinished"]
    shutil.rmtree(tmp_path / "photos")
    (tmp_path / "mixed.yaml").write_text(SPEC.replace("label: other data", "label: photos"))
    call("run", "mixed.yaml", "--only", "first", "--rerun")
    after = rows_of(call)
    assert after["photos"]["TEST_ACC"] == before["other data"]["TEST_ACC"]
    (tmp_path / "mixed.yaml").write_text(SPEC.replace("path: photos", "path: photos, per_class: 5"))
    call("run", "mixed.yaml", "--only", "first")
    assert rows_of(call)["other data"]["status"] == "unfinished"


SHARED = """\
name: shared
data: {dataset: imagefolder, path: photos, validation: 0.25}
model: {name: mlp, hidden: [4]}
train: {epochs: 1, batch_size: 8}
sweep:
  rows: [{label: slow, lr: 0.01}, {label: fast, lr: 0.1, train_images: 8}, {label: again, lr: 0.01}]
tables:
  shared: {WHICH: label, VAL: val_accuracy}
"""


@pytest.mark.slow
def test_results_of_images_that_have_changed_do_not_stay(tmp_path: Path, call: Call) -> None:
    """Beside a row of the new images, a number of the old ones would pass for one of the new."""
    draw_classes(tmp_path / "photos", {"a": 9, "b": 9})
    Path("shared.yaml").write_text(SHARED)
    assert "2 runs: 2 done" in call("run", "shared.yaml").err
    draw_classes(tmp_path / "new", {"a": 12, "b": 9})
    shutil.rmtree(tmp_path / "photos")
    (tmp_path / "new").rename(tmp_path / "photos")
    call("run", "shared.yaml", "--only", "slow")
    statuses = {label: row["status"] for label, row in rows_of(call, "shared").items()}
    assert statuses == {"slow": "done", "fast": "unfinished", "again": "done"}
    assert "(1 of them before)" in call("run", "shared.yaml").err


@pytest.mark.slow
def test_specs_without_a_chosen_cell_are_recorded_beside_others(call: Call) -> None:
    Path("shared.yaml").write_text(SHARED)
    ran = call("run", "mixed.yaml", "shared.yaml", "--only", "first")
    assert ran.code == 0
    assert [row["status"] for row in rows_of(call, "shared").values()] == ["unfinished"] * 3
