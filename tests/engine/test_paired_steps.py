"""What another precision would gain: pairs of steps, by a clock that the test sets."""

from collections.abc import Iterator
from typing import Any

import pytest
import stages
import torch
from benches import CPU, NOWHERE, settings_of

from runner.core.gains import PrecisionGain
from runner.engine import paired_steps, probe
from runner.engine.numerics import begin_numerics


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> dict[str, Iterator[float]]:
    """What steps of each precision take, one number a look."""
    taken: dict[str, Iterator[float]] = {}

    def seconds(self: probe.Steps, count: int, in_cpu_time: bool = False) -> float:
        assert in_cpu_time
        assert torch.get_num_threads() == 1
        return next(taken[self._precision])

    monkeypatch.setattr(probe.Steps, "seconds", seconds)
    return taken


def measured(**train: Any) -> list[PrecisionGain]:
    settings = settings_of(train)
    source = settings.data.build(NOWHERE)
    made = probe.Probe(settings, source, (3, 8, 8), begin_numerics(CPU))
    return list(paired_steps.precision_gains(made, stages.train("t")))


def test_gain_is_the_median_of_pairs_with_their_middle_half(clock: dict[str, Any]) -> None:
    clock["fp32"] = iter([0.5, 0.1, 2.0, 4.0, 2.0, 1.0, 3.0])  # two looks, then five pairs
    clock["bf16"] = iter([0.5, 0.1, 1.0, 1.0, 1.0, 1.0, 1.0])
    (gain,) = measured()
    assert gain == PrecisionGain("mlp", "fp32", "bf16", times=2.0, low=2.0, high=3.0)
    assert gain.is_worthwhile


def test_a_gain_within_the_spread_is_none(clock: dict[str, Any]) -> None:
    clock["fp32"] = iter([0.5, 0.1, 2.0, 1.1, 1.0, 2.0, 2.0])
    clock["bf16"] = iter([0.5, 0.1, 1.0, 1.0, 1.0, 1.0, 1.0])
    (gain,) = measured()
    assert (gain.times, gain.low) == (2.0, 1.1)
    assert not gain.is_worthwhile


def test_bf16_is_held_against_fp32(clock: dict[str, Any]) -> None:
    clock["bf16"] = iter([1.5, 2.0, 3.0, 3.0, 3.0])  # of long steps, three pairs
    clock["fp32"] = iter([1.5, 1.0, 1.0, 1.0, 1.0])
    (gain,) = measured(precision="bf16")
    assert (gain.precision, gain.other, gain.times) == ("bf16", "fp32", 3.0)


def test_both_sides_take_steps_of_their_own_precision(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[bool] = []
    taken = probe.TrainingStep.__call__

    def step(self: Any, *given: Any) -> Any:
        logits = taken(self, *given)[1]
        seen.append(logits.dtype is torch.bfloat16)
        return taken(self, *given)

    monkeypatch.setattr(probe.TrainingStep, "__call__", step)
    monkeypatch.setattr(paired_steps, "SPAN", 0.0)
    (gain,) = measured()
    assert seen.count(True) == seen.count(False) == 2 + paired_steps.PAIRS
    assert 0 < gain.low <= gain.times <= gain.high
