"""Frozen layers and augmented training: what is evaluated is taken from features, computed once."""

import shutil
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import torch
from benches import Bench, plain_records, reading_of, settings_of
from test_features import BLOCKS, FeaturesBench

from runner.components.settings import Settings
from runner.core.errors import Interrupted
from runner.core.records import EpochRecord

CROP = {"steps": [{"name": "RandomCrop", "size": 8, "padding": 2}]}
EVERYTHING = {"train_eval": "full", "test": "each_epoch"}
"""36 training images, 12 of validation and 12 of test are evaluated after each epoch."""


def augmented(**others: Any) -> Settings:
    return settings_of(
        model=BLOCKS, train={"augment": CROP}, **{"evaluate": {"train_eval": "full"}, **others}
    )


@contextmanager
def counted_forwards() -> Iterator[Counter[bool]]:
    """Count the images that go through the first frozen layer, by whether gradients are kept."""
    seen: Counter[bool] = Counter()
    forward = torch.nn.Conv2d.forward

    def count(layer: torch.nn.Conv2d, inputs: torch.Tensor) -> torch.Tensor:
        if inputs.device.type != "meta" and layer.in_channels == 3:
            seen[torch.is_grad_enabled()] += len(inputs)
        return forward(layer, inputs)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(torch.nn.Conv2d, "forward", count)
        yield seen


@pytest.mark.slow
def test_evaluations_of_all_epochs_cost_one_pass_over_the_images(tmp_path: Path) -> None:
    settings = augmented(evaluate=EVERYTHING)
    shared, plain = (
        FeaturesBench(tmp_path / "shared", settings),
        Bench(tmp_path / "plain", settings),
    )
    with counted_forwards() as seen:
        shared.train()
    assert seen == {True: 3 * 36, False: 60}
    with counted_forwards() as seen:
        plain.train()
    assert seen == {True: 3 * 36, False: 3 * 60}


@pytest.mark.slow
def test_an_evaluation_after_training_costs_none(tmp_path: Path) -> None:
    shared = FeaturesBench(tmp_path, augmented())
    outcome = shared.train()
    with counted_forwards() as seen:
        assert shared.do("evaluate", 2, outcome).measured
    assert seen == {}


def alike(one: list[EpochRecord], other: list[EpochRecord]) -> None:
    """Steps are the same bytes; what is evaluated is within the tolerance of features."""
    for first, second in zip(one, other, strict=True):
        assert second.step_losses == first.step_losses
        for mine, theirs in zip(second.metrics, first.metrics, strict=True):
            assert mine.value == pytest.approx(theirs.value, rel=1e-4, abs=1e-6)
            if mine.split == "train":
                assert mine.value == theirs.value


@pytest.mark.slow
def test_training_is_the_same_bytes_and_what_is_evaluated_within_tolerance(tmp_path: Path) -> None:
    settings = augmented()
    shared, plain = (
        FeaturesBench(tmp_path / "shared", settings),
        Bench(tmp_path / "plain", settings),
    )
    one, other = plain.train(), shared.train()
    alike(plain.read(one), shared.read(other))
    assert shared.digest() == plain.digest()
    inputs = [reading_of(each)["inputs"]["features"] for each in (one, other)]
    assert (inputs[0], len(inputs[1])) == ("", 64)
    tested = shared.do("evaluate", 3, other).measured
    for ours, theirs in zip(tested, plain.do("evaluate", 3, one).measured, strict=True):
        assert ours.value == pytest.approx(theirs.value, rel=1e-4)


@pytest.mark.slow
def test_augmented_and_plain_runs_share_the_features(tmp_path: Path) -> None:
    plain = FeaturesBench(tmp_path, settings_of(model=BLOCKS))
    plain.train()
    after = FeaturesBench(tmp_path, augmented())
    assert after.stage("features").key == plain.stage("features").key
    with counted_forwards() as seen:
        after.train()
    assert seen == {True: 3 * 36}


def stopped_in_the_second_epoch(bench: Bench) -> None:
    asked = iter([False] * 4 + [True] * 9)
    bench.options |= {"checkpoint_seconds": 0.0, "should_stop": lambda: next(asked)}
    with pytest.raises(Interrupted):
        bench.do("train", 1)
    del bench.options["should_stop"]


@pytest.mark.parametrize("evicted", [False, True])
@pytest.mark.slow
def test_a_stopped_training_goes_on_bitwise_also_where_its_features_are_gone(
    tmp_path: Path, evicted: bool
) -> None:
    undisturbed = FeaturesBench(tmp_path / "undisturbed", augmented())
    records = plain_records(undisturbed.read(undisturbed.train()))
    one = FeaturesBench(tmp_path / "stopped", augmented())
    one.do("prepare")
    one.do("features")
    stopped_in_the_second_epoch(one)
    if evicted:
        shutil.rmtree(one.folder_of_features)
    outcome = one.do("train", 2)
    assert reading_of(outcome)["reads"] == [[1, 1, 1], [2, 2, 3]]
    assert plain_records(one.read(outcome)) == records
    assert one.digest() == undisturbed.digest()
    expected = ["frozen features are computed again: they are not there"] * evicted
    assert [each for each in one.notes if "features" in each] == expected


@pytest.mark.slow
def test_a_checkpoint_of_before_is_not_continued_with_features(tmp_path: Path) -> None:
    plain = Bench(tmp_path, augmented())
    plain.do("prepare")
    stopped_in_the_second_epoch(plain)
    shared = FeaturesBench(tmp_path, augmented())
    shared.do("features")
    outcome = shared.do("train", 2)
    assert reading_of(outcome)["reads"] == [[2, 1, 3]]
    assert "was made with other frozen features, or without" in shared.notes[0]
