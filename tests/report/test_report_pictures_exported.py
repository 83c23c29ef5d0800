"""The pictures of a report go to every tool, once, and only those that are its experiment's."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from exported import draw_report, record

from runner import api
from runner.core.errors import UsageError

pytestmark = pytest.mark.slow


def test_pictures_are_copied_beside_csv_files(tmp_path: Path) -> None:
    report = draw_report(tmp_path)
    place = tmp_path / "out"
    exported = api.export_records("csv", place=place, db=record(tmp_path), figures=report)
    assert exported.pictures == 1
    copy = place / "figures" / "grid-curves.png"
    assert copy.read_bytes() == (report / "figures" / "curves.png").read_bytes()
    api.export_records("csv", place=place, db=tmp_path / "results.db")
    assert not copy.exists()


@pytest.mark.slow
def test_tensorboard_reads_pictures_and_later_ones_as_further_steps(tmp_path: Path) -> None:
    pytest.importorskip("tensorboard")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    db, place = record(tmp_path), tmp_path / "boards"
    for color in ("red", "red", "blue"):
        report = draw_report(tmp_path, color=color)
        api.export_records("tensorboard", "grid", place=place, db=db, figures=report)
    found = EventAccumulator(str(place / "grid" / "figures"), size_guidance={"images": 0})
    found.Reload()
    pictures = found.Images("curves")
    assert [(each.step, each.width, each.height) for each in pictures] == [(0, 6, 4), (1, 6, 4)]
    now = (report / "figures" / "curves.png").read_bytes()
    assert [each.encoded_image_string == now for each in pictures] == [False, True]


@pytest.mark.slow
def test_mlflow_keeps_pictures_as_artifacts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("mlflow")
    from mlflow import MlflowClient

    monkeypatch.chdir(tmp_path)
    url, report = f"sqlite:///{tmp_path}/mlflow.db", draw_report(tmp_path)
    api.export_records("mlflow", "grid", place=url, db=record(tmp_path), figures=report)
    client = MlflowClient(url)
    experiment = client.get_experiment_by_name("grid").experiment_id
    (run,) = client.search_runs([experiment], "tags.`runner.run` = 'figures'")
    copy = Path(client.download_artifacts(run.info.run_id, "curves.png"))
    assert copy.read_bytes() == (report / "figures" / "curves.png").read_bytes()


@pytest.mark.slow
def test_offline_runs_hold_pictures(tmp_path: Path) -> None:
    pytest.importorskip("wandb")
    place, report = tmp_path / "out", draw_report(tmp_path)
    db = record(tmp_path)
    for _ in range(2):
        api.export_records("wandb", "grid", place=place, db=db, figures=report)
    (copy,) = place.glob("wandb/offline-run-*-figure-*/files/media/images/*.png")
    assert copy.read_bytes() == (report / "figures" / "curves.png").read_bytes()


def gone(report: Path) -> None:
    (report / "figures" / "curves.png").unlink()


def damaged(report: Path) -> None:
    (report / "report.json").write_text("[]")


@pytest.mark.parametrize(
    ("of", "change", "said"),
    [
        ("other", lambda report: None, "is the report of other, whose tables are not exported"),
        ("grid [smoke]", lambda report: None, "is the report of grid@smoke"),
        ("grid", gone, "curves.png is gone"),
        ("grid", damaged, "is no folder of a report"),
    ],
)
def test_folder_that_is_no_report_of_what_is_exported_is_refused(
    tmp_path: Path, of: str, change: Callable[[Path], Any], said: str
) -> None:
    db, report = record(tmp_path), draw_report(tmp_path, of)
    change(report)
    with pytest.raises(UsageError) as refused:
        api.export_records("csv", place=tmp_path / "out", db=db, figures=report)
    assert said in str(refused.value)
    assert not (tmp_path / "out").exists()


def test_files_outside_the_folder_of_a_report_are_not_taken(tmp_path: Path) -> None:
    db, report = record(tmp_path), draw_report(tmp_path)
    (tmp_path / "secret.png").write_bytes(b"mine")
    text = (
        (report / "report.json")
        .read_text()
        .replace("figures/curves.png", "figures/../../secret.png")
    )
    (report / "report.json").write_text(text)
    with pytest.raises(UsageError, match=r"secret\.png is gone"):
        api.export_records("csv", place=tmp_path / "out", db=db, figures=report)
