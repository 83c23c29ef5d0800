"""The verbs for notebooks return DataFrames with the documented columns."""

import shutil
from pathlib import Path

import pandas as pd
import pytest
import torch

from runner import api
from runner.api.planning import make_plan
from runner.bind.request import Request
from runner.core.errors import SpecError, UsageError
from runner.store import reference

SPEC = """\
name: small
data: {dataset: synthetic, classes: 2, images: 40, height: 4, width: 4}
model: {name: mlp, hidden: [4]}
train: {epochs: 2, batch_size: 16}
seeds: [0, 1]
sweep:
  rows: [{lr: 0.01}, {lr: 0.1, published: {VAL: 0.5}}]
tables:
  small: {LR: lr, VAL: {metric: val_accuracy, at: max}}
  sizes: {LR: lr, WEIGHTS: parameters}
"""
CELL_COLUMNS = [
    "experiment",
    "variant",
    "position",
    "seed",
    "fold",
    "labels",
    "swept",
    "run",
    "status",
    "best_epoch",
    "last_epoch",
    "val_accuracy",
    "test_accuracy",
    "seconds",
]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with small.yaml and its finished database."""
    torch.set_num_threads(1)
    folder = tmp_path_factory.mktemp("api")
    (folder / "small.yaml").write_text(SPEC, encoding="utf-8")
    frame = api.run(folder / "small.yaml", db=folder / "results.db", device="cpu").frame()
    assert list(frame) == CELL_COLUMNS
    assert frame["status"].tolist() == ["done"] * 4
    return folder


@pytest.mark.slow
def test_list_runs_has_a_row_per_cell(folder: Path) -> None:
    frame = api.list_runs(db=folder / "results.db").frame()
    assert list(frame) == CELL_COLUMNS
    assert frame[["position", "seed"]].values.tolist() == [[0, 0], [0, 1], [1, 0], [1, 1]]
    with pytest.raises(UsageError, match="no experiment 'other'"):
        api.list_runs("other", db=folder / "results.db")


@pytest.mark.slow
def test_report_is_a_frame_of_the_declared_columns(folder: Path) -> None:
    frame = api.report("small", db=folder / "results.db").frame()
    assert list(frame) == [
        "LR",
        "VAL",
        "VAL_std",
        "VAL_n",
        "VAL_published",
        "VAL_difference",
        "status",
    ]
    assert frame["LR"].tolist() == [0.01, 0.1]
    cells = api.list_runs(db=folder / "results.db").frame()
    best = [api.show(run, db=folder / "results.db")["epochs"] for run in cells["run"]]
    highest = pd.Series([max(epoch["val_accuracy"] for epoch in epochs) for epochs in best])
    assert frame["VAL"].tolist() == pytest.approx(
        highest.groupby(cells["position"]).mean().tolist()
    )


@pytest.mark.slow
def test_report_asks_which_table_when_there_are_several(folder: Path) -> None:
    report = api.report(db=folder / "results.db")
    assert list(report.frames()) == ["small", "sizes"]
    with pytest.raises(UsageError, match="which table\\?\n    allowed: small, sizes"):
        report.frame()


def test_report_takes_a_spec_as_it_is_now(folder: Path, tmp_path: Path) -> None:
    spec = tmp_path / "small.yaml"
    spec.write_text(SPEC.partition("  sizes")[0].replace("LR: lr", "RATE: lr"))
    assert "RATE" in api.report(spec=spec, db=folder / "results.db").frame()


def test_validate_has_a_row_per_cell_and_setting(folder: Path) -> None:
    frame = api.validate(folder / "small.yaml").frame()
    assert list(frame) == ["experiment", "position", "seed", "fold", "setting", "value", "origin"]
    rates = frame[frame["setting"] == "train.optimizer.lr"]
    assert rates["value"].tolist() == [0.01, 0.01, 0.1, 0.1]
    assert rates["origin"].iloc[0].endswith("small.yaml:7:15")
    with pytest.raises(SpecError, match="no such file"):
        api.validate(folder / "nowhere.yaml")


def test_plan_has_a_row_per_stage_that_is_to_be_done(folder: Path) -> None:
    columns = ["stage", "kind", "epochs", "seconds", "num_bytes", "runs"]
    done = api.plan(folder / "small.yaml", db=folder / "results.db", device="cpu").frame()
    assert (len(done), list(done)) == (0, columns)
    planned = api.plan(
        folder / "small.yaml", sets=["epochs=3"], db=folder / "results.db", device="cpu"
    ).frame()
    assert list(planned) == columns
    assert planned["kind"].value_counts().to_dict() == {"train": 4, "evaluate": 4}
    assert planned[planned["kind"] == "train"]["seconds"].gt(0).all()


def test_show_has_all_of_a_run(folder: Path) -> None:
    record = api.show("small:1:0", db=folder / "results.db")
    assert record["settings"]["train"]["optimizer"]["lr"] == 0.1
    assert record["result"]["status"] == "done"
    assert [epoch["epoch"] for epoch in record["epochs"]] == [1, 2]
    assert {"train_loss", "val_accuracy"} <= set(record["epochs"][0])
    assert record["command"].startswith("runner run ")
    assert [attempt["kind"] for attempt in record["attempts"]] == ["prepare", "train", "evaluate"]


@pytest.fixture
def shipped(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The finished database as the reference, of which `small.yaml` is in the current folder."""
    path = tmp_path / "ships" / "results.db"
    path.parent.mkdir()
    shutil.copy(folder / "results.db", path)
    monkeypatch.setattr(reference, "REFERENCE_FILE", path)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "small.yaml").write_text(SPEC)
    return path


@pytest.mark.slow
def test_verbs_that_read_take_the_reference(shipped: Path, folder: Path) -> None:
    own = folder / "results.db"
    shipped_report, own_report = (api.report("small", db=db) for db in (api.REFERENCE, own))
    assert shipped_report.frame().equals(own_report.frame())
    assert api.list_runs(db=api.REFERENCE) == api.list_runs(db=own)
    pair = ("small:0:0", "small:1:0")
    assert api.diff(*pair, db=api.REFERENCE) == api.diff(*pair, db=own)
    shown = api.show("small:1:0", db=api.REFERENCE)
    assert shown["epochs"] == api.show("small:1:0", db=own)["epochs"]
    assert not Path("results.db").exists()


@pytest.mark.slow
def test_plan_and_run_count_the_reference_when_told(shipped: Path, folder: Path) -> None:
    assert api.plan("small.yaml", device="cpu").stages
    assert not api.plan("small.yaml", device="cpu", use_reference=True).stages
    frame = api.run("small.yaml", device="cpu", use_reference=True).frame()
    columns = ["run", "status", "val_accuracy", "test_accuracy", "seconds"]
    assert frame[columns].equals(api.list_runs(db=folder / "results.db").frame()[columns])
    assert not list(Path(".runner").rglob("*.safetensors"))


@pytest.mark.slow
def test_plan_says_why_a_done_stage_is_redone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "small.yaml").write_text(SPEC)
    api.run("small.yaml", limit=1)
    shutil.rmtree(tmp_path / ".runner" / "pixels")
    explained, _ = make_plan(Request("small.yaml"))
    (why,) = explained.decisions
    assert "is no longer whole on disk" in why.why
    assert explained.planned.stages == 1 + 3 * 2
