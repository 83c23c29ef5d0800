"""Pixels: decoded and resized as torchvision does, gathered and normalised, split by class."""

from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import torch
from benches import SYNTHETIC, Bench, settings_of
from PIL import Image
from torchvision.transforms import functional as vision

from runner.core.keys import keyed_seed
from runner.engine.data.samples import evaluation_batch_size
from runner.engine.stages.prepare import transform

SIZES = [(8, 8), (9, 7), (20, 31), (33, 17), (64, 48), (5, 90)]
"""Height and width of images before preprocessing."""


def noise(height: int, width: int, channels: int = 3) -> Image.Image:
    draw = np.random.default_rng(height * 1000 + width)
    pixels = draw.integers(0, 256, (height, width, channels), dtype=np.uint8)
    return Image.fromarray(pixels if channels == 3 else pixels[:, :, 0])


def data_of(**values):
    return settings_of(data={**SYNTHETIC, **values}).data


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("resize", [5, 7, 16, 24, 31, [10, 13], [40, 6]])
def test_resize_is_torchvisions(size: tuple[int, int], resize: int | list[int]) -> None:
    image = noise(*size)
    bilinear = vision.InterpolationMode.BILINEAR
    expected = np.asarray(vision.resize(image, resize, bilinear, antialias=True))
    np.testing.assert_array_equal(transform(image, data_of(resize=resize)), expected)


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("crop", [1, 4, 5, [3, 5], [5, 2]])
def test_centre_crop_is_torchvisions(size: tuple[int, int], crop: int | list[int]) -> None:
    image = noise(*size)
    expected = np.asarray(vision.center_crop(image, crop))
    np.testing.assert_array_equal(transform(image, data_of(crop=crop)), expected)


@pytest.mark.parametrize(("resize", "crop"), [(256, 224), (13, 9), (12, [12, 11])])
def test_resize_then_crop_is_torchvisions(resize: int, crop: int | list[int]) -> None:
    image = noise(30, 47)
    bilinear = vision.InterpolationMode.BILINEAR
    resized = vision.resize(image, resize, bilinear, antialias=True)
    expected = np.asarray(vision.center_crop(resized, crop))
    np.testing.assert_array_equal(transform(image, data_of(resize=resize, crop=crop)), expected)


def test_a_crop_larger_than_the_image_says_both_sizes() -> None:
    with pytest.raises(ValueError, match=r"data.crop is 9×9, larger than the image of 8×20"):
        transform(noise(8, 20), data_of(crop=9))


@pytest.mark.parametrize(("mode", "color", "channels"), [
    ("RGB", "rgb", 3), ("RGB", "gray", 1), ("L", "rgb", 3), ("L", "gray", 1), ("RGBA", "rgb", 3),
    ("P", "rgb", 3), ("1", "gray", 1), ("CMYK", "rgb", 3),
])  # fmt: skip
def test_every_mode_becomes_the_colour_asked_for(mode: str, color: str, channels: int) -> None:
    image = noise(6, 5).convert(mode)
    found = transform(image, data_of(color=color))
    assert found.shape == (6, 5, channels)
    expected = np.asarray(image.convert("RGB" if color == "rgb" else "L")).reshape(found.shape)
    np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize(
    ("normalize", "mean", "std"),
    [
        ("none", [0.0] * 3, [1.0] * 3),
        ("half", [0.5] * 3, [0.5] * 3),
        ("imagenet", [0.485, 0.456, 0.406], [0.229, 0.224, 0.225]),
        ({"mean": [0.1, 0.2, 0.3], "std": [0.4, 0.5, 0.6]}, [0.1, 0.2, 0.3], [0.4, 0.5, 0.6]),
        ({"mean": [0.3], "std": [0.2]}, [0.3] * 3, [0.2] * 3),
    ],
)
def test_a_batch_is_what_torchvision_makes_of_the_images(
    normalize, mean: list[float], std: list[float], tmp_path: Path
) -> None:
    bench = Bench(tmp_path, settings_of(data={**SYNTHETIC, "normalize": normalize}))
    indices = torch.tensor([5, 0, 59, 5])
    batch, labels = bench.images().gather(indices)
    assert bench.source is not None
    for row, index in enumerate(indices.tolist()):
        tensor = vision.to_tensor(bench.source.read(index))
        torch.testing.assert_close(batch[row], vision.normalize(tensor, mean, std))
        assert labels[row] == bench.source.labels[index]
    assert batch.dtype == torch.float32
    assert batch.is_contiguous(memory_format=torch.channels_last)


def test_gathering_leaves_the_pixels_as_they_were(tmp_path: Path) -> None:
    images = Bench(tmp_path, settings_of()).images()
    first, _ = images.gather(torch.tensor([3]))
    kept = first.clone()
    first.zero_()
    again, _ = images.gather(torch.tensor([3]))
    torch.testing.assert_close(again, kept, rtol=0, atol=0)


def splits_of(folder: Path, **data) -> dict[str, list[int]]:
    images = Bench(folder, settings_of(data={**SYNTHETIC, **data})).images()
    return {name: indices.tolist() for name, indices in images.splits.items()}


def test_splits_are_disjoint_and_complete(tmp_path: Path) -> None:
    splits = splits_of(tmp_path)
    together = [index for indices in splits.values() for index in indices]
    assert sorted(together) == list(range(60))
    assert {name: len(indices) for name, indices in splits.items()} == {
        "train": 36,
        "val": 12,
        "test": 12,
    }


def test_splits_hold_every_class_in_its_share(tmp_path: Path) -> None:
    splits = splits_of(tmp_path)
    counts = {name: Counter(index % 3 for index in indices) for name, indices in splits.items()}
    assert counts == {
        "train": {0: 12, 1: 12, 2: 12},
        "val": {0: 4, 1: 4, 2: 4},
        "test": {0: 4, 1: 4, 2: 4},
    }


def test_splits_depend_on_their_own_seed_alone(tmp_path: Path) -> None:
    first = splits_of(tmp_path / "a", split_seed=0)
    assert splits_of(tmp_path / "b", split_seed=0) == first
    other = splits_of(tmp_path / "c", split_seed=1)
    assert other != first
    settings = settings_of(seed=1)
    images = Bench(tmp_path / "d", settings).images()
    assert {name: each.tolist() for name, each in images.splits.items()} == first


def test_without_fractions_everything_is_for_training(tmp_path: Path) -> None:
    splits = splits_of(tmp_path, validation=0.0, test=0.0)
    assert splits == {"train": list(range(60)), "val": [], "test": []}


def test_a_sample_of_the_training_images_makes_an_epoch(tmp_path: Path) -> None:
    sampled = settings_of(data={**SYNTHETIC, "train_images": 9})
    images = Bench(tmp_path, sampled).images()
    whole = Bench(tmp_path, settings_of()).images()
    assert images.digest == whole.digest
    assert images.num_steps(4, False) == 3
    assert len(seen(images, 0, 1, 4)) == 9
    for split in ("val", "test"):
        assert images.splits[split].tolist() == whole.splits[split].tolist()


def seen(images, seed: int, epoch: int, batch_size: int, drop_last: bool = False) -> list[float]:
    batches = images.training_batches(seed, epoch, batch_size, drop_last)
    return [float(image.double().sum()) for batch, _ in batches for image in batch]


def test_an_epoch_shows_every_training_image_once_in_an_order_of_its_own(tmp_path: Path) -> None:
    images = Bench(tmp_path, settings_of()).images()
    whole, _ = images.gather(images.splits["train"])
    orders = [seen(images, 0, 1, 7), seen(images, 0, 2, 7), seen(images, 1, 1, 7)]
    for order in orders:
        assert sorted(order) == sorted(float(image.double().sum()) for image in whole)
    assert orders[0] != orders[1]
    assert orders[0] != orders[2]
    assert seen(images, 0, 1, 36) == orders[0]


def test_the_order_is_the_keyed_permutation(tmp_path: Path) -> None:
    images = Bench(tmp_path, settings_of()).images()
    generator = torch.Generator().manual_seed(keyed_seed(4, "order", 3))
    order = images.splits["train"][torch.randperm(36, generator=generator)]
    expected, _ = images.gather(order[:10])
    found, _ = next(images.training_batches(4, 3, 10, False))
    torch.testing.assert_close(found, expected, rtol=0, atol=0)


@pytest.mark.parametrize(("drop_last", "sizes"), [(False, [10, 10, 10, 6]), (True, [10, 10, 10])])
def test_an_incomplete_last_batch_is_dropped_when_asked(
    drop_last: bool, sizes: list[int], tmp_path: Path
) -> None:
    images = Bench(tmp_path, settings_of()).images()
    batches = images.training_batches(0, 1, 10, drop_last)
    assert [len(labels) for _, labels in batches] == sizes
    assert images.num_steps(10, drop_last) == len(sizes)


@pytest.mark.parametrize(
    ("device", "shape", "size"),
    [
        ("cpu", (1, 8, 8), 1024),
        ("cpu", (3, 32, 32), 1024),
        ("cpu", (3, 64, 64), 512),
        ("cpu", (3, 224, 224), 32),
        ("cuda", (3, 32, 32), 1024),
        ("cuda", (3, 224, 224), 256),
        ("cuda:1", (3, 512, 512), 64),
        ("mps", (3, 224, 224), 32),
    ],
)
def test_the_evaluation_batch_is_a_constant_of_image_size_and_kind_of_device(
    device: str, shape: tuple[int, int, int], size: int
) -> None:
    assert evaluation_batch_size(shape, torch.device(device)) == size
