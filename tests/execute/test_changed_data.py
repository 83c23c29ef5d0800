"""Data that changes or is damaged never ends in a result: it is told, or made again."""

import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from grids import ask, left_in, write_grid
from PIL import Image
from planted import at_moment
from safetensors.torch import load_file, save_file

from runner.api.running import RunSummary, run
from runner.artifacts import array_folder
from runner.bind.request import Request
from runner.core.stages import Stage
from runner.execute.listener import NullListener

SPEC = """\
name: grid
data: {dataset: imagefolder, path: photos, validation: 0.25, test: 0.25, resize: 8}
model: {name: mlp, hidden: [6]}
train: {epochs: 3, batch_size: 8, optimizer: sgd}
sweep:
  grid: {lr: [0.1, 0.2]}
"""
MESSAGES = "SELECT message FROM results WHERE status = 'failed'"


class Log(NullListener):
    """Remembers what was done and said; does something before a kind of stages."""

    def __init__(self, kind: str, before: Callable[[], None]) -> None:
        self.began: list[str] = []
        self.notes: list[str] = []
        self._kind, self._before = kind, before

    def on_stage_start(self, stage: Stage) -> None:
        self.began.append(stage.kind)
        if stage.kind == self._kind:
            self._before()

    def on_note(self, note: str) -> None:
        self.notes.append(note)


def do(
    spec: Path, kind: str = "", before: Callable[[], None] = lambda: None, **options: Any
) -> tuple[Log, RunSummary]:
    log = Log(kind, before)
    array_folder._checked.clear()  # as in another process
    ran = run(Request([spec], threads=1, **options), listen=lambda planned: log)
    return log, ran


@pytest.fixture
def spec(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return write_grid(tmp_path, SPEC)


def brighten(folder: Path) -> None:
    """Change all images; size and time of modification stay."""
    for path in folder.rglob("*.png"):
        stat = path.stat()
        with Image.open(path) as image:
            pixels = np.asarray(image) // 2 + 127
        Image.fromarray(pixels).save(path)
        os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))


@pytest.mark.slow
def test_images_that_change_while_they_are_prepared_leave_no_trace(
    spec: Path, tmp_path: Path
) -> None:
    photos = tmp_path / "photos"
    shutil.copytree(photos, tmp_path / "as they were")
    log, ran = do(spec, "prepare", lambda: brighten(photos))
    assert set(ran.statuses.values()) == {"failed"}
    assert log.began == ["prepare"]
    (message,) = {text for (text,) in ask(tmp_path, MESSAGES)}
    assert message.startswith("48 of 48 images are no longer what they were when this command")
    assert list((tmp_path / ".runner" / "pixels").iterdir()) == []

    log, ran = do(spec)
    assert set(ran.statuses.values()) == {"done"}
    assert ran.before == 0

    shutil.rmtree(photos)
    (tmp_path / "as they were").rename(photos)
    log, ran = do(spec, db=tmp_path / "beside.db")
    assert set(ran.statuses.values()) == {"done"}
    undisturbed = tmp_path / "undisturbed"
    undisturbed.mkdir()
    do(spec, db=undisturbed / "results.db")
    (tmp_path / "beside.db").replace(tmp_path / "results.db")
    assert left_in(tmp_path).dump == left_in(undisturbed).dump


def test_images_that_change_before_the_first_is_looked_at_start_nothing(
    spec: Path, tmp_path: Path
) -> None:
    from runner.core.errors import DataError

    look = at_moment("first image about to be decoded", lambda: brighten(tmp_path / "photos"))
    with look, pytest.raises(DataError, match="48 of 48 images"):
        do(spec)
    assert not (tmp_path / "results.db").exists()


@pytest.mark.slow
def test_damaged_pixels_are_prepared_again_for_another_training(spec: Path, tmp_path: Path) -> None:
    do(spec, only=["lr=0.1"])
    (path,) = (tmp_path / ".runner" / "pixels").rglob("pixels.npy")
    content = path.read_bytes()
    path.write_bytes(content[:-2000] + b"\0" * 2000)
    log, _ = do(spec)
    assert log.began == ["train", "evaluate"]
    assert log.notes == ["decoded images are prepared again: they are damaged"]
    assert path.read_bytes() == content
    undisturbed = tmp_path / "undisturbed"
    undisturbed.mkdir()
    do(spec, db=undisturbed / "results.db")
    assert left_in(tmp_path).dump == left_in(undisturbed).dump


def cut_off(folder: Path) -> None:
    os.truncate(folder / "pixels.npy", 500)


def garble(folder: Path) -> None:
    (folder / "index.json").write_text("{")


def lose_array(folder: Path) -> None:
    (folder / "pixels.npy").unlink()


@pytest.mark.slow
@pytest.mark.parametrize(
    "harm",
    [cut_off, *(pytest.param(each, marks=pytest.mark.slow) for each in (garble, lose_array))],
)
def test_pixels_that_cannot_be_opened_are_planned_to_be_prepared_again(
    spec: Path, tmp_path: Path, harm
) -> None:
    do(spec, only=["lr=0.1"])
    (folder,) = (tmp_path / ".runner" / "pixels").iterdir()
    harm(folder)
    log, ran = do(spec)
    assert log.began == ["prepare", "train", "evaluate"]
    assert set(ran.statuses.values()) == {"done"}


def turn_a_bit(path: Path) -> None:
    tensors = load_file(path)
    name = min(tensors)
    tensors[name].view(-1)[0] += 1.0
    save_file(tensors, path)


def cut_short(path: Path) -> None:
    os.truncate(path, path.stat().st_size - 4)


MORE = (cut_short, Path.unlink)


def all_weights(folder: Path) -> list[Path]:
    return sorted((folder / ".runner" / "weights").rglob("*.safetensors"))


@pytest.fixture
def left_undisturbed(spec: Path, tmp_path: Path) -> str:
    home = tmp_path / "undisturbed"
    home.mkdir()
    do(spec, db=home / "results.db")
    return left_in(home).dump


@pytest.mark.slow
@pytest.mark.parametrize(
    "harm", [turn_a_bit, *(pytest.param(each, marks=pytest.mark.slow) for each in MORE)]
)
def test_weights_that_are_damaged_before_their_evaluation_are_trained_again(
    spec: Path, tmp_path: Path, left_undisturbed: str, monkeypatch: pytest.MonkeyPatch, harm
) -> None:
    def stop() -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        do(spec, "evaluate", stop, only=["lr=0.1"])
    with monkeypatch.context() as patch:
        patch.setattr("runner.store.claims.is_dead", lambda process: True)
        (path,) = all_weights(tmp_path)
        harm(path)
        log, ran = do(spec)
    assert sorted(log.began) == ["evaluate", "evaluate", "train", "train"]
    assert set(ran.statuses.values()) == {"done"}
    assert left_in(tmp_path).dump == left_undisturbed


@pytest.mark.slow
@pytest.mark.parametrize("harm", [turn_a_bit, pytest.param(cut_short, marks=pytest.mark.slow)])
def test_weights_that_are_damaged_when_they_are_evaluated_fail_and_a_retry_makes_them(
    spec: Path, tmp_path: Path, left_undisturbed: str, harm
) -> None:
    log, ran = do(spec, "evaluate", lambda: harm(all_weights(tmp_path)[0]), only=["lr=0.1"])
    assert set(ran.statuses.values()) == {"failed"}
    ((message,),) = ask(tmp_path, MESSAGES)
    assert "gone, damaged or not those that were recorded" in message
    assert "--retry-failed" in message
    log, ran = do(spec, retry_failed=True)
    assert sorted(log.began) == ["evaluate", "evaluate", "train", "train"]
    assert set(ran.statuses.values()) == {"done"}
    assert left_in(tmp_path).dump == left_undisturbed


@pytest.mark.slow
def test_whole_weights_are_not_trained_again(
    spec: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stop() -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        do(spec, "evaluate", stop, only=["lr=0.1"])
    monkeypatch.setattr("runner.store.claims.is_dead", lambda process: True)
    log, _ = do(spec, only=["lr=0.1"])
    assert log.began == ["evaluate"]


@pytest.mark.slow
def test_weights_of_finished_runs_are_not_read_to_plan(
    spec: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    do(spec)
    monkeypatch.setattr("runner.engine.network.whole_weights.load_file", None)
    assert do(spec)[0].began == []
