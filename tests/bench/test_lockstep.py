"""What trainings in step would share, as bench/lockstep.py finds and checks it."""

import json
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
sys.path.append(str(ROOT / "bench"))

import lockstep  # noqa: E402

from runner.components.settings import Settings  # noqa: E402

FROZEN = {
    "data": {"dataset": "cifar10", "validation": 0.5},
    "model": {"name": "convnet", "filters": [4], "linear": [8], "dropout": 0.3},
    "train": {"epochs": 2, "batch_size": 8, "augment": {"steps": [{"name": "RandomErasing"}]}},
    "evaluate": {"train_eval": "full"},
}


def frozen() -> Settings:
    return lockstep.frozen(Settings.model_validate_json(json.dumps(FROZEN)))


def test_the_head_on_the_prefix_of_a_batch_trains_as_the_network() -> None:
    assert lockstep.check_head(frozen()) == 4  # weights and biases of two linear layers


def test_the_parts_of_an_epoch_are_measured_each(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lockstep, "CLASSES", 5)
    parts = lockstep.measure(frozen(), 1)
    assert min(parts.augment, parts.prefix, parts.step, parts.evaluate) > 0
    assert parts.evaluate_prefix == pytest.approx(
        2 * parts.prefix
    )  # two evaluated for each trained
    assert parts.alone == pytest.approx(parts.augment + parts.prefix + parts.own)


def test_streams_are_those_of_different_trainings_with_one_augmentation() -> None:
    (flipped, third) = lockstep.streams(ROOT / "experiments" / "vgg.yaml")
    assert [len(flipped), len(third)] == [2, 3]  # the frozen one sees features of both its views
    assert lockstep.streams(ROOT / "experiments" / "alexnet_augmentation.yaml") == []
