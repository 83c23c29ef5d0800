"""Logits that evaluations have computed are held for kept epochs, and are those of a pass."""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import torch
from benches import Bench, reading_of, settings_of
from cohorts import CROP, DROPPING, Together, path_bytes, rates
from test_features import BLOCKS, FeaturesBench
from test_resume import STEPS, stop_after

from runner.core.errors import Interrupted
from runner.engine.context import Outcome
from runner.engine.data.samples import Images, Samples
from runner.engine.network.build import build_network
from runner.engine.stages.evaluate import Logits, evaluate
from runner.engine.training import held_logits
from runner.engine.training.held_logits import HeldLogits, catching

EVERYTHING = {"train_eval": "full", "test": "each_epoch"}
LAST_TESTED = {"test": "last"}
CONVNET = {"name": "convnet", "filters": [4], "batch_norm": True, "dropout": 0.3}
CASES: dict[str, tuple[type[Bench], dict[str, Any]]] = {
    "each epoch is tested": (Bench, {"model": DROPPING, "evaluate": EVERYTHING}),
    "best and last are kept": (Bench, {"model": CONVNET, "evaluate": LAST_TESTED}),
    "augmented, bf16": (Bench, {"model": CONVNET, "train": {"augment": CROP, "precision": "bf16"}}),
    "on features": (FeaturesBench, {"model": BLOCKS, "evaluate": LAST_TESTED}),
    "augmented, evaluated on features": (
        FeaturesBench,
        {"model": BLOCKS, "train": {"augment": CROP}, "evaluate": EVERYTHING},
    ),
}


@contextmanager
def counted_passes() -> Iterator[Counter[str]]:
    """Count how often each split is passed through a network."""
    seen: Counter[str] = Counter()
    real = Samples.evaluation_batches

    def count(self: Samples, split: Any) -> Any:
        seen[split] += 1
        return real(self, split)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Samples, "evaluation_batches", count)
        yield seen


def logits_of(bench: Bench, outcome: Outcome) -> dict[str, bytes]:
    """Return what lies on the disk of all logits that a training has left."""
    names = [each.name for each in outcome.produced if each.name.startswith("logits/")]
    assert names
    return {name: path_bytes(bench, name) for name in names}


@pytest.mark.fast_cases(1)
@pytest.mark.parametrize("case", CASES)
def test_logits_that_are_held_are_those_of_a_pass_through_kept_weights(
    case: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kind, values = CASES[case]
    settings = settings_of(**values)
    held, passed = kind(tmp_path / "held", settings), kind(tmp_path / "passed", settings)
    splits = ["val", *(["test"] if values.get("evaluate") is EVERYTHING else [])]
    with counted_passes() as seen:
        outcome = held.train()
    assert {split: seen[split] for split in splits} == dict.fromkeys(splits, 3)
    monkeypatch.setattr(held_logits, "HELD_BYTES", -1)
    with counted_passes() as seen:
        other = passed.train()
    assert all(seen[split] > 3 for split in splits)
    assert logits_of(held, outcome) == logits_of(passed, other)
    assert outcome.produced == other.produced


@pytest.mark.slow
def test_side_by_side_each_holds_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = rates(0.1, 0.05, model=BLOCKS, augment=CROP)
    together = Together.of(tmp_path / "together", settings)
    with counted_passes() as seen:
        ends = together.train()
    assert seen == {"val": 2 * 3}
    monkeypatch.setattr(held_logits, "HELD_BYTES", -1)
    for number, (bench, end) in enumerate(zip(together.benches, ends, strict=True)):
        alone = Bench(tmp_path / str(number), bench.settings)
        assert isinstance(end, Outcome)
        assert logits_of(bench, end) == logits_of(alone, alone.train())


@pytest.mark.slow
def test_a_training_that_goes_on_passes_an_older_best_epoch_only(tmp_path: Path) -> None:
    """With this rate the first epoch is the best, and the last is tested."""
    train = {"epochs": 4, "optimizer": {"name": "sgd", "lr": 1e-6}}
    train["best"] = {"monitor": "val_loss", "mode": "max"}
    settings = settings_of(train, evaluate=LAST_TESTED)
    whole, parts = Bench(tmp_path / "whole", settings), Bench(tmp_path / "parts", settings)
    expected = whole.train()
    assert reading_of(expected)["best_epoch"] == 1
    parts.options |= {"checkpoint_seconds": 0.0, "should_stop": stop_after(STEPS + 1)}
    parts.do("prepare")
    with pytest.raises(Interrupted):
        parts.do("train")
    del parts.options["should_stop"]
    with counted_passes() as seen:
        outcome = parts.do("train", 2)
    assert reading_of(outcome)["reads"] == [[1, 1, 1], [2, 2, 4]]
    assert seen == {"val": 3 + 1}
    assert logits_of(parts, outcome) == logits_of(whole, expected)


def test_logits_that_nobody_keeps_any_more_are_dropped_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    held: list[list[int]] = []
    real = HeldLogits.hold

    def hold(self: HeldLogits, epoch: int, *others: Any) -> None:
        real(self, epoch, *others)
        held.append([each for each in range(1, 5) if each in self])

    monkeypatch.setattr(HeldLogits, "hold", hold)
    Bench(tmp_path, settings_of({"epochs": 4, "best": {"monitor": "last"}})).train()
    assert held == [[1], [2], [3], [4]]


def test_logits_are_held_as_far_as_they_fit(monkeypatch: pytest.MonkeyPatch) -> None:
    some = {"val": Logits(), "test": Logits()}
    some["val"].add(torch.ones(2, 3), 2)
    some["test"].add(torch.zeros(1, 3), 1)
    monkeypatch.setattr(held_logits, "HELD_BYTES", 2 * 36 + 35)
    held = HeldLogits()
    for epoch in (1, 2, 3):
        held.hold(epoch, some, {1, 2, 3})
    assert [epoch in held for epoch in (1, 2, 3)] == [True, True, False]
    held.hold(4, some, {2, 3, 4})
    assert [epoch in held for epoch in (1, 2, 3, 4)] == [False, True, False, True]
    held.hold(5, some, {4})
    assert [epoch in held for epoch in (2, 4, 5)] == [False, True, False]
    taken = held.take(4)
    assert {split: each.tolist() for split, each in taken.items()} == {
        "val": [[1.0] * 3] * 2,
        "test": [[0.0] * 3],
    }
    assert held.take(4) == {}


def test_logits_of_an_epoch_that_would_not_fit_are_not_caught(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench = Bench(tmp_path, settings_of(evaluate=EVERYTHING))
    images = bench.images()
    splits = {split: len(images.splits[split]) for split in ("val", "test")}
    needed = 4 * sum(splits.values()) * len(images.classes)
    monkeypatch.setattr(held_logits, "HELD_BYTES", needed)
    assert catching(bench.settings, images).keys() == splits.keys()
    monkeypatch.setattr(held_logits, "HELD_BYTES", needed - 1)
    assert catching(bench.settings, images) == {}


def test_logits_of_a_gpu_are_gathered_there_without_waiting(tmp_path: Path) -> None:
    """On the meta device nothing can be read."""
    meta = torch.device("meta")
    bench = Bench(tmp_path, settings_of(model=CONVNET))
    images: Images = bench.images()
    images._pixels, images._labels = images._pixels.to(meta), images._labels.to(meta)
    images.device = images.home = meta
    network = build_network(bench.settings, images.shape, len(images.classes), meta)
    gathered = Logits(meta)
    evaluate(network, images, "val", 1, "fp32", (), kept=gathered)
    with pytest.raises(NotImplementedError):
        gathered.whole()
    with pytest.raises((NotImplementedError, RuntimeError)):
        evaluate(network, images, "val", 1, "fp32", (), kept=Logits())


def test_of_epochs_that_are_not_kept_nothing_comes_from_the_device(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    read: list[int] = []
    real = Logits.whole

    def whole(self: Logits) -> Any:
        read.append(self._count)
        return real(self)

    monkeypatch.setattr(Logits, "whole", whole)
    train = {"optimizer": {"name": "sgd", "lr": 1e-6}}
    train["best"] = {"monitor": "val_loss", "mode": "max"}
    outcome = Bench(tmp_path, settings_of(train)).train()
    assert reading_of(outcome)["best_epoch"] == 1
    assert read == [12]
