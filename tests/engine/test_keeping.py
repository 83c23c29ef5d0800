"""Checkpoints and states on a full disk, and written by two processes at once."""

import errno
import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from benches import Bench, reading_of, settings_of
from planted import at_moment
from state_values import STATE_VALUES

from runner.artifacts import atomic, state_folder
from runner.artifacts.process import start_ticks, this_process
from runner.core.errors import is_full_disk
from runner.engine.training import checkpoint as module
from runner.engine.training import retention as keeping
from runner.engine.training.checkpoint import Checkpoint, load_checkpoint, save_checkpoint

NOT_KEPT = "the disk is full: no later training can go on from the end of this one"


def filled(value: float, epoch: int = 1) -> Checkpoint:
    values = {**STATE_VALUES, "epoch": epoch, "value": value}
    return Checkpoint({"all": torch.full((100,), value)}, values)


def full_disk(*args: Any) -> None:
    raise OSError(errno.ENOSPC, "No space left on device")


def limit_states(folder: Path, most: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let so many states fit on the disk."""

    def save(place: Path, checkpoint: Checkpoint, check: Callable[[], None]) -> None:
        others = [each for each in (folder / "states").glob("*/*") if each != place]
        if len(others) >= most:
            full_disk()
        save_checkpoint(place, checkpoint, check)

    monkeypatch.setattr(keeping, "save_checkpoint", save)


def train(folder: Path, lr: float, **options: Any) -> tuple[Bench, dict[str, Any]]:
    optimizer = {"name": "sgd", "lr": lr}
    bench = Bench(folder, settings_of({"optimizer": optimizer}), options=options)
    return bench, dict(reading_of(bench.train()))


def states_in(folder: Path) -> list[Path]:
    return list((folder / "states").rglob("checkpoint.json"))


@pytest.mark.slow
def test_a_state_that_does_not_fit_is_not_kept_and_the_training_is_done(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    limit_states(tmp_path, 0, monkeypatch)
    bench, reading = train(tmp_path, 0.1)
    assert (reading["status"], reading["last_epoch"]) == ("done", 3)
    assert bench.notes == [NOT_KEPT]
    assert states_in(tmp_path) == []


def test_older_states_give_way_on_a_full_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    train(tmp_path, 0.2)
    (older,) = states_in(tmp_path)
    limit_states(tmp_path, 1, monkeypatch)
    bench, _ = train(tmp_path, 0.1)
    (newer,) = states_in(tmp_path)
    assert (newer != older, bench.notes) == (True, [])


@pytest.mark.slow
def test_changed_images_give_way_before_states_on_a_full_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    train(tmp_path, 0.2)
    images = tmp_path / "changed" / "of blur"
    images.mkdir(parents=True)
    (images / "index.json").write_text("{}")

    def save(place: Path, checkpoint: Checkpoint, check: Callable[[], None]) -> None:
        if images.exists():
            full_disk()
        save_checkpoint(place, checkpoint, check)

    monkeypatch.setattr(keeping, "save_checkpoint", save)
    bench, _ = train(tmp_path, 0.1)
    assert (images.exists(), len(states_in(tmp_path)), bench.notes) == (False, 2, [])


def test_a_state_that_branches_need_must_fit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench = Bench(tmp_path, settings_of())
    limit_states(tmp_path, 0, monkeypatch)
    stage = replace(bench.stage("train"), has_branches=True)
    with pytest.raises(OSError, match="No space left"):
        keeping.keep_state(bench.context(), stage, stage.last_state, filled(1.0))
    note = keeping.keep_state(bench.context(), bench.stage("train"), stage.last_state, filled(1.0))
    assert note == NOT_KEPT


def test_where_nothing_goes_on_from_states_none_is_kept_but_for_branches(tmp_path: Path) -> None:
    bench, _ = train(tmp_path, 0.1, share_states=False)
    assert states_in(tmp_path) == []
    stage = replace(bench.stage("train"), has_branches=True)
    keeping.keep_state(bench.context(), stage, stage.last_state, filled(1.0))
    assert len(states_in(tmp_path)) == 1


@pytest.mark.parametrize(
    ("where", "failing"), [(module, "write_tensors"), (atomic, "flush"), (state_folder, "put_file")]
)
def test_what_cannot_be_written_leaves_what_was_there(
    where: Any, failing: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fresh, old = tmp_path / "fresh", tmp_path / "old"
    save_checkpoint(old, filled(1.0))
    before = sorted(each.name for each in old.iterdir())
    with monkeypatch.context() as patch:
        patch.setattr(where, failing, full_disk)
        for folder in (fresh, old):
            with pytest.raises(OSError, match="No space left"):
                save_checkpoint(folder, filled(2.0))
    assert not fresh.exists()
    assert sorted(each.name for each in old.iterdir()) == before
    found = load_checkpoint(old)
    assert found is not None
    assert found.values["value"] == 1.0


@pytest.mark.parametrize(
    "when", ["tensors written, not renamed", "tensors in place, not described"]
)
def test_two_that_write_one_state_leave_that_of_one(
    when: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    me, parent = this_process(), os.getppid()
    other = replace(me, pid=parent, ticks=start_ticks(parent))

    def write_in_another_process() -> None:
        with monkeypatch.context() as patch:
            patch.setattr(atomic, "this_process", lambda: other)
            save_checkpoint(tmp_path, filled(2.0))

    with at_moment(when, write_in_another_process):
        save_checkpoint(tmp_path, filled(1.0))
    found = load_checkpoint(tmp_path)
    assert found is not None
    assert set(found.tensors["all"].tolist()) == {found.values["value"]}
    assert len(list(tmp_path.iterdir())) == 2


@pytest.mark.parametrize(
    "when", ["tensors written, not renamed", "tensors in place, not described"]
)
def test_a_state_whose_folder_another_process_removes_meanwhile_is_written_again(
    when: str, tmp_path: Path
) -> None:
    """As one does that needs room, and finds there what this process is about to replace."""
    folder = tmp_path / "state"
    save_checkpoint(folder, filled(1.0))
    with at_moment(when, lambda: shutil.rmtree(folder)):
        save_checkpoint(folder, filled(2.0))
    found = load_checkpoint(folder)
    assert found is not None
    assert found.values["value"] == 2.0
    assert len(list(folder.iterdir())) == 2


@pytest.mark.parametrize(
    "when", ["tensors written, not renamed", "tensors in place, not described"]
)
def test_a_state_is_not_written_again_where_all_of_the_folder_is_gone(
    when: str, tmp_path: Path
) -> None:
    home = tmp_path / "states"
    with at_moment(when, lambda: shutil.rmtree(home)), pytest.raises(FileNotFoundError):
        save_checkpoint(home / "state", filled(1.0))
    assert not home.exists()


def test_a_checkpoint_that_is_replaced_while_it_is_read_is_the_new_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    save_checkpoint(tmp_path, filled(1.0))

    def then_replaced(name: str, where: Any, epoch: int) -> None:
        real = getattr(where, name)

        def replaced_before(*args: Any) -> Any:
            monkeypatch.setattr(where, name, real)
            save_checkpoint(tmp_path, filled(float(epoch), epoch))
            return real(*args)

        monkeypatch.setattr(where, name, replaced_before)

    then_replaced("_described", state_folder, 2)
    then_replaced("file_digest", state_folder, 3)
    then_replaced("load_file", module, 4)
    found = load_checkpoint(tmp_path)
    assert found is not None
    assert (found.values["epoch"], found.values["value"]) == (4, 4.0)


def test_the_checkpoint_before_is_removed(tmp_path: Path) -> None:
    for epoch, value in ((1, 1.0), (2, 1.0), (2, 2.0), (2, 2.0), (3, 2.0)):
        save_checkpoint(tmp_path, filled(value, epoch))
        assert len(list(tmp_path.iterdir())) == 2
        found = load_checkpoint(tmp_path)
        assert found is not None
        assert (found.values["epoch"], found.values["value"]) == (epoch, value)


def test_a_quota_is_a_full_disk_too() -> None:
    assert is_full_disk(OSError(errno.EDQUOT, "Disk quota exceeded"))
    assert not is_full_disk(OSError(errno.EIO, "Input/output error"))
    assert not is_full_disk(ValueError())


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    folder = tmp_path / "small"
    folder.mkdir()
    mount = shutil.which("mount")
    command = [str(mount), "-t", "tmpfs", "-o", "size=400k", "tmpfs", str(folder)]
    if mount is None or subprocess.run(command, capture_output=True, check=False).returncode:
        pytest.skip("no file system can be mounted here")
    yield folder
    subprocess.run(["umount", "--lazy", str(folder)], check=True)


@pytest.mark.slow
def test_on_a_small_disk_trainings_end_with_the_states_that_fit(small_disk: Path) -> None:
    """Each leaves 40 kB of weights and a state of twice that; states of 0.8 MB would not fit."""
    for number in range(1, 6):
        model = {"name": "mlp", "hidden": [50]}
        train = {"optimizer": {"name": "sgd", "lr": 0.01 * number}, "epochs": 1}
        bench = Bench(small_disk, settings_of(train, model))
        assert reading_of(bench.train())["status"] == "done"
    assert bench.notes in ([], [NOT_KEPT])
    assert len(states_in(small_disk)) < 5
    assert len(list((small_disk / "weights").rglob("*.safetensors"))) == 5
