"""CSV files of all that is recorded: whole, replaced as a whole, and nothing else's place."""

import csv
import json
from pathlib import Path

import pytest
from exported import DONE, record

from runner import api
from runner.core.errors import UsageError
from runner.report.trackers.csv_files import CsvTracker

pytestmark = pytest.mark.slow


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


@pytest.fixture
def exported(tmp_path: Path) -> Path:
    place = tmp_path / "numbers"
    api.export_records("csv", place=place, db=record(tmp_path))
    return place


def test_csv_export_has_a_row_for_each_run_with_a_record_and_says_how_it_ended(
    exported: Path,
) -> None:
    runs = rows(exported / "runs.csv")
    found = [(run["cell"], run["status"], run["message"], run["label.label"]) for run in runs]
    assert found == [
        ("grid:0:0", "done", "", "slow, =1"),
        ("grid:1:0", "diverged", "it diverged", "fast"),
        ("grid:1:1", "failed", "it failed", "fast"),
    ]
    assert runs[0]["result/best_epoch"] == "2"
    assert float(runs[0]["result/val_accuracy"]) == 0.75
    assert float(runs[0]["result/test_accuracy"]) == 0.7
    assert float(runs[0]["result/train_loss"]) == 0.5
    assert runs[1]["result/test_accuracy"] == ""


def test_csv_export_has_series_by_epoch_and_by_step_with_moments(exported: Path) -> None:
    key = rows(exported / "runs.csv")[0]["run_key"]
    epochs = [row for row in rows(exported / "epochs.csv") if row["run_key"] == key]
    accuracy = {
        row["epoch"]: float(row["value"]) for row in epochs if row["name"] == "val_accuracy"
    }
    assert accuracy == {"1": 0.5, "2": 0.75, "3": 0.625}
    moments = [float(row["moment"]) for row in epochs if row["name"] == "learning_rate"]
    assert [later - moments[0] for later in moments] == pytest.approx([0, 10, 20])
    steps = [row for row in rows(exported / "steps.csv") if row["run_key"] == key]
    assert [float(row["loss"]) for row in steps] == [loss for part in DONE.steps for loss in part]
    assert [(row["epoch"], row["step"]) for row in steps[:3]] == [
        ("1", "1"),
        ("1", "2"),
        ("2", "3"),
    ]
    taken = [float(row["moment"]) - moments[0] for row in steps[:4]]
    assert taken == pytest.approx([-5, 0, 5, 10])


def test_csv_export_keeps_the_step_in_which_a_run_diverged(exported: Path) -> None:
    key = rows(exported / "runs.csv")[1]["run_key"]
    losses = [row["loss"] for row in rows(exported / "steps.csv") if row["run_key"] == key]
    assert losses == ["2.0", "3.0", "nan"]


def test_csv_export_has_all_settings_and_tables(exported: Path) -> None:
    key = rows(exported / "runs.csv")[0]["run_key"]
    settings = {
        row["setting"]: row["value"]
        for row in rows(exported / "settings.csv")
        if row["run_key"] == key
    }
    assert settings["train.optimizer.lr"] == "0.01"
    assert settings["model.hidden"] == "[4]"
    assert settings["data.dataset"] == "digits"
    (table,) = (exported / "tables").iterdir()
    assert table.name == "grid-grid.csv"
    assert [row["WHICH"] for row in rows(table)] == ["slow, =1", "fast"]


def test_csv_export_is_replaced_as_a_whole_or_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    db, place = record(tmp_path), tmp_path / "numbers"
    api.export_records("csv", place=place, db=db)
    before = {path.name: path.read_bytes() for path in place.iterdir() if path.is_file()}

    def fails(*_: object) -> None:
        raise RuntimeError("killed")

    with monkeypatch.context() as patch:
        patch.setattr(CsvTracker, "write_tables", fails)
        with pytest.raises(RuntimeError, match="killed"):
            api.export_records("csv", "grid:0:0", place=place, db=db)
    after = {path.name: path.read_bytes() for path in place.iterdir() if path.is_file()}
    assert after == before
    assert [path.name for path in tmp_path.glob("*.partial")] == []
    api.export_records("csv", "grid:0:0", place=place, db=db)
    assert [run["cell"] for run in rows(place / "runs.csv")] == ["grid:0:0"]
    assert not (place / "tables").exists()
    assert json.loads((place / "export.json").read_text())["files"] == sorted(
        before.keys() - {"export.json"}
    )


def test_csv_export_refuses_a_folder_with_other_files(tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "runs.csv").write_text("my own")
    with pytest.raises(UsageError, match="holds what no export has written: runs"):
        api.export_records("csv", place=tmp_path / "mine", db=record(tmp_path))
    assert (tmp_path / "mine" / "runs.csv").read_text() == "my own"


def test_text_that_a_spreadsheet_would_calculate_is_escaped(tmp_path: Path) -> None:
    from exported import SPEC
    from made_up import record_made_up

    from runner.store.database import open_database

    with open_database(tmp_path / "odd.db") as database:
        record_made_up(database, tmp_path, SPEC.replace("slow, =1", "=1+1"), lambda cell: DONE)
    api.export_records("csv", place=tmp_path / "out", db=tmp_path / "odd.db")
    assert rows(tmp_path / "out" / "runs.csv")[0]["label.label"] == "'=1+1"
