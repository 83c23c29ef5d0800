"""Offline runs of Weights & Biases hold what was recorded, once, and nothing is sent."""

import json
import struct
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
from exported import DONE, record

from runner import api

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(find_spec("wandb") is None, reason="wandb is not installed"),
]


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("WANDB_MODE", "online")  # offline all the same
    monkeypatch.setenv("WANDB_API_KEY", "0" * 40)
    monkeypatch.setenv("WANDB_BASE_URL", "http://127.0.0.1:9")
    return tmp_path / "runs"


def records(path: Path) -> Iterator[Any]:
    """Yield the records of a .wandb file: LevelDB's log format behind a header of seven bytes."""
    from wandb.proto.wandb_internal_pb2 import Record

    content, at, part = path.read_bytes(), 7, b""
    while at + 7 <= len(content):
        if (left := 32768 - at % 32768) < 7:
            at += left
            continue
        _, size, kind = struct.unpack("<IHB", content[at : at + 7])
        part += content[at + 7 : at + 7 + size]
        at += 7 + size
        if kind in (1, 4):  # a whole record, or the last part of one
            yield Record.FromString(part)
            part = b""


def read(place: Path) -> dict[str, dict[str, Any]]:
    """Return config, history, summary and exit code of each run by its name."""
    found: dict[str, dict[str, Any]] = {}
    for path in place.glob("wandb/offline-run-*/*.wandb"):
        run: dict[str, Any] = {"history": [], "summary": {}}
        for each in records(path):
            kind = each.WhichOneof("record_type")
            if kind == "run":
                run |= {"name": each.run.display_name, "project": each.run.project}
                run |= {"id": each.run.run_id, "host": each.run.host}
                updates = each.run.config.update
                run["config"] = {one.key: json.loads(one.value_json) for one in updates}
            elif kind == "history":
                row = {one.nested_key[0]: json.loads(one.value_json) for one in each.history.item}
                run["history"].append(row)
            elif kind == "summary":
                values = {one.key or one.nested_key[0]: one for one in each.summary.update}
                run["summary"] |= {key: json.loads(one.value_json) for key, one in values.items()}
            elif kind == "exit":
                run["exit"] = each.exit.exit_code
        assert run["name"] not in found
        found[run["name"]] = run
    return found


def series(run: dict[str, Any], name: str, axis: str) -> list[tuple[int, float]]:
    return [(row[axis], row[name]) for row in run["history"] if name in row]


def test_offline_runs_hold_series_results_settings_and_how_runs_ended(
    tmp_path: Path, place: Path
) -> None:
    exported = api.export_records("wandb", place=place, db=record(tmp_path))
    assert exported.look == f"wandb sync {place}/wandb/offline-run-*"
    found = read(place)
    assert found.keys() == {"slow, =1 seed=0", "fast seed=0", "fast seed=1", "table grid"}
    assert {run["project"] for run in found.values()} == {"grid"}
    assert {run["host"] for run in found.values()} == {""}
    run = found["slow, =1 seed=0"]
    assert series(run, "val_accuracy", "epoch") == [(1, 0.5), (2, 0.75), (3, 0.625)]
    assert series(run, "test_accuracy", "epoch") == [(2, 0.7)]
    losses = [loss for part in DONE.steps for loss in part]
    assert series(run, "step_train_loss", "step") == list(enumerate(losses, start=1))
    moments = [row["_timestamp"] for row in run["history"] if "val_accuracy" in row]
    assert [each - moments[0] for each in moments] == pytest.approx([0, 10, 20])
    config = {key: run["config"][key] for key in ("train.optimizer.lr", "cell", "label.label")}
    assert config == {"train.optimizer.lr": 0.01, "cell": "grid:0:0", "label.label": "slow, =1"}
    assert run["summary"]["result/test_accuracy"] == 0.7
    ended = {
        name: (each["summary"]["status"], each["summary"]["message"], each["exit"])
        for name, each in found.items()
        if name != "table grid"
    }
    assert ended == {
        "slow, =1 seed=0": ("done", "", 0),
        "fast seed=0": ("diverged", "it diverged", 1),
        "fast seed=1": ("failed", "it failed", 1),
    }
    (table,) = place.glob("wandb/offline-run-*-table-*/files/media/table/*.json")
    assert json.loads(table.read_text())["columns"][:2] == ["WHICH", "ACC"]


def test_offline_run_is_written_once_and_a_killed_one_again(
    tmp_path: Path, place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from runner.report.trackers.wandb_offline import WandbTracker

    db = record(tmp_path)

    class Killed(BaseException):
        pass

    def killed(*_: Any) -> None:
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(WandbTracker, "_store", killed)
        with pytest.raises(Killed):
            api.export_records("wandb", "grid:0:0", place=place, db=db)
    assert len(read(place)) == 1
    api.export_records("wandb", "grid:0:0", place=place, db=db)
    (run,) = read(place).values()
    assert run["id"] == f"{run['config']['run_key']}-0"
    before = sorted(path.name for path in (place / "wandb").glob("offline-run-*"))
    api.export_records("wandb", "grid:0:0", place=place, db=db)
    assert sorted(path.name for path in (place / "wandb").glob("offline-run-*")) == before
    api.export_records("wandb", "grid:1:0", place=place, db=db)  # the package starts once more
    assert read(place).keys() == {"slow, =1 seed=0", "fast seed=0"}
