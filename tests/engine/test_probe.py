"""What a few images and steps say of a whole stage, by a clock that ticks once a look."""

from dataclasses import replace
from itertools import count
from types import SimpleNamespace
from typing import Any

import pytest
import stages
from benches import CPU, NOWHERE, settings_of
from torch import nn

from runner.core.prefix import FrozenPrefix
from runner.core.stages import Stage
from runner.engine import probe
from runner.engine.data.augment import Augmenter
from runner.engine.data.samples import evaluation_batch_size
from runner.engine.numerics import begin_numerics
from runner.engine.training import loop

STEP = 1 / probe.STEPS
BATCH, FEATURES_BATCH = evaluation_batch_size((3, 8, 8), CPU), evaluation_batch_size((24,), CPU)
FROZEN = {"name": "convnet", "filters": [4, 6], "linear": [8], "freeze": "features"}
MIRRORED = {"steps": [{"name": "RandomHorizontalFlip"}]}

PREFIX = FrozenPrefix("f", "flatten", (24,))
TRAIN = stages.train("t", prefix=PREFIX)
EVALUATE = stages.evaluate("e", "t", prefix=PREFIX)


@pytest.fixture(autouse=True)
def ticking(monkeypatch: pytest.MonkeyPatch) -> None:
    ticks = count()
    monkeypatch.setattr(probe, "time", SimpleNamespace(perf_counter=lambda: float(next(ticks))))


def seconds(stage: Stage, together: int = 1, **settings: Any) -> float:
    made = settings_of(**settings)
    source = made.data.build(NOWHERE)
    return probe.Probe(made, source, (3, 8, 8), begin_numerics(CPU)).seconds(stage, together)


def test_decoding_is_measured_on_some_images_for_all() -> None:
    assert seconds(stages.prepare()) == 60 / 30  # every second one


def test_an_epoch_is_its_steps_and_what_is_evaluated() -> None:
    assert seconds(TRAIN) == pytest.approx(36 / 12 * STEP + 12 / BATCH)
    most = {"train_eval": "full", "test": "each_epoch"}
    assert seconds(TRAIN, evaluate=most) == pytest.approx(36 / 12 * STEP + 60 / BATCH)


def test_augmentation_is_part_of_an_epoch_on_images_only() -> None:
    train = {"augment": MIRRORED}
    assert seconds(TRAIN, train=train) == pytest.approx(36 / 12 * 2 * STEP + 12 / BATCH)
    on_features = seconds(replace(TRAIN, on_features=True), train=train, model=FROZEN)
    assert on_features == pytest.approx(36 / 12 * STEP + 12 / FEATURES_BATCH)
    augmented = replace(TRAIN, on_features=True, prefix=replace(PREFIX, views=None))
    evaluated = seconds(augmented, train=train, model=FROZEN)
    assert evaluated == pytest.approx(36 / 12 * 2 * STEP + 12 / FEATURES_BATCH)


def test_trainings_done_together_have_a_part_each_of_what_they_share() -> None:
    """Of the clock's ticks a step has one, as augmenting a batch and the frozen layers on it."""
    train, frozen = {"augment": MIRRORED}, replace(TRAIN, prefix=replace(PREFIX, views=None))
    alone = seconds(frozen, train=train, model=FROZEN)
    assert alone == pytest.approx(36 / 12 * 2 * STEP + 12 / BATCH)
    four = seconds(frozen, together=4, train=train, model=FROZEN)
    assert four == pytest.approx(36 / 12 * (STEP + (STEP + 1) / 4) + 12 / BATCH)
    unfrozen = seconds(stages.train("t"), together=4, train=train)
    assert unfrozen == pytest.approx(36 / 12 * (STEP + STEP / 4) + 12 / BATCH)


@pytest.mark.slow
def test_features_are_computed_for_all_views_of_all_images() -> None:
    assert seconds(stages.features(), model=FROZEN) == pytest.approx(60 / BATCH)
    twice = seconds(stages.features(prefix=replace(PREFIX, views=2)), model=FROZEN)
    assert twice == pytest.approx(120 / BATCH)


def test_an_evaluation_is_that_of_the_test_images() -> None:
    assert seconds(EVALUATE) == pytest.approx(12 / BATCH)
    features = seconds(replace(EVALUATE, on_features=True), model=FROZEN)
    assert features == pytest.approx(12 / FEATURES_BATCH)


@pytest.mark.parametrize("clip", [None, 0.5])
def test_a_probe_takes_the_steps_that_a_training_takes(
    clip: float | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[str] = []
    clipped, augmented = nn.utils.clip_grad_norm_, Augmenter.__call__
    monkeypatch.setattr(
        nn.utils, "clip_grad_norm_", lambda *given: calls.append("clip") or clipped(*given)
    )
    monkeypatch.setattr(
        Augmenter, "__call__", lambda *given: calls.append("augment") or augmented(*given)
    )
    taken = loop.TrainingStep.__call__
    monkeypatch.setattr(
        loop.TrainingStep, "__call__", lambda *given: calls.append("step") or taken(*given)
    )
    seconds(TRAIN, train={"augment": MIRRORED, "clip_grad_norm": clip})
    steps = probe.WARM_STEPS + probe.STEPS
    assert calls.count("step") == steps
    assert calls.count("clip") == (0 if clip is None else steps)
    assert calls.count("augment") == probe.STEPS + 1
