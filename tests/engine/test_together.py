"""Trainings done together are each the same bytes as alone; what they share is done once."""

import time
import weakref
from pathlib import Path
from typing import Any

import pytest
import torch
from benches import SYNTHETIC, reading_of, settings_of
from cohorts import CROP, DROPPING, Together, check_as_alone, counted, messages, rates, sgd
from planted import at_moment
from test_divergence import HUGE
from test_features import BLOCKS, FeaturesBench
from test_resume import STEPS
from torch import nn

import runner.engine.training.book as book_module
from runner.components.settings import Settings
from runner.engine.context import Progress
from runner.engine.data.augment import Augmenter
from runner.engine.stages import train as stage
from runner.engine.training import loop
from runner.engine.training import together as together_module
from runner.engine.training.step import TrainingStep

JITTER = {"steps": [{"name": "ColorJitter", "brightness": 0.5}, {"name": "RandomErasing"}]}
CONVNET = {"name": "convnet", "filters": [4], "batch_norm": True}


DIFFERENT = [
    settings_of(sgd(0.1, batch_size=10, augment=JITTER), DROPPING),
    settings_of({"optimizer": {"name": "adam"}, "batch_size": 10, "augment": JITTER}, DROPPING),
    settings_of(sgd(0.1, batch_size=10, augment=JITTER, clip_grad_norm=0.1), CONVNET),
]
"""In network, optimizer and clipping."""

CASES: dict[str, list[Settings]] = {
    "plain": rates(0.1, 0.05),
    "others": DIFFERENT,
    "crops, last batch dropped": rates(
        0.1, 0.05, model=CONVNET, augment=CROP, batch_size=10, drop_last=True
    ),
    "frozen": rates(0.1, 0.05, 0.2, model=BLOCKS, augment=CROP),
    "frozen, bf16": rates(0.1, 0.05, model=BLOCKS, augment=JITTER, precision="bf16"),
    "frozen, clipped": [
        *rates(0.1, model=BLOCKS, augment=JITTER, clip_grad_norm=0.1),
        *rates(0.1, model={**BLOCKS, "linear": [6, 4], "dropout": 0.0}, augment=JITTER),
    ],
    "stops early": [
        *rates(0.1, augment=CROP, epochs=6),
        *rates(
            0.2, augment=CROP, epochs=6, early_stopping={"monitor": "val_accuracy", "patience": 1}
        ),
        *rates(0.3, augment=CROP, epochs=2),
    ],
    "one diverges": [
        *rates(0.1, model=DROPPING, augment=CROP, epochs=4),
        settings_of({**HUGE, "augment": CROP}, DROPPING),
        *rates(0.05, model=DROPPING, augment=CROP, epochs=4),
    ],
}


SLOW = ("plain", "crops, last batch dropped", "frozen, clipped")


@pytest.mark.fast_cases(2)
@pytest.mark.parametrize(
    "case", [pytest.param(each, marks=[pytest.mark.slow] * (each in SLOW)) for each in CASES]
)
@pytest.mark.parametrize("poll_seconds", [0.0, pytest.param(1e9, marks=pytest.mark.slow)])
def test_together_each_is_as_alone(
    case: str, poll_seconds: float, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loop, "POLL_SECONDS", poll_seconds)
    together = Together.of(tmp_path / "together", CASES[case])
    ends = together.train()
    outcomes = [
        check_as_alone(bench, end, tmp_path / str(number))
        for number, (bench, end) in enumerate(zip(together.benches, ends, strict=True))
    ]
    if case == "one diverges":
        assert [each.status for each in outcomes] == ["done", "diverged", "done"]
    if case == "stops early":
        assert [reading_of(each)["stopped_early"] for each in outcomes] == [False, True, False]
        assert list(together.ends) == [1, 2, 0] or list(together.ends) == [2, 1, 0]


@pytest.mark.slow
def test_evaluated_on_features_each_is_as_alone(tmp_path: Path) -> None:
    settings = [
        settings_of(sgd(rate, augment=CROP), BLOCKS, evaluate={"train_eval": "full"})
        for rate in (0.1, 0.05)
    ]
    together = Together.of(tmp_path / "together", settings, FeaturesBench)
    for number, end in enumerate(together.train()):
        check_as_alone(together.benches[number], end, tmp_path / str(number))


@pytest.mark.slow
def test_trained_on_features_each_is_as_alone(tmp_path: Path) -> None:
    flip = {"steps": [{"name": "RandomHorizontalFlip"}]}
    settings = rates(0.1, 0.05, model=BLOCKS, augment=flip)
    together = Together.of(tmp_path / "together", settings, FeaturesBench)
    for number, end in enumerate(together.train()):
        check_as_alone(together.benches[number], end, tmp_path / str(number))


@pytest.mark.slow
def test_a_step_is_augmented_once_and_goes_once_through_the_prefix(tmp_path: Path) -> None:
    settings = rates(0.1, 0.05, 0.2, model=BLOCKS, augment=CROP, epochs=2)
    together = Together.of(tmp_path, settings)
    with counted() as seen:
        together.train()
    assert seen == {"augmented": 2 * STEPS, "prefix": 2 * STEPS, "steps": 3 * 2 * STEPS}


@pytest.mark.slow
def test_networks_trained_together_hold_one_copy_of_what_is_frozen(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    built: list[nn.Module] = []
    real = stage.network_for

    def network_for(*given: Any) -> Any:
        network = real(*given)
        built.append(network.module)
        return network

    monkeypatch.setattr(stage, "network_for", network_for)
    together = Together.of(tmp_path, rates(0.1, 0.05, model=BLOCKS, augment=CROP))
    looked: list[int] = []

    def look(number: int) -> None:
        one, other = [
            {name: each.data_ptr() for name, each in module.state_dict().items()}
            for module in built
        ]
        shared = {name for name in one if one[name] == other[name]}
        assert shared == {name for name in one if name.startswith("features.")}
        looked.append(number)

    together.on_end = look
    together.train()
    assert looked == [0, 1]


@pytest.mark.slow
def test_a_network_that_writes_into_its_batches_does_not_disturb_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = stage.network_for

    def network_for(*given: Any) -> Any:
        network = real(*given)
        network.module.get_submodule("classifier.dropout").inplace = True
        return network

    monkeypatch.setattr(stage, "network_for", network_for)
    model = {**BLOCKS, "dropout_at": ["flatten"]}
    together = Together.of(tmp_path / "together", rates(0.1, 0.05, model=model, augment=CROP))
    for number, end in enumerate(together.train()):
        check_as_alone(together.benches[number], end, tmp_path / str(number))


def test_a_batch_that_two_networks_write_into_at_times_is_given_to_nobody_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A network that is known to leave its batches as they are does not do so for ever."""
    real = TrainingStep.__call__

    def step(self: Any, epoch: int, number: int, inputs: torch.Tensor, labels: Any) -> Any:
        found = real(self, epoch, number, inputs, labels)
        if number == 2:
            inputs.zero_()
        return found

    monkeypatch.setattr(TrainingStep, "__call__", step)
    together = Together.of(tmp_path, rates(0.1, 0.05, augment=CROP))
    ends = together.train()
    assert ["wrote into a batch" in str(each) for each in ends] == [True, True]


@pytest.mark.slow
@pytest.mark.parametrize(
    "other",
    [
        {"seed": 1},
        {"train": sgd(0.1, batch_size=11)},
        {"train": sgd(0.1, drop_last=True)},
        {"train": sgd(0.1, augment=CROP)},
        {"train": sgd(0.1, precision="bf16")},
        {"data": {**SYNTHETIC, "validation": 0.3}},
    ],
    ids=str,
)
def test_who_sees_other_batches_is_refused(other: dict[str, Any], tmp_path: Path) -> None:
    settings = [*rates(0.1, 0.2), settings_of(**{"train": sgd(0.3), **other})]
    ends = Together.of(tmp_path, settings).train()
    assert messages(ends)[:2] == ["done", "done"]
    assert "different batches" in str(ends[2])


def test_each_tells_its_own_progress(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loop, "POLL_SECONDS", 0.0)
    together = Together.of(tmp_path, rates(0.1, 0.05, epochs=1))
    told: dict[int, list[Progress]] = {0: [], 1: []}
    together.options = {number: {"on_progress": told[number].append} for number in told}
    together.train()
    for number, progress in told.items():
        steps = [each for each in progress if not each.split]
        assert [each.done for each in steps] == [1, 2, 3]
        (record,) = together.benches[number].records.values()
        assert steps[0].loss == record.step_losses[0]


def test_seconds_of_an_epoch_are_ones_own_and_a_share_of_what_is_shared(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By a clock that only batches and steps move."""
    now = 0.0
    augment, step = Augmenter.__call__, TrainingStep.__call__

    def augmented(*given: Any) -> Any:
        nonlocal now
        now += 8
        return augment(*given)

    def stepped(*given: Any) -> Any:
        nonlocal now
        now += 1 if given[0]._settings.train.optimizer.lr == 0.1 else 2
        return step(*given)

    monkeypatch.setattr(Augmenter, "__call__", augmented)
    monkeypatch.setattr(TrainingStep, "__call__", stepped)
    for module in (loop, together_module):
        monkeypatch.setattr(module, "time", FakeTime(lambda: now))
    together = Together.of(tmp_path, rates(0.1, 0.05, augment=CROP, epochs=1))
    together.train()
    seconds = [each.seconds for bench in together.benches for each in bench.records.values()]
    assert seconds == [STEPS * (4 + 1), STEPS * (4 + 2)]


class FakeTime:
    """A clock that tests move."""

    def __init__(self, now: Any) -> None:
        self.perf_counter = self.monotonic = now


def test_one_copy_of_what_is_trained_is_held_for_checkpoints(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    copies: list[weakref.ref[torch.Tensor]] = []
    alive: list[int] = []
    real = book_module.packed

    def packed(
        context: Any, inputs: Any, task: Any, state: Any, reads: Any, goes_on: bool, *more: Any
    ) -> Any:
        alive.append(sum(copy() is not None for copy in copies))
        found = real(context, inputs, task, state, reads, goes_on, *more)
        if goes_on:
            copies.append(weakref.ref(next(iter(found.tensors.values()))))
        return found

    monkeypatch.setattr(book_module, "packed", packed)
    together = Together.of(tmp_path, rates(0.1, 0.05, 0.2), checkpoint_seconds=0.0)
    slow = at_moment("tensors written, not renamed", lambda: time.sleep(0.05))
    with slow:
        together.train()
    assert len(copies) == 6
    assert set(alive) == {0}


def test_gradients_of_one_training_are_held_at_a_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    networks: list[nn.Module] = []
    held: list[int] = []
    real, step = stage.network_for, TrainingStep.__call__

    def network_for(*given: Any) -> Any:
        network = real(*given)
        networks.append(network.module)
        return network

    def stepped(*given: Any) -> Any:
        weights = [each for module in networks for each in module.parameters()]
        held.append(sum(each.grad is not None for each in weights))
        return step(*given)

    monkeypatch.setattr(stage, "network_for", network_for)
    monkeypatch.setattr(TrainingStep, "__call__", stepped)
    Together.of(tmp_path, rates(0.1, 0.05, epochs=2)).train()
    assert held == [0] * (2 * 2 * STEPS)
