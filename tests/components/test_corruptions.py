"""The corruptions of CIFAR-10-C, held against plain numpy, scipy and Pillow."""

from collections.abc import Mapping
from typing import Any

import corruption_oracle as oracle
import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor

from runner.components.analyses.robustness import Change
from runner.components.augmentations.augmentation import UnsuitableSize
from runner.components.corruptions.constants import (
    CONSTANTS,
    DRAWN,
    KINDS,
    SEVERITIES,
    STANDARD_KINDS,
    CorruptionKind,
)
from runner.components.corruptions.corruption import Corruption
from runner.engine.data.augment import Augmenter, by_masks
from runner.engine.data.draws import Draws

SIZE = (32, 32)
BY_CHANNEL = {"gaussian_noise", "shot_noise", "impulse_noise", "speckle_noise"}
"""Whose numbers are drawn for each channel."""

TURNS_BACK = {"glass_blur", "frost", "elastic_transform", "spatter", "saturate"}
"""Whose constants do not lead ever farther away: less of one thing, and more of another."""


@pytest.fixture(scope="module")
def images() -> Tensor:
    """Smooth colours with edges, grays, black and white: (6, 3, 32, 32)."""
    generator = np.random.default_rng(3)
    rough = torch.from_numpy(generator.uniform(-40, 295, (6, 3, 5, 5)))
    smooth = torch.nn.functional.interpolate(rough, SIZE, mode="bicubic").clamp(0, 255)
    smooth[:, :, 8:14, 10:25] = 255 - smooth[:, :, 8:14, 10:25]
    smooth[0, :, 20:28] = smooth[0, :1, 20:28]
    smooth[:2, :, :4], smooth[:2, :, 28:] = 0, 255
    return smooth.to(torch.uint8)


def corruption(kind: CorruptionKind, severity: int) -> Corruption:
    return Corruption(name="corruption", kind=kind, severity=severity)


def corrupted(images: Tensor, kind: CorruptionKind, severity: int, rows: list[int]) -> Tensor:
    change = Change(steps=(corruption(kind, severity),))
    return Augmenter(change, 7)(images, 1, 1, rows)


def in_order(images: Tensor) -> list[int]:
    return list(range(len(images)))


def of_one(drawn: Mapping[str, Tensor], row: int, kind: str) -> dict[str, NDArray[Any]]:
    """Return what was drawn for an image, channels last."""
    own = {name: values[row].numpy() for name, values in drawn.items()}
    is_last = kind in BY_CHANNEL
    return {name: np.moveaxis(each, 0, -1) if is_last else each for name, each in own.items()}


@pytest.mark.fast_cases(5)
@pytest.mark.parametrize("kind", KINDS)
def test_a_corruption_is_what_the_definition_makes_of_the_same_numbers(
    kind: CorruptionKind, images: Tensor
) -> None:
    some = images[:1]
    for severity in range(1, SEVERITIES + 1):
        step = corruption(kind, severity)
        drawn = step.draw(torch.Generator().manual_seed(severity), len(some), SIZE)
        prepared = step.parameters(drawn, SIZE, some.device)
        found = step.apply(some, prepared, (0.5,)).permute(0, 2, 3, 1).numpy()
        assert found.dtype == np.uint8
        for row, image in enumerate(some.permute(0, 2, 3, 1).numpy()):
            own = of_one(drawn, row, kind)
            expected = getattr(oracle, kind)(image.copy(), CONSTANTS[kind][severity - 1], own)
            off = np.abs(found[row].astype(int) - expected.astype(int))
            # a value on the edge of two levels may fall to either side
            assert off.max() <= 1, severity
            assert (off > 0).mean() < 0.001, severity


@pytest.mark.parametrize("kind", KINDS)
def test_an_image_is_corrupted_alike_in_every_batch_and_order(
    kind: CorruptionKind, images: Tensor
) -> None:
    whole = corrupted(images, kind, 4, in_order(images))
    order = [4, 0, 5]
    assert torch.equal(corrupted(images[order], kind, 4, order), whole[order])
    alone = [corrupted(images[row : row + 1], kind, 4, [row]) for row in range(2)]
    assert torch.equal(torch.cat(alone), whole[:2])
    assert torch.equal(corrupted(images, kind, 4, in_order(images)), whole)


@pytest.mark.parametrize("kind", KINDS)
def test_a_gpu_s_way_through_a_batch_makes_the_same(kind: CorruptionKind, images: Tensor) -> None:
    change = Change(steps=(corruption(kind, 4),))
    draws = Draws(7, 1, 1, len(images), in_order(images))
    picked, steps = draws.pipeline(change, SIZE)
    found = by_masks(images, picked, steps, (0.5,), images.device)
    assert torch.equal(found, corrupted(images, kind, 4, in_order(images)))


def test_another_draw_seed_or_image_draws_other_noise(images: Tensor) -> None:
    same, change = images[:1].expand(2, -1, -1, -1), Change(steps=(corruption("fog", 3),))
    one, other = Augmenter(change, 7)(same, 1, 1, [3, 4])
    assert not torch.equal(one, other)
    for seed, draw in ((8, 1), (7, 2)):
        assert not torch.equal(Augmenter(change, seed)(same, draw, 1, [3, 4])[0], one)


def test_severities_of_an_image_draw_the_same_numbers() -> None:
    draws = Draws(7, 1, 1, 2, (5, 9))
    (one,), (other,) = (
        draws.pipeline(Change(steps=(corruption("snow", number),)), SIZE)[1] for number in (1, 5)
    )
    assert not isinstance(one, tuple)
    for name, values in one.drawn.items():  # type: ignore[union-attr]
        assert torch.equal(values, other.drawn[name])  # type: ignore[union-attr]


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind not in TURNS_BACK])
def test_a_higher_severity_is_farther_from_the_image(kind: CorruptionKind, images: Tensor) -> None:
    found = [corrupted(images, kind, number, in_order(images)) for number in range(1, 6)]
    distances = [(each.double() - images).square().mean().sqrt().item() for each in found]
    if kind != "pixelate":  # whose boxes meet the edges of an image by chance
        assert distances == sorted(distances)
    assert 1 < distances[0] < distances[-1] < 90


@pytest.mark.parametrize("kind", KINDS)
def test_gray_images_are_corrupted_too(kind: CorruptionKind, images: Tensor) -> None:
    gray = images[:2, :1]
    found = corrupted(gray, kind, 5, [0, 1])
    assert (found.shape, found.dtype) == (gray.shape, torch.uint8)
    assert torch.equal(found, gray) == (kind == "saturate")


def test_levels_are_cut_off_as_the_authors_store_them() -> None:
    level = torch.full((1, 3, *SIZE), 101, dtype=torch.uint8)
    # 101 + 0.05 · 255 = 113.75
    assert corrupted(level, "brightness", 1, [0]).unique().tolist() == [113]


def test_images_of_another_size_are_refused() -> None:
    with pytest.raises(UnsuitableSize, match="constants for 32×32 pixels, not for 64×64"):
        Change(steps=(corruption("fog", 1),)).check((64, 64))


def test_fifteen_corruptions_are_the_benchmark_and_four_are_extra() -> None:
    assert set(KINDS) - set(STANDARD_KINDS) == {
        "speckle_noise",
        "gaussian_blur",
        "spatter",
        "saturate",
    }
    is_drawn = {kind: bool(corruption(kind, 1).draw(torch.Generator(), 1, SIZE)) for kind in KINDS}
    assert {kind for kind, drawn in is_drawn.items() if drawn} == DRAWN
    assert all(len(CONSTANTS[kind]) == SEVERITIES for kind in KINDS)
