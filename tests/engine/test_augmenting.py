"""Training on augmented images: keyed, resumed bit for bit, never evaluated, both views frozen."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from benches import Bench, plain_records, reading_of, settings_of
from test_features import BLOCKS, FeaturesBench

from runner.components.augmentations.pipeline import Pipeline
from runner.core.errors import Interrupted
from runner.engine.data import draws
from runner.engine.data.augment import Augmenter, augmented_samples
from runner.engine.network.build import build_network

STEPS: list[dict[str, Any]] = [
    {"name": "RandomCrop", "size": 8, "padding": 2},
    {"name": "ColorJitter", "brightness": 0.5, "hue": 0.1},
    {"name": "RandomErasing", "value": "mean"},
]
FLIP: list[dict[str, Any]] = [{"name": "RandomHorizontalFlip"}]


def augmenting_by(steps: list[dict[str, Any]] | None, **others: Any) -> dict[str, Any]:
    return {"augment": None if steps is None else {"steps": steps, **others}}


def pipeline_of(steps: list[dict[str, Any]], **others: Any) -> Pipeline:
    return Pipeline.model_validate_json(json.dumps({"steps": steps, **others}))


def bench(folder: Path, steps: list[dict[str, Any]] | None, **others: Any) -> Bench:
    return Bench(folder, settings_of(train=augmenting_by(steps, **others)))


def test_training_sees_the_augmented_batches_in_order(tmp_path: Path) -> None:
    one = bench(tmp_path, STEPS)
    images, train = one.images(), one.settings.train
    plain = list(images.training_batches(0, 2, train.batch_size, False))
    found = list(images.training_batches(0, 2, train.batch_size, False, train.augment))
    assert len(found) == len(plain) == 3
    augmenter = Augmenter(pipeline_of(STEPS), 0, (0.5,))
    for step, ((inputs, labels), (before, same)) in enumerate(
        zip(found, plain, strict=True), start=1
    ):
        assert torch.equal(labels, same)
        levels = ((before * 0.5 + 0.5) * 255).round().to(torch.uint8)
        expected = augmenter(levels, 2, step).float() / 255
        torch.testing.assert_close(inputs, (expected - 0.5) / 0.5)
        assert inputs.is_contiguous(memory_format=torch.channels_last)


@pytest.mark.slow
def test_augmented_training_repeats_itself_and_differs_from_plain(tmp_path: Path) -> None:
    records = {}
    for name, steps in (("a", STEPS), ("b", STEPS), ("plain", None), ("flip", FLIP)):
        one = bench(tmp_path / name, steps)
        records[name] = plain_records(one.read(one.train()))
    assert records["a"] == records["b"]
    assert len({str(each) for each in records.values()}) == 3


def test_a_pipeline_that_no_image_goes_through_is_no_augmentation(tmp_path: Path) -> None:
    never, plain = bench(tmp_path / "never", STEPS, p=0.0), bench(tmp_path / "plain", None)
    assert plain_records(never.read(never.train())) == plain_records(plain.read(plain.train()))
    assert never.digest() == plain.digest()


def test_evaluation_is_never_augmented(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[tuple[int, int, int]] = []
    call = Augmenter.__call__

    def pluralize(self: Augmenter, images: torch.Tensor, epoch: int, step: int) -> torch.Tensor:
        seen.append((len(images), epoch, step))
        return call(self, images, epoch, step)

    monkeypatch.setattr(Augmenter, "__call__", pluralize)
    train = {**augmenting_by(STEPS), "epochs": 2}
    one = Bench(tmp_path, settings_of(train=train, evaluate={"train_eval": "full"}))
    outcome = one.train()
    one.do("evaluate", 2, outcome)
    assert seen == [(12, epoch, step) for epoch in (1, 2) for step in (1, 2, 3)]


@pytest.mark.slow
@pytest.mark.parametrize("stop_after", [2, 4, 8])
def test_an_augmented_training_that_is_continued_is_the_undisturbed_one(
    tmp_path: Path, stop_after: int
) -> None:
    undisturbed = bench(tmp_path / "undisturbed", STEPS, p=0.7)
    records = plain_records(undisturbed.read(undisturbed.train()))
    one = bench(tmp_path / "stopped", STEPS, p=0.7)
    asked = iter([False] * stop_after + [True] * 99)
    one.options |= {"checkpoint_seconds": 0.0, "should_stop": lambda: next(asked)}
    one.do("prepare")
    with pytest.raises(Interrupted):
        one.do("train", 1)
    del one.options["should_stop"]
    outcome = one.do("train", 2)
    assert (len(reading_of(outcome)["reads"]) == 2) == (stop_after > 3)
    assert plain_records(one.read(outcome)) == records
    assert one.digest() == undisturbed.digest()


class FlippedBench(FeaturesBench):
    """A bench whose features are of both views."""

    def __post_init__(self) -> None:
        super().__post_init__()
        assert self.stage("features").prefix.views == 2


@pytest.mark.slow
@pytest.mark.parametrize("p", [1.0, 0.5])
def test_training_on_the_features_of_both_views_is_training_on_mirrored_images(
    tmp_path: Path, p: float
) -> None:
    settings = settings_of(model=BLOCKS, train=augmenting_by(FLIP, p=p))
    plain, shared = Bench(tmp_path / "plain", settings), FlippedBench(tmp_path / "shared", settings)
    one, other = plain.train(), shared.train()
    for first, second in zip(plain.read(one), shared.read(other), strict=True):
        assert second.step_losses == pytest.approx(first.step_losses, rel=1e-4)
        assert [each.value for each in second.metrics] == pytest.approx(
            [each.value for each in first.metrics], rel=1e-4, abs=1e-6
        )
    tested = shared.do("evaluate", 3, other).measured
    for ours, theirs in zip(tested, plain.do("evaluate", 3, one).measured, strict=True):
        assert ours.value == pytest.approx(theirs.value, rel=1e-4)
    unflipped = Bench(tmp_path / "unflipped", settings_of(model=BLOCKS))
    others = unflipped.read(unflipped.train())
    assert others[0].step_losses != pytest.approx(plain.read(one)[0].step_losses, rel=1e-4)


def test_the_features_hold_both_views_and_a_batch_takes_those_of_its_flips(tmp_path: Path) -> None:
    settings = settings_of(model=BLOCKS, train=augmenting_by(FLIP, p=0.8))
    shared = FlippedBench(tmp_path, settings)
    shared.do("prepare")
    outcome = shared.do("features")
    rows = np.load(shared.folder_of_features / "features.npy")
    assert rows.shape == (120, 24)
    assert outcome.produced[0].num_bytes == rows.nbytes + 128
    images = shared.images()
    network = build_network(settings, images.shape, 3, torch.device("cpu"))
    network.eval()
    split = network.split()
    assert split is not None
    with torch.no_grad():
        every = images.inputs(torch.arange(60))
        for view, inputs in ((rows[:60], every), (rows[60:], every.flip(-1))):
            expected = split.prefix(inputs.contiguous(memory_format=torch.channels_last))
            np.testing.assert_allclose(view, expected.numpy(), rtol=1e-4, atol=1e-5)
    features = augmenting_features(shared)
    arguments = (0, 3, 12, False, settings.train.augment)
    pairs = zip(
        images.training_batches(*arguments), features.training_batches(*arguments), strict=True
    )
    plain = images.training_batches(*arguments[:-1])
    num_flipped = 0
    for ((inputs, labels), (given, same)), (before, _) in zip(pairs, plain, strict=True):
        flipped = (inputs != before).flatten(1).any(dim=1)
        assert torch.equal(inputs[flipped], before[flipped].flip(-1))
        num_flipped += int(flipped.sum())
        assert torch.equal(labels, same)
        with torch.no_grad():
            torch.testing.assert_close(given, split.prefix(inputs), rtol=1e-4, atol=1e-5)
    assert 4 < num_flipped < 30


def augmenting_features(shared: FeaturesBench) -> Any:
    from runner.engine.data.feature_samples import Features

    return Features(shared.folder_of_features, shared.images())


def test_samples_for_people_go_through_the_whole_pipeline() -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (4, 9, 11, 3)).astype(np.uint8)
    flip = [{"name": "RandomHorizontalFlip", "p": 1.0}]
    found = augmented_samples(pixels, pipeline_of(flip, p=0.0), seed=1, count=2)
    assert (found.shape, found.dtype) == ((2, 4, 9, 11, 3), np.uint8)
    np.testing.assert_array_equal(found, np.stack([pixels[:, :, ::-1]] * 2))
    turn = pipeline_of([{"name": "RandomAffine", "degrees": 90}])
    turned = augmented_samples(pixels, turn, seed=1, count=3)
    assert len({version.tobytes() for image in turned for version in image}) == 12
    np.testing.assert_array_equal(turned, augmented_samples(pixels, turn, seed=1, count=3))


def test_every_place_of_a_pipeline_has_a_purpose_of_its_own(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    seen: list[tuple[Any, ...]] = []
    keyed = draws.keyed_seed
    monkeypatch.setattr(draws, "keyed_seed", lambda *words: [seen.append(words), keyed(*words)][1])
    one = {"name": "one_of", "choices": [[*FLIP, *FLIP], [{"name": "RandomEqualize"}]]}
    images = torch.zeros((30, 3, 4, 4), dtype=torch.uint8)
    Augmenter(pipeline_of([*FLIP, one]), 7)(images, 5, 9)
    purposes = ["", " 0", " 1", " 1.0.0", " 1.0.1", " 1.1.0"]
    assert seen == [(7, f"augment{place}", 5, 9) for place in purposes]


@pytest.mark.gpu
def test_devices_agree() -> None:
    names = pipeline_of(
        [
            {"name": "RandomResizedCrop", "size": 32},
            {"name": "ColorJitter", "brightness": 0.5, "contrast": 0.5, "hue": 0.2},
            {"name": "RandomAffine", "degrees": 30, "shear": 10},
            {"name": "RandomPerspective"},
            {"name": "RandomErasing"},
            {"name": "one_of", "choices": [FLIP, [{"name": "GaussianBlur", "kernel_size": 3}]]},
        ],
        p=0.8,
    )
    images = torch.randint(0, 256, (64, 3, 32, 32), dtype=torch.uint8)
    on_cpu = Augmenter(names, 0)(images, 1, 1).int()
    on_gpu = Augmenter(names, 0)(images.cuda(), 1, 1).cpu().int()
    assert (on_cpu - on_gpu).abs().max() <= 4
    assert (on_cpu != on_gpu).float().mean() < 0.02
