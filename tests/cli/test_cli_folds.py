"""`folds` from the spec to the table: a run a fold, one preparation, mean and deviation."""

from pathlib import Path
from statistics import fmean, stdev

import pytest
from commands import Call

from runner import api

SPEC = """\
name: folded
data: {dataset: synthetic, classes: 3, images: 60, height: 4, width: 4, test: 0.2}
model: {name: mlp, hidden: [4]}
train: {epochs: 2, batch_size: 16}
folds: 3
sweep: {grid: {lr: [0.01, 0.1]}}
tables:
  folded: {LR: lr, VAL: val_accuracy, TEST: {metric: test_accuracy, digits: 4}}
"""


@pytest.fixture
def spec(tmp_path: Path) -> Path:
    path = tmp_path / "folded.yaml"
    path.write_text(SPEC, encoding="utf-8")
    return path


def test_folds_share_the_prepared_images(spec: Path) -> None:
    stages = api.plan(spec, device="cpu").frame()["kind"].tolist()
    assert stages.count("prepare") == 1
    assert stages.count("train") == 6


@pytest.mark.slow
def test_a_table_has_mean_and_deviation_over_the_folds(spec: Path, call: Call) -> None:
    ran = call("run", spec, "--device", "cpu")
    assert ran.code == 0, ran.err
    assert "lr=0.01 fold=3 seed=0: done" in ran.err
    assert "mean ± sample standard deviation over 3 folds" in ran.out
    cells = api.list_runs().frame()
    assert cells[["position", "seed", "fold"]].values.tolist() == [
        [position, 0, fold] for position in (0, 1) for fold in (1, 2, 3)
    ]
    assert cells["run"].nunique() == 6
    table = api.report(spec=spec).frame()
    for position in (0, 1):
        measured = cells[cells["position"] == position]["val_accuracy"].tolist()
        row = table.iloc[position]
        assert row["VAL"] == pytest.approx(fmean(measured))
        assert row["VAL_std"] == pytest.approx(stdev(measured))
        assert row["VAL_n"] == 3
    again = call("run", spec, "--device", "cpu")
    assert (again.code, again.out.splitlines()[:4]) == (0, ran.out.splitlines()[:4])
    assert "done in" not in again.err


@pytest.mark.slow
def test_a_fold_is_named_shown_and_chosen(spec: Path, call: Call) -> None:
    chosen = ("--only", "data.fold.index=2", "--only", "lr=0.1")
    assert call("run", spec, "--device", "cpu", *chosen).code == 0
    done = [row["cell"] for row in api.list_runs().rows if row["status"] == "done"]
    assert done == ["folded:1:0:2"]
    shown = call("show", "folded:1:0:2")
    assert "--only lr=0.1 --only seed=0 --only data.fold.index=2" in shown.out
    which = call("show", "folded:1:0")
    assert which.code == 2
    assert "'folded:1:0' has 3 folds; which one?" in which.err
    assert "folded:1:0:1, folded:1:0:2, folded:1:0:3" in which.err
    assert call("show", "folded:1:0:4").err.startswith("error: no run 'folded:1:0:4'")
    none = call("run", spec, "--only", "lr=7")
    assert "lr: 0.01, 0.1" in none.err


@pytest.mark.slow
def test_each_image_is_tested_once_where_folds_are_test(spec: Path, call: Call) -> None:
    spec.write_text(SPEC.replace("folds: 3", "folds: {of: 3, held_out: test}\nseeds: [0, 1]")
                    .replace(", test: 0.2", ""))  # fmt: skip
    ran = call("run", spec, "--device", "cpu", "--only", "lr=0.1")
    assert ran.code == 0, ran.err
    names: list[str] = []
    for fold in (1, 2, 3):
        kept = api.predictions(f"folded:1:0:{fold}", "test")
        names += kept.frame()["image"].tolist()
    assert len(names) == len(set(names)) == 60
    printed = call("report", spec)
    assert "over 3 folds of 2 seeds" in printed.out
