"""Trainings that are done together are each the same bytes as alone, whatever becomes of others."""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import torch
from benches import MLP, reading_of, settings_of
from cohorts import Together, check_as_alone
from test_divergence import HUGE
from test_features import BLOCKS, FeaturesBench
from test_resume import STEPS
from torch import nn

from runner.components.settings import Settings
from runner.engine.data.augment import Augmenter
from runner.engine.stages import train as stage
from runner.engine.training import loop
from runner.engine.training.step import TrainingStep

CROP = {"steps": [{"name": "RandomCrop", "size": 8, "padding": 2}]}
JITTER = {"steps": [{"name": "ColorJitter", "brightness": 0.5}, {"name": "RandomErasing"}]}
DROPPING = {"name": "mlp", "hidden": [12], "batch_norm": True, "dropout": 0.3}
CONVNET = {"name": "convnet", "filters": [4], "batch_norm": True}


def sgd(lr: float, **others: Any) -> dict[str, Any]:
    return {"optimizer": {"name": "sgd", "lr": lr, "momentum": 0.9}, **others}


def rates(*rates: float, model: Any = MLP, **train: Any) -> list[Settings]:
    return [settings_of(sgd(rate, **train), model) for rate in rates]


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


@pytest.mark.parametrize("case", CASES)
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


def test_evaluated_on_features_each_is_as_alone(tmp_path: Path) -> None:
    settings = [
        settings_of(sgd(rate, augment=CROP), BLOCKS, evaluate={"train_eval": "full"})
        for rate in (0.1, 0.05)
    ]
    together = Together.of(tmp_path / "together", settings, FeaturesBench)
    for number, end in enumerate(together.train()):
        check_as_alone(together.benches[number], end, tmp_path / str(number))


def test_trained_on_features_each_is_as_alone(tmp_path: Path) -> None:
    flip = {"steps": [{"name": "RandomHorizontalFlip"}]}
    settings = rates(0.1, 0.05, model=BLOCKS, augment=flip)
    together = Together.of(tmp_path / "together", settings, FeaturesBench)
    for number, end in enumerate(together.train()):
        check_as_alone(together.benches[number], end, tmp_path / str(number))


@contextmanager
def counted() -> Iterator[Counter[str]]:
    """Count batches that are augmented, steps, and what goes through the first frozen layer."""
    seen: Counter[str] = Counter()
    augment, step, forward = Augmenter.__call__, TrainingStep.__call__, nn.Conv2d.forward

    def augmented(*given: Any) -> Any:
        seen["augmented"] += 1
        return augment(*given)

    def stepped(*given: Any) -> Any:
        seen["steps"] += 1
        return step(*given)

    def forwarded(layer: nn.Conv2d, inputs: torch.Tensor) -> torch.Tensor:
        is_trained_on = inputs.device.type != "meta" and not torch.is_inference_mode_enabled()
        if layer.in_channels == 3 and is_trained_on:
            seen["prefix"] += 1
        return forward(layer, inputs)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Augmenter, "__call__", augmented)
        patch.setattr(TrainingStep, "__call__", stepped)
        patch.setattr(nn.Conv2d, "forward", forwarded)
        yield seen


def test_a_step_is_augmented_once_and_goes_once_through_the_prefix(tmp_path: Path) -> None:
    settings = rates(0.1, 0.05, 0.2, model=BLOCKS, augment=CROP, epochs=2)
    together = Together.of(tmp_path, settings)
    with counted() as seen:
        together.train()
    assert seen == {"augmented": 2 * STEPS, "prefix": 2 * STEPS, "steps": 3 * 2 * STEPS}


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
