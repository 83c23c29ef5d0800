"""How each of several trainings ends that are done together: what ends one, and what ends all."""

import errno
import gc
import weakref
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import torch
from benches import reading_of
from cohorts import CROP, DROPPING, Together, check_as_alone, counted, messages, rates
from test_features import BLOCKS
from test_resume import STEPS, stop_after
from torch import nn

import runner.engine.training.book as book_module
from runner.core.errors import ClaimLost, Interrupted, StageFailed, StoreGone
from runner.engine.data.augment import Augmenter
from runner.engine.stages import train as stage
from runner.engine.training.cohort import TogetherOutOfMemory
from runner.engine.training.loop import Training
from runner.engine.training.step import TrainingStep

FOUR = rates(0.1, 0.05, 0.2, 0.3, model=DROPPING, augment=CROP, epochs=4)


@pytest.mark.slow
def test_one_that_goes_on_after_a_later_epoch_waits_until_the_others_are_level(
    tmp_path: Path,
) -> None:
    together = Together.of(tmp_path / "together", FOUR[:3], checkpoint_seconds=0.0)
    ahead = together.benches[1]
    ahead.options = {"checkpoint_seconds": 0.0, "should_stop": stop_after(2 * STEPS + 1)}
    with pytest.raises(Interrupted):
        ahead.do("train", 1)
    with counted() as seen:
        ends = together.train(attempt=2)
    assert ahead.notes == []
    assert together.benches[0].notes == ["continuing in epoch 3 after step 2"]
    assert reading_of(ends[1])["reads"] == [[1, 1, 2], [2, 3, 4]]
    assert seen == {"augmented": 4 * STEPS, "steps": (4 + 2 + 4) * STEPS - 2}
    for number, end in enumerate(ends):
        check_as_alone(together.benches[number], end, tmp_path / str(number))


@pytest.mark.slow
def test_stopped_together_each_goes_on_as_if_undisturbed(tmp_path: Path) -> None:
    together = Together.of(tmp_path / "together", FOUR[:3], checkpoint_seconds=0.0)
    together.benches[0].options["should_stop"] = stop_after(3 * 2 * STEPS + 4)
    with pytest.raises(Interrupted, match="stopped in epoch 3 after step 2 of 3; this training"):
        together.train()
    assert together.ends == {}
    assert [sorted(each.records) for each in together.benches] == [[(1, 1), (1, 2)]] * 3
    del together.benches[0].options["should_stop"]
    ends = together.train(attempt=2)
    stopped_after = [2, 2, 1]  # steps of each: they take turns
    assert together.benches[0].notes == [
        f"continuing in epoch 3 after step {step}" for step in stopped_after
    ]
    for number, end in enumerate(ends):
        check_as_alone(together.benches[number], end, tmp_path / str(number))


@pytest.mark.slow
def test_stopped_together_and_done_alone_it_is_the_same(tmp_path: Path) -> None:
    together = Together.of(tmp_path / "together", FOUR[:2], checkpoint_seconds=0.0)
    together.benches[0].options["should_stop"] = stop_after(2 * 2 * STEPS + 1)
    with pytest.raises(Interrupted):
        together.train()
    del together.benches[0].options["should_stop"]
    end = together.benches[1].do("train", 2)
    assert reading_of(end)["reads"] == [[1, 1, 2], [2, 3, 4]]
    check_as_alone(together.benches[1], end, tmp_path / "alone")


def raising(error: Exception, call: int) -> Any:
    """Return what raises at one of its calls, and before does nothing."""
    calls = 0

    def act(*given: Any) -> None:
        nonlocal calls
        calls += 1
        if calls >= call:
            raise error

    return act


@pytest.mark.slow
def test_who_loses_its_claim_leaves_and_writes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(book_module, "FLUSH_SECONDS", 0.0)
    together = Together.of(tmp_path / "together", FOUR[:3])
    lost = ClaimLost("stage was taken over by another process")
    together.options[1] = {"store_epochs": raising(lost, 2), "check_claim": raising(lost, 1)}
    at: list[tuple[int, int]] = []
    together.on_end = lambda number: at.append((number, len(together.benches[0].records)))
    ends = together.train()
    assert ends[1] is lost
    assert at[0] == (1, 2), "told in the epoch in which it was lost"
    assert not any(
        each.stem.startswith(together.benches[1].stage("train").key)
        for each in (tmp_path / "together" / "weights").iterdir()
    )
    for number in (0, 2):
        check_as_alone(together.benches[number], ends[number], tmp_path / str(number))


@pytest.mark.slow
def test_weights_that_cannot_be_written_end_one_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = book_module.save_weights
    together = Together.of(tmp_path / "together", FOUR[:3])
    key = next(iter(together.benches[1].stage("train").readers))  # type: ignore[union-attr]

    def save_weights(path: Path, *given: Any) -> Any:
        if key in str(path):
            raise PermissionError(errno.EACCES, "Permission denied", str(path))
        return real(path, *given)

    with monkeypatch.context() as patch:
        patch.setattr(book_module, "save_weights", save_weights)
        ends = together.train()
    assert isinstance(ends[1], PermissionError)
    for number in (0, 2):
        check_as_alone(together.benches[number], ends[number], tmp_path / str(number))
    check_as_alone(together.benches[1], together.benches[1].do("train", 2), tmp_path / "1")


def failing(at: int, error: Exception) -> Any:
    """Return a step of which one, counted over all trainings, fails."""
    real, calls = TrainingStep.__call__, 0

    def step(*given: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls == at:
            raise error
        return real(*given)

    return step


@pytest.mark.slow
def test_too_little_memory_ends_those_that_have_not_ended_and_frees_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    networks: list[weakref.ref[nn.Module]] = []
    real = stage.network_for

    def network_for(*given: Any) -> Any:
        network = real(*given)
        networks.append(weakref.ref(network.module))
        return network

    monkeypatch.setattr(stage, "network_for", network_for)
    settings = [
        *rates(0.1, 0.05, model=BLOCKS, augment=CROP, epochs=4),
        *rates(0.2, model=BLOCKS, augment=CROP, epochs=1),
    ]
    together = Together.of(tmp_path / "together", settings, checkpoint_seconds=0.0)
    full = torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.")
    gc.disable()
    try:
        with monkeypatch.context() as patch:
            patch.setattr(TrainingStep, "__call__", failing(3 * STEPS + 2 * STEPS + 2, full))
            with pytest.raises(TogetherOutOfMemory, match=r"batch_size 12 of 3×8×8 .* with 2 tr"):
                together.train()
        assert [each() for each in networks] == [None] * 3
    finally:
        gc.enable()
    assert messages([*together.ends.values()]) == ["done"]
    check_as_alone(together.benches[2], together.ends[2], tmp_path / "2")
    assert sorted(together.benches[1].records) == [(1, 1), (1, 2)]
    for number in (0, 1):
        (end,) = together.train(attempt=2, numbers=[number])
        assert reading_of(end)["reads"] == [[1, 1, 2], [2, 3, 4]]
        check_as_alone(together.benches[number], end, tmp_path / str(number))


@pytest.mark.slow
def test_one_whose_epoch_cannot_begin_leaves_the_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    together = Together.of(tmp_path / "together", FOUR[:3])
    real = Training.begin

    def begin(training: Training, behind_prefix: bool = False) -> None:
        if training.settings == FOUR[1] and training.epoch == 2:
            raise ValueError("no such rate")
        real(training, behind_prefix)

    with monkeypatch.context() as patch:
        patch.setattr(Training, "begin", begin)
        together.train()
    assert str(together.ends[1]) == "no such rate"
    for number in (0, 2):
        check_as_alone(together.benches[number], together.ends[number], tmp_path / str(number))


def test_too_little_memory_for_one_alone_is_its_failure(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    together = Together.of(tmp_path, FOUR[:1])
    monkeypatch.setattr(TrainingStep, "__call__", failing(2, MemoryError()))
    (end,) = together.train()
    assert isinstance(end, StageFailed)
    assert str(end).startswith("out of memory with batch_size 12 of 3×8×8 images on cpu")


def test_what_the_listener_raises_stops_all_and_loses_no_epoch(tmp_path: Path) -> None:
    settings = [*FOUR[:2], *rates(0.2, model=DROPPING, augment=CROP, epochs=2)]
    together = Together.of(tmp_path, settings)

    def gone(number: int) -> None:
        raise StoreGone("the folder was removed")

    together.on_end = gone
    with pytest.raises(StoreGone):
        together.train()
    assert list(together.ends) == [2]
    epochs = {len(each.records) for each in together.benches[:2]}
    assert epochs <= {2, 3}


@pytest.mark.slow
def test_a_batch_that_cannot_be_made_ends_those_that_wait_for_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = [*FOUR[:2], *rates(0.2, model=DROPPING, augment=CROP, epochs=1)]
    together = Together.of(tmp_path / "together", settings)
    real = Augmenter.__call__

    def augment(self: Augmenter, images: torch.Tensor, epoch: int, step: int) -> torch.Tensor:
        if epoch == 2:
            raise ValueError("no such batch")
        return real(self, images, epoch, step)

    with monkeypatch.context() as patch:
        patch.setattr(Augmenter, "__call__", augment)
        ends = together.train()
    assert messages(ends) == ["ValueError('no such batch')"] * 2 + ["done"]
    check_as_alone(together.benches[2], ends[2], tmp_path / "2")


@pytest.mark.slow
@pytest.mark.parametrize("kind", [ClaimLost, Interrupted, ValueError])
def test_an_error_holds_no_network(
    kind: type[Exception], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not even until the collector of garbage comes: others may need the memory."""
    networks: list[weakref.ref[nn.Module]] = []
    real, taken = stage.network_for, TrainingStep.__call__
    steps = 0

    def network_for(*given: Any) -> Any:
        network = real(*given)
        networks.append(weakref.ref(network.module))
        return network

    def step(*given: Any) -> Any:
        nonlocal steps
        steps += 1
        if steps == 3 * STEPS + 2:
            raise kind("in the second training")
        return taken(*given)

    monkeypatch.setattr(stage, "network_for", network_for)
    monkeypatch.setattr(TrainingStep, "__call__", step)
    together = Together.of(tmp_path, rates(0.1, 0.05, 0.2, model=BLOCKS, augment=CROP))
    gc.disable()
    try:
        with suppress(Interrupted):
            together.train()
        together.ends.clear()
        assert [each() for each in networks] == [None] * 3
    finally:
        gc.enable()
