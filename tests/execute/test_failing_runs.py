"""What goes wrong in one run is recorded there, and the grid goes on; a full disk stops it."""

import errno
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from grids import ask, left_in, write_grid

import runner.engine.data.arrays as arrays_module
import runner.engine.stages.after_training as after_training_module
import runner.engine.training.checkpoint as checkpoint_module
import runner.engine.training.loop as train_module
import runner.execute.attempts as attempts_module
from runner.api.running import RunSummary, run
from runner.bind.request import Request
from runner.core.errors import Interrupted, RunnerError
from runner.core.records import Metric
from runner.execute.listener import NullListener

SPEC = """\
name: grid
data: {dataset: imagefolder, path: photos, validation: 0.25, test: 0.25, resize: 8}
model: {name: mlp, hidden: [6]}
train: {epochs: 3, optimizer: sgd}
sweep:
  grid: SWEPT
"""
RESULTS = "SELECT status, message FROM results ORDER BY recorded"
ATTEMPTS = "SELECT kind, number, status FROM attempts JOIN stages USING (stage_key)"


class Log(NullListener):
    """Remembers what it is told."""

    def __init__(self) -> None:
        self.notes: list[str] = []

    def on_note(self, note: str) -> None:
        self.notes.append(note)


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def spec_in(folder: Path, swept: str = "{batch_size: [8, 16]}") -> Path:
    return write_grid(folder, SPEC.replace("SWEPT", swept))


def do(spec: Path, stop: Any = lambda: False, **options: Any) -> RunSummary:
    return run(Request([spec], threads=1, **options), should_stop=stop)


def statuses(ran: RunSummary) -> list[str]:
    return sorted(ran.statuses.values())


@pytest.mark.slow
@pytest.mark.usefixtures("executor")
def test_one_diverged_run_leaves_the_others_alone(tmp_path: Path) -> None:
    ran = do(spec_in(tmp_path, "{lr: [1.0e+30, 0.1]}"))
    assert statuses(ran) == ["diverged", "done"]
    ((message,),) = ask(tmp_path, "SELECT message FROM results WHERE status = 'diverged'")
    assert message == "diverged in epoch 1 at step 1"
    assert ask(tmp_path, f"{ATTEMPTS} ORDER BY attempts.id") == [
        ("prepare", 1, "done"),
        ("train", 1, "diverged"),
        ("train", 1, "done"),
        ("evaluate", 1, "done"),
    ]
    assert len(left_in(tmp_path).tensors) == 1


@pytest.mark.slow
def test_a_diverged_run_is_done_with_and_keeps_its_losses(tmp_path: Path) -> None:
    spec = spec_in(tmp_path, "{lr: [1.0e+30]}")
    do(spec)
    before = left_in(tmp_path).dump
    assert '"steps":[1,1e+30,[' in before
    ran = do(spec)
    assert (ran.before, statuses(ran)) == (1, ["diverged"])
    assert left_in(tmp_path).dump == before
    assert len(ask(tmp_path, ATTEMPTS)) == 2


def no_memory_for(batch_size: int, monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    """Make every forward pass of a batch of this size fail."""
    real = torch.nn.Sequential.forward

    def forward(self: torch.nn.Sequential, inputs: torch.Tensor) -> torch.Tensor:
        if self.training and len(inputs) == batch_size:
            raise error
        return real(self, inputs)

    monkeypatch.setattr(torch.nn.Sequential, "forward", forward)


@pytest.mark.slow
@pytest.mark.parametrize(
    "error",
    [
        torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB."),
        RuntimeError("[enforce fail at alloc_cpu.cpp] can't allocate memory: you tried …"),
        MemoryError(),
    ],
    ids=["cuda", "cpu", "python"],
)
def test_out_of_memory_fails_one_run_with_the_batch_size(
    error: Exception, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    no_memory_for(16, monkeypatch, error)
    ran = do(spec_in(tmp_path))
    assert statuses(ran) == ["done", "failed"]
    ((message,),) = ask(tmp_path, "SELECT message FROM results WHERE status = 'failed'")
    assert message.startswith("out of memory with batch_size 16 of 3×8×9 images on cpu: ")
    assert len(ask(tmp_path, "SELECT 1 FROM attempts WHERE status = 'failed'")) == 1


@pytest.mark.slow
def test_another_error_of_torch_fails_one_run_with_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    no_memory_for(16, monkeypatch, RuntimeError("something odd"))
    ran = do(spec_in(tmp_path))
    assert statuses(ran) == ["done", "failed"]
    assert ask(tmp_path, "SELECT message FROM results WHERE status = 'failed'") == [
        ("RuntimeError: something odd",)
    ]


@pytest.mark.slow
def test_a_failed_run_is_tried_again_only_when_asked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spec = spec_in(tmp_path)
    with monkeypatch.context() as patch:
        no_memory_for(16, patch, torch.OutOfMemoryError("first"))
        do(spec)
    assert statuses(do(spec)) == ["done", "failed"]
    assert statuses(do(spec, retry_failed=True)) == ["done", "done"]
    assert [status for status, _ in ask(tmp_path, RESULTS)] == ["done", "done"]
    assert ("train", 2, "done") in ask(tmp_path, ATTEMPTS)


@pytest.mark.slow
def test_a_retry_that_fails_says_why_it_failed_this_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spec = spec_in(tmp_path, "{batch_size: [16]}")
    for text, retry in (("first", False), ("second", True)):
        with monkeypatch.context() as patch:
            no_memory_for(16, patch, RuntimeError(text))
            do(spec, retry_failed=retry)
    assert ask(tmp_path, RESULTS) == [("failed", "RuntimeError: second")]


@pytest.mark.slow
@pytest.mark.usefixtures("executor")
def test_corrupt_images_fail_every_run_that_needs_them_and_no_other(tmp_path: Path) -> None:
    spec = spec_in(tmp_path, "{data.on_corrupt: [stop, skip]}")
    broken = tmp_path / "photos" / "class_1" / "07.png"
    broken.write_bytes(b"no image")
    ran = do(spec)
    assert statuses(ran) == ["done", "failed"]
    ((message,),) = ask(tmp_path, "SELECT message FROM results WHERE status = 'failed'")
    assert "1 of 48 images cannot be decoded" in message
    assert str(broken) in message


@pytest.mark.slow
def test_a_repaired_image_is_new_data_and_needs_no_retry(tmp_path: Path) -> None:
    spec = spec_in(tmp_path, "{batch_size: [8]}")
    broken = tmp_path / "photos" / "class_1" / "07.png"
    content = broken.read_bytes()
    broken.write_bytes(b"no image")
    assert statuses(do(spec)) == ["failed"]
    broken.write_bytes(content)
    assert statuses(do(spec)) == ["done"]


def full_disk(*args: Any, **kwargs: Any) -> None:
    raise OSError(errno.ENOSPC, "No space left on device")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("writing", "checkpoint_seconds"), [("write_weights", 30.0), ("write_tensors", 0.0)]
)
def test_a_full_disk_while_training_stops_the_grid_and_loses_nothing_recorded(
    writing: str, checkpoint_seconds: float, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole, part = tmp_path / "whole", tmp_path / "part"
    for folder in (whole, part):
        folder.mkdir()
    spec = spec_in(tmp_path)
    do(spec, db=whole / "results.db")
    do(spec, db=part / "results.db", limit=1)
    kept = left_in(part)
    with monkeypatch.context() as patch:
        patch.setattr(checkpoint_module, writing, full_disk)
        with pytest.raises(RunnerError, match=r"disk is full .*No space left.* what was recorded"):
            do(spec, db=part / "results.db", checkpoint_seconds=checkpoint_seconds)
    assert left_in(part).dump == kept.dump
    assert left_in(part).litter == ()
    assert ask(part, "SELECT count(*) FROM claims") == [(0,)]
    assert ("train", 1, "interrupted") in ask(part, ATTEMPTS)
    do(spec, db=part / "results.db")
    found, undisturbed = left_in(part), left_in(whole)
    assert len(found.states) == 1  # the first one gave way
    assert found.states.items() < undisturbed.states.items()
    assert replace(found, states=undisturbed.states) == undisturbed


@pytest.mark.slow
def test_a_full_disk_while_preparing_stops_the_grid(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spec = spec_in(tmp_path)
    with monkeypatch.context() as patch:
        patch.setattr(arrays_module.os, "posix_fallocate", full_disk)
        with pytest.raises(RunnerError, match="disk is full"):
            do(spec)
    assert ask(tmp_path, ATTEMPTS) == [("prepare", 1, "interrupted")]
    assert ask(tmp_path, RESULTS) == []
    assert statuses(do(spec)) == ["done", "done"]


@pytest.mark.slow
def test_a_stop_keeps_finished_epochs_and_the_next_run_goes_on(tmp_path: Path) -> None:
    spec = spec_in(tmp_path, "{batch_size: [8]}")
    asked = 0

    def stop() -> bool:
        nonlocal asked
        asked += 1
        return asked > 8  # in the second epoch

    with pytest.raises(Interrupted):
        do(spec, stop, checkpoint_seconds=0.0)
    assert ask(tmp_path, "SELECT epoch FROM steps") == [(1,)]
    assert ask(tmp_path, RESULTS) == []
    assert statuses(do(spec)) == ["done"]
    assert ask(tmp_path, "SELECT first_epoch, last_epoch FROM run_epochs ORDER BY attempt_id")[
        :2
    ] == [
        (1, 1),
        (2, 3),
    ]
    assert ("train", 1, "interrupted") in ask(tmp_path, ATTEMPTS)


@pytest.mark.slow
@pytest.mark.parametrize("value", [math.inf, math.nan])
def test_a_test_loss_that_is_no_number_fails_the_run_in_words(
    value: float, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = after_training_module.evaluate

    def broken(*args: Any, **told: Any) -> list[Metric]:
        found = real(*args, **told)
        return [replace(each, value=value) if each.name == "loss" else each for each in found]

    monkeypatch.setattr(after_training_module, "evaluate", broken)
    assert statuses(do(spec_in(tmp_path, "{batch_size: [8]}"))) == ["failed"]
    ((_, message),) = ask(tmp_path, RESULTS)
    assert message.startswith("test_loss is not finite")
    assert '"status":"failed"' in left_in(tmp_path).dump


@pytest.mark.slow
def test_a_changed_checkpoint_in_a_grid_is_noted_and_not_continued(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spec = spec_in(tmp_path, "{batch_size: [8]}")
    with monkeypatch.context() as patch:
        real = train_module.evaluate

        def evaluate(network: Any, images: Any, split: str, epoch: int, *others: Any, **told: Any):
            if epoch == 3:
                raise RuntimeError("no more")
            return real(network, images, split, epoch, *others, **told)

        patch.setattr(train_module, "evaluate", evaluate)
        do(spec, checkpoint_seconds=0.0)
    (path,) = (tmp_path / ".runner" / "checkpoints").rglob("*.safetensors")
    path.write_bytes(path.read_bytes()[:-1] + b"!")
    log = Log()
    run(Request([spec], threads=1, retry_failed=True), listen=lambda planned: log)
    assert not any("continuing" in note for note in log.notes)
    assert ask(tmp_path, "SELECT first_epoch FROM run_epochs ORDER BY attempt_id")[0] == (1,)
    assert not list((tmp_path / ".runner" / "checkpoints").rglob("epoch-*"))


def test_stopped_while_a_result_is_recorded_gives_the_claim_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spec = write_grid(tmp_path)

    def stop(*values: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(attempts_module, "record_outcome", stop)
    with pytest.raises(KeyboardInterrupt):
        run(Request([spec], threads=1, db=tmp_path / "results.db"))
    assert ask(tmp_path, ATTEMPTS) == [("prepare", 1, "interrupted")]
    assert ask(tmp_path, "SELECT count(*) FROM claims") == [(0,)]
