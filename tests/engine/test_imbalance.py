"""Classes that are not equally frequent: what an epoch draws, and what its loss is."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from benches import SYNTHETIC, Bench, plain_records, settings_of
from PIL import Image
from test_features import BLOCKS, FeaturesBench

from runner.components.data.dataset import ImageSource, array_source
from runner.components.settings import Settings
from runner.engine.data.samples import Images
from runner.engine.network.build import build_network
from runner.engine.training import step as step_module
from runner.engine.training.step import TrainingStep

COUNTS = (50, 20, 10)
"""Images of each class; of the training images it is 30, 12 and 6."""
TRAINED = (30, 12, 6)


def skewed_source() -> ImageSource:
    def read(index: int) -> Image.Image:
        pixels = np.random.default_rng(index).integers(0, 256, (8, 8, 3), dtype=np.uint8)
        return Image.fromarray(pixels)

    labels = [label for label, count in enumerate(COUNTS) for _ in range(count)]
    names = [f"{index:03d}" for index in range(len(labels))]
    return array_source(names, labels, ["a", "b", "c"], "skewed", read)


def bench_of(folder: Path, **train: Any) -> Bench:
    return Bench(folder, settings_of(train), skewed_source())


def labels_of(images: Images, seed: int, epoch: int) -> list[int]:
    batches = images.training_batches(seed, epoch, 12, False, None, "balanced")
    return [label for _, labels in batches for label in labels.tolist()]


def test_the_classes_of_a_network_are_counted_in_the_training_images(tmp_path: Path) -> None:
    images = bench_of(tmp_path).images()
    assert images.class_counts(3) == TRAINED
    assert images.class_counts(5) == (*TRAINED, 0, 0)


def test_a_balanced_epoch_is_as_long_and_shows_all_classes_alike(tmp_path: Path) -> None:
    images = bench_of(tmp_path).images()
    epochs = [labels_of(images, 0, epoch) for epoch in range(1, 101)]
    assert {len(labels) for labels in epochs} == {sum(TRAINED)}
    shares = np.bincount(np.concatenate(epochs)) / (100 * sum(TRAINED))
    assert shares == pytest.approx([1 / 3] * 3, abs=0.02)
    assert len({tuple(labels) for labels in epochs}) == 100


def test_a_balanced_epoch_draws_each_image_of_a_class_alike_and_no_other(tmp_path: Path) -> None:
    images = bench_of(tmp_path).images()
    drawn = torch.cat([images.order(3, epoch, "balanced") for epoch in range(1, 201)]).numpy()
    train = images.splits["train"].numpy()
    assert set(drawn.tolist()) == set(train.tolist())
    times = np.bincount(drawn, minlength=80)
    labels = np.asarray(skewed_source().labels)
    for label, count in enumerate(TRAINED):
        own = times[train[labels[train] == label]]
        expected = 200 * sum(TRAINED) / 3 / count
        assert np.abs(own - expected).max() < 5 * expected**0.5


def test_a_balanced_epoch_is_drawn_from_the_seed_and_the_epoch_alone(tmp_path: Path) -> None:
    images, again = bench_of(tmp_path / "a").images(), bench_of(tmp_path / "b").images()
    labels_of(images, 0, 1)
    assert torch.equal(images.order(4, 2, "balanced"), again.order(4, 2, "balanced"))
    assert not torch.equal(images.order(5, 2, "balanced"), again.order(4, 2, "balanced"))
    assert images.order(4, 2, "balanced")[:8].tolist() == GOLDEN


GOLDEN = [31, 10, 7, 58, 49, 30, 59, 45]
"""What every machine draws."""


def test_a_shuffled_epoch_is_what_it_is_without_the_setting(tmp_path: Path) -> None:
    plain, named = bench_of(tmp_path / "a"), bench_of(tmp_path / "b", sampling="shuffled")
    assert plain.stage("train").key == named.stage("train").key
    balanced = bench_of(tmp_path / "c", sampling="balanced")
    assert plain.stage("train").key != balanced.stage("train").key


@pytest.mark.fast_cases(1)
@pytest.mark.parametrize(
    "loss",
    [
        {"name": "cross_entropy", "class_weights": "balanced", "label_smoothing": 0.1},
        {"name": "focal", "class_weights": [0.5, 2.0, 7.0]},
    ],
)
def test_the_weighted_loss_of_an_epoch_is_that_of_all_its_images(
    loss: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The weights stand still, so that batches are one pass through the network."""
    still = {"name": "sgd", "lr": 1e-30}
    bench = bench_of(tmp_path, loss=loss, optimizer=still, epochs=1, batch_size=7)
    (found,) = bench.metric(bench.train(), "train_loss")
    images, settings = bench.images(), bench.settings
    network = build_network(settings, images.shape, 3, images.device)
    network.module.load_state_dict(bench.weights())
    inputs, labels = images.gather(images.splits["train"])
    weights = torch.tensor(settings.train.loss.weights_of_classes(TRAINED))
    expected = settings.train.loss.build(weights)(network(inputs), labels)
    assert found == pytest.approx(expected.item(), rel=1e-5)
    (of_validation,) = bench.metric(bench.train(2), "val_loss")
    inputs, labels = images.gather(images.splits["val"])
    plain = torch.nn.functional.cross_entropy(network(inputs), labels)
    assert of_validation == pytest.approx(plain.item(), rel=1e-5)


def test_weights_for_outputs_without_images_are_there(tmp_path: Path) -> None:
    weighted = {"loss": {"name": "cross_entropy", "class_weights": "balanced"}, "epochs": 1}
    model = {"name": "mlp", "hidden": [4], "classes": 5}
    bench = Bench(tmp_path, settings_of(weighted, model), skewed_source())
    (loss,) = bench.metric(bench.train(), "train_loss")
    assert 0 < loss < 5


@pytest.mark.slow
def test_balanced_epochs_behind_a_frozen_prefix_show_the_same_images(tmp_path: Path) -> None:
    train = {"sampling": "balanced", "augment": {"steps": [{"name": "RandomHorizontalFlip"}]}}
    settings: Settings = settings_of(train, BLOCKS, SYNTHETIC)
    plain, features = Bench(tmp_path / "a", settings), FeaturesBench(tmp_path / "b", settings)
    records = [bench.read(bench.train()) for bench in (plain, features)]
    for ours, theirs in zip(*records, strict=True):
        assert ours.step_losses == pytest.approx(theirs.step_losses, rel=1e-4)


def test_a_step_with_a_known_loss_seeds_no_generator(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seeds: list[int] = []
    monkeypatch.setattr(step_module, "seed_generator", lambda device, seed: seeds.append(seed))
    bench = bench_of(tmp_path, loss={"name": "focal"}, epochs=1)
    bench.train()
    assert not seeds


def test_a_step_takes_the_weights_that_it_is_given(tmp_path: Path) -> None:
    bench = bench_of(tmp_path)
    images, settings = bench.images(), bench.settings
    inputs, labels = images.gather(images.splits["train"])
    losses = []
    for weights in (None, torch.tensor([1.0, 1.0, 1.0]), torch.tensor([1.0, 9.0, 1.0])):
        network = build_network(settings, images.shape, 3, images.device)
        optimizer = settings.train.optimizer.build(list(network.trainable()))
        loss, _ = TrainingStep(settings, network, optimizer, weights)(1, 1, inputs, labels)
        losses.append(loss.item())
    assert losses[0] == pytest.approx(losses[1])
    assert losses[0] != pytest.approx(losses[2], rel=1e-3)


@pytest.mark.slow
def test_equal_runs_record_the_same(tmp_path: Path) -> None:
    train = {"sampling": "balanced", "loss": {"name": "focal", "class_weights": [1.0, 2.0, 3.0]}}
    benches = [bench_of(tmp_path / name, **train) for name in "ab"]
    records = [plain_records(bench.read(bench.train())) for bench in benches]
    assert records[0] == records[1]
