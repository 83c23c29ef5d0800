"""Trainings that diverge end where they did, with the numbers up to there."""

import math
from pathlib import Path

import pytest
import torch
from benches import Bench, reading_of, settings_of

import runner.engine.training.loop as train_module
from runner.core.reader import DIVERGENCE_STEPS

HUGE = {"optimizer": {"name": "sgd", "lr": 1e30}, "epochs": 4}


def test_a_huge_rate_diverges_with_epoch_and_step(tmp_path: Path) -> None:
    bench = Bench(tmp_path, settings_of(HUGE))
    outcome = bench.train()
    where = reading_of(outcome)["diverged"]
    assert outcome.status == "diverged"
    assert outcome.message == f"diverged in epoch {where['epoch']} at step {where['step']}"
    last = bench.read(outcome)[-1]
    assert (last.epoch, len(last.step_losses)) == (where["epoch"], where["step"])
    assert not math.isfinite(last.step_losses[-1])
    assert all(math.isfinite(loss) for loss in last.step_losses[:-1])
    assert last.metrics == ()


def test_a_divergence_leaves_no_weights(tmp_path: Path) -> None:
    bench = Bench(tmp_path, settings_of(HUGE))
    outcome = bench.train()
    assert list(outcome.produced) == []
    assert not (tmp_path / "weights").exists()
    assert not (tmp_path / "states").exists()


def test_a_loss_above_the_multiple_of_the_first_epochs_mean_diverges(tmp_path: Path) -> None:
    wild = {"optimizer": {"name": "sgd", "lr": 6.0, "momentum": 0.9}, "epochs": 6}
    whole = Bench(tmp_path / "a", settings_of(wild))
    records = whole.read(whole.train())
    mean = math.fsum(records[0].step_losses) / len(records[0].step_losses)
    width = min(DIVERGENCE_STEPS, len(records[0].step_losses))
    ratio, epoch, step = max(
        (math.fsum(record.step_losses[step - width : step]) / width / mean, record.epoch, step)
        for record in records[1:]
        for step in range(width, len(record.step_losses) + 1)
    )
    limit = ratio - 1e-6
    assert limit > 1, "the training is too calm for this test"
    bench = Bench(tmp_path / "b", settings_of({**wild, "diverged_if": limit}))
    outcome = bench.train()
    assert reading_of(outcome)["diverged"] == {"epoch": epoch, "step": step}
    assert reading_of(outcome)["last_epoch"] == epoch - 1
    assert 1 <= reading_of(outcome)["best_epoch"] < epoch


@pytest.mark.parametrize("poll_seconds", [0.0, 1e9])
def test_when_it_is_noticed_does_not_change_what_is_recorded(
    poll_seconds: float, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(train_module, "POLL_SECONDS", poll_seconds)
    bench = Bench(tmp_path, settings_of({**HUGE, "batch_size": 2}))
    outcome = bench.train()
    assert reading_of(outcome)["diverged"] == {"epoch": 1, "step": 2}
    assert len(bench.read(outcome)[0].step_losses) == 2


def test_a_validation_loss_that_is_no_number_diverges_at_the_end_of_the_epoch(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = train_module.evaluate

    def evaluate(network, images, split, epoch, *others, **told):
        if epoch == 2:
            for parameter in network.module.parameters():
                torch.nn.init.constant_(parameter, math.nan)
        return real(network, images, split, epoch, *others, **told)

    monkeypatch.setattr(train_module, "evaluate", evaluate)
    bench = Bench(tmp_path, settings_of({"epochs": 4}))
    outcome = bench.train()
    assert outcome.status == "diverged"
    assert reading_of(outcome)["diverged"] == {"epoch": 2, "step": 3}
    assert reading_of(outcome)["last_epoch"] == 1
    first, second = bench.read(outcome)
    assert len(first.metrics) == 4
    assert second.metrics == ()
    assert all(math.isfinite(loss) for loss in second.step_losses)
