"""TensorBoard's own reader finds what was recorded, once, however often it was exported."""

import shutil
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
from exported import DONE, SPEC, record
from made_up import MadeUp, record_made_up
from waiting import PATIENCE

from runner import api
from runner.core.run import Cell
from runner.report.trackers import tensorboard_events
from runner.store.database import open_database

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(find_spec("tensorboard") is None, reason="tensorboard is not installed"),
]

Read = Callable[[str], Any]
KEYS = ("epoch/val_accuracy", "epoch/train_loss", "step/train_loss", "result/test_accuracy")


@pytest.fixture
def place(tmp_path: Path) -> Path:
    return tmp_path / "boards"


@pytest.fixture
def read(place: Path) -> Read:
    """Return TensorBoard's reader of a run's folder."""
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    def reader(run: str) -> Any:
        found = EventAccumulator(str(place / run), size_guidance={"scalars": 0, "tensors": 0})
        found.Reload()
        return found

    return reader


def values(found: Any, tag: str) -> list[tuple[int, float]]:
    return [(each.step, round(each.value, 6)) for each in found.Scalars(tag)]


def files(place: Path) -> dict[str, bytes]:
    return {
        path.relative_to(place).as_posix(): path.read_bytes()
        for path in sorted(place.rglob("*"))
        if path.is_file()
    }


def test_tensorboard_reads_series_results_and_moments(
    tmp_path: Path, place: Path, read: Read
) -> None:
    exported = api.export_records("tensorboard", place=place, db=record(tmp_path))
    assert exported.look == f"tensorboard --logdir {place}"
    assert exported.counts() == {"done": 1, "diverged": 1, "failed": 1, "unfinished": 1}
    found = read("grid/slow-=1-seed=0")
    assert values(found, "epoch/val_accuracy") == [(1, 0.5), (2, 0.75), (3, 0.625)]
    assert values(found, "epoch/test_accuracy") == [(2, 0.7)]
    losses = [round(loss, 6) for part in DONE.steps for loss in part]
    assert values(found, "step/train_loss") == list(enumerate(losses, start=1))
    assert values(found, "epoch/learning_rate") == [(1, 0.1), (2, 0.1), (3, 0.1)]
    assert values(found, "result/test_accuracy") == [(0, 0.7)]
    assert values(found, "result/best_epoch") == [(0, 2)]
    moments = [each.wall_time for each in found.Scalars("epoch/val_accuracy")]
    assert [each - moments[0] for each in moments] == pytest.approx([0, 10, 20])


def test_tensorboard_reads_settings_as_hyperparameters_and_how_a_run_ended(
    tmp_path: Path, place: Path, read: Read
) -> None:
    from tensorboard.plugins.hparams import api_pb2, metadata

    api.export_records("tensorboard", place=place, db=record(tmp_path))
    ended, groups = {}, set[str]()
    for run in ("slow-=1-seed=0", "fast-seed=0", "fast-seed=1"):
        found = read(f"grid/{run}").summary_metadata
        start = found[metadata.SESSION_START_INFO_TAG].plugin_data.content
        info = metadata.parse_session_start_info_plugin_data(start)
        assert info.hparams["model.hidden"].string_value == "[4]"
        assert info.hparams["experiment"].string_value == "grid"
        groups.add(info.group_name)
        rate = info.hparams["train.optimizer.lr"].number_value
        end = found[metadata.SESSION_END_INFO_TAG].plugin_data.content
        ended[run] = (rate, metadata.parse_session_end_info_plugin_data(end).status)
    assert ended == {
        "slow-=1-seed=0": (0.01, api_pb2.STATUS_SUCCESS),
        "fast-seed=0": (0.1, api_pb2.STATUS_FAILURE),
        "fast-seed=1": (0.1, api_pb2.STATUS_FAILURE),
    }
    assert len(groups) == 3
    (text,) = read("grid/fast-seed=0").Tensors("run")
    assert b"| status | diverged |" in text.tensor_proto.string_val[0]
    (table,) = read("grid/tables").Tensors("grid")
    assert b"| **0.750 (1 of 2; 1 unfinished)** |" in table.tensor_proto.string_val[0]


def test_run_that_was_exported_is_not_written_twice(tmp_path: Path, place: Path) -> None:
    db = record(tmp_path)
    api.export_records("tensorboard", place=place, db=db)
    before = files(place)
    (place / "grid" / "mine.txt").write_text("my notes")
    api.export_records("tensorboard", place=place, db=db)
    assert files(place) == {**before, "grid/mine.txt": b"my notes"}


def test_no_file_names_the_machine(tmp_path: Path, place: Path) -> None:
    import socket

    api.export_records("tensorboard", place=place, db=record(tmp_path))
    host = socket.gethostname()
    assert not [name for name in files(place) if host in name]


def test_export_goes_on_behind_what_is_there(
    tmp_path: Path, place: Path, read: Read, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As while a run trains: first one epoch without a result, then all."""
    from dataclasses import replace

    from runner.api import exporting_records

    db = record(tmp_path)
    real = exporting_records.run_history
    standing = exporting_records.standing

    def one_epoch(database: Any, key: str) -> Any:
        there = real(database, key)
        return replace(there, epochs=there.epochs[:1], result={}, status="running")

    with monkeypatch.context() as patch:
        patch.setattr(exporting_records, "run_history", one_epoch)
        patch.setattr(
            exporting_records, "standing", lambda database: replace(standing(database), ended={})
        )
        first = api.export_records("tensorboard", "grid:0:0", place=place, db=db)
    assert first.counts() == {"unfinished": 1}
    found = read("grid/slow-=1-seed=0")
    assert values(found, "epoch/val_accuracy") == [(1, 0.5)]
    assert values(found, "step/train_loss") == [(1, 1.0), (2, 0.8)]
    early = files(place)
    api.export_records("tensorboard", "grid:0:0", place=place, db=db)
    found = read("grid/slow-=1-seed=0")
    assert values(found, "epoch/val_accuracy") == [(1, 0.5), (2, 0.75), (3, 0.625)]
    assert [step for step, _ in values(found, "step/train_loss")] == [1, 2, 3, 4, 5, 6]
    name = "grid/slow-=1-seed=0/events.out.tfevents.0000000000.records"
    assert files(place)[name] == early[name]


@pytest.mark.parametrize("moment", ["before the state", "in a file"])
def test_killed_export_is_completed_by_the_next(
    tmp_path: Path, place: Path, monkeypatch: pytest.MonkeyPatch, moment: str
) -> None:
    db = record(tmp_path)
    api.export_records("tensorboard", place=place, db=db)
    whole = files(place)
    shutil.rmtree(place)

    class Killed(BaseException):
        pass

    def killed(*_: Any, **__: Any) -> None:
        raise Killed

    with monkeypatch.context() as patch:
        name = "whole_file" if moment == "before the state" else "put_file"
        patch.setattr(tensorboard_events, name, killed)
        patch.setattr(tensorboard_events, "remove_partial", lambda path: None)
        with pytest.raises(Killed):
            api.export_records("tensorboard", place=place, db=db)
    assert len(files(place)) == 1
    api.export_records("tensorboard", place=place, db=db)
    found = files(place)
    assert found.keys() == whole.keys()
    runs = [name for name in whole if "tables" not in name]  # tables have the moment in them
    assert {name: found[name] for name in runs} == {name: whole[name] for name in runs}


def test_failed_run_that_was_tried_again_is_written_anew(
    tmp_path: Path, place: Path, read: Read
) -> None:
    api.export_records("tensorboard", "grid:1:1", place=place, db=record(tmp_path))
    (text,) = read("grid/fast-seed=1").Tensors("run")
    assert b"| status | failed |" in text.tensor_proto.string_val[0]
    (tmp_path / "again").mkdir()
    again = record(tmp_path / "again", lambda cell: DONE)
    api.export_records("tensorboard", "grid:1:1", place=place, db=again)
    found = read("grid/fast-seed=1")
    assert values(found, "epoch/val_accuracy") == [(1, 0.5), (2, 0.75), (3, 0.625)]
    (text,) = found.Tensors("run")  # that of the failure is gone
    assert b"| status | done |" in text.tensor_proto.string_val[0]


def test_another_run_of_the_same_name_has_a_folder_of_its_own(
    tmp_path: Path, place: Path, read: Read
) -> None:
    db = record(tmp_path)
    api.export_records("tensorboard", place=place, db=db)
    with open_database(db) as database:

        def recipe(cell: Cell) -> MadeUp | None:
            return MadeUp({"val_accuracy": [0.125]}) if cell.position == 0 else None

        record_made_up(database, tmp_path, SPEC.replace("hidden: [4]", "hidden: [5]"), recipe)
    api.export_records("tensorboard", place=place, db=db)
    assert values(read("grid/slow-=1-seed=0"), "epoch/val_accuracy")[0] == (1, 0.5)
    (other,) = (path for path in (place / "grid").glob("slow-=1-seed=0-*"))
    assert values(read(f"grid/{other.name}"), "epoch/val_accuracy") == [(1, 0.125)]


def test_run_whose_cell_has_another_name_now_stays_where_it_is(tmp_path: Path, place: Path) -> None:
    db = record(tmp_path)
    api.export_records("tensorboard", "grid:0:0", place=place, db=db)
    before = files(place)
    with open_database(db) as database:
        record_made_up(database, tmp_path, SPEC.replace("slow, =1", "slower"), lambda cell: None)
    api.export_records("tensorboard", "grid:0:0", place=place, db=db)
    assert files(place) == before


@pytest.mark.slow
def test_tables_that_change_are_further_steps(tmp_path: Path, place: Path, read: Read) -> None:
    db = record(tmp_path)
    api.export_records("tensorboard", "grid", place=place, db=db)
    (tmp_path / "again").mkdir()
    again = record(tmp_path / "again", lambda cell: DONE)
    api.export_records("tensorboard", "grid", place=place, db=again)
    steps = [
        (each.step, b"unfinished" in each.tensor_proto.string_val[0])
        for each in read("grid/tables").Tensors("grid")
    ]
    assert steps == [(0, True), (1, False)]


def test_two_exports_to_one_folder_wait_for_each_other(tmp_path: Path, place: Path) -> None:
    from threading import Thread

    from runner.report.trackers.tensorboard_events import TensorboardTracker

    db = record(tmp_path)
    other = Thread(
        target=api.export_records, args=("tensorboard",), kwargs={"place": place, "db": db}
    )
    with TensorboardTracker(str(place)):
        other.start()
        other.join(0.3)
        assert other.is_alive()
        assert files(place) == {}
    other.join(PATIENCE)
    assert not other.is_alive()
    assert "grid/fast-seed=0/runner.json" in files(place)
