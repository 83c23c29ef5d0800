"""Batched image operations against torchvision's, image by image."""

import hashlib
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from batched_operations import batched, resampled
from exact_sampling import SAMPLED, right_levels
from examples import examples
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torchvision_operations import OPERATIONS, reference

from runner.components.augmentations import (
    chunking_net,
    color_net,
    cropping_net,
    gaussian_net,
    geometry_net,
    resampling_net,
)

GOLDEN = Path(__file__).parent / "golden_levels.json"
NUM_IMAGES = 6
SHAPES = [(3, 32, 32), (1, 17, 23), (3, 9, 12), (3, 40, 8)]
COLORS = ("brightness", "contrast", "saturation", "sharpness")
HAS_AVX2 = torch.backends.cpu.get_cpu_capability() in ("AVX2", "AVX512")
TOLERANCES = {"adjust_contrast": 1, "gaussian_blur": 1}
if not HAS_AVX2:
    # There torchvision itself rounds otherwise; ours are the levels of GOLDEN everywhere.
    TOLERANCES |= {"adjust_saturation": 1, "rgb_to_grayscale": 1, "resize": 2, "resized_crop": 2}
"""Levels; all others are bitwise as torchvision, but for ties of those that sample."""

Case = tuple[str, dict[str, Tensor], dict[str, Any]]
"""Name of an operation, parameters with a row for each image, parameters for all."""


def one_by_one(
    name: str, images: Tensor, each: dict[str, Tensor], shared: dict[str, Any]
) -> Tensor:
    rows = []
    for number, image in enumerate(images):
        own = {key: value[number] for key, value in each.items()}
        rows.append(reference(name, image, **own, **shared))
    return torch.stack(rows)


def assert_as_torchvision(case: Case, images: Tensor) -> None:
    name, each, shared = case
    before = images.clone()
    result = batched(name)(images, **each, **shared)
    expected = one_by_one(name, images, each, shared)
    assert torch.equal(images, before)
    assert result.dtype == torch.uint8
    assert result.shape == expected.shape
    if name in SAMPLED:
        # Where there is one right level, both have it. At a tie there are several, and which one
        # torchvision takes depends on the processor.
        right = torch.stack(right_levels(name, images, each, **shared))
        assert (right == result).any(dim=0).all()
        assert (right == expected).any(dim=0).all()
    else:
        assert largest_difference(result, expected) <= TOLERANCES.get(name, 0)


def largest_difference(result: Tensor, expected: Tensor) -> int:
    return int((result.int() - expected.int()).abs().max()) if result.numel() else 0


def random_images(shape: tuple[int, ...], seed: int = 0, num_images: int = NUM_IMAGES) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(0, 256, (num_images, *shape), dtype=torch.uint8, generator=generator)


def uniform(low: float, high: float, *shape: int, seed: int = 1) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.rand(*shape, generator=generator) * (high - low) + low


def with_first(values: list[float], rest: Tensor) -> Tensor:
    """Return the batch with given values in the first images."""
    rest[: len(values)] = torch.tensor(values).view(-1, *[1] * (rest.ndim - 1))
    return rest


def boxes(height: int, width: int, num_images: int = NUM_IMAGES) -> dict[str, Tensor]:
    shares = uniform(0, 1, 4, num_images, seed=2)
    heights = (1 + shares[0] * height).long().clamp_(max=height)
    widths = (1 + shares[1] * width).long().clamp_(max=width)
    tops = (shares[2] * (height - heights + 1)).long()
    lefts = (shares[3] * (width - widths + 1)).long()
    return {"tops": tops, "lefts": lefts, "heights": heights, "widths": widths}


def corners(height: int, width: int, num_images: int = NUM_IMAGES) -> dict[str, Tensor]:
    """Return corners that move inwards by up to a third of the image, the first image's not."""
    right, bottom = width - 1, height - 1
    starts = torch.tensor([[0, 0], [right, 0], [right, bottom], [0, bottom]])
    starts = starts.expand(num_images, 4, 2)
    inwards = torch.tensor([[1, 1], [-1, 1], [-1, -1], [1, -1]])
    steps = (uniform(0, 1, num_images, 4, 2) * torch.tensor([width, height]) / 3).long()
    steps[0] = 0
    return {"startpoints": starts, "endpoints": starts + steps * inwards}


def turns(num_images: int = NUM_IMAGES) -> Tensor:
    return with_first([0, 90, 180, -90], uniform(-400, 400, num_images))


def affine_parameters(num_images: int = NUM_IMAGES) -> dict[str, Tensor]:
    """Return turns, shifts by whole pixels and halving and doubling alone, and all together."""
    return {
        "angles": with_first([0, 0, 0], uniform(-180, 180, num_images)),
        "translations": with_first([2, 0, 0], uniform(-5, 5, num_images, 2)),
        "scales": with_first([1, 0.5, 2], uniform(0.3, 3, num_images)),
        "shears": with_first([0, 0, 0], uniform(-40, 40, num_images, 2)),
    }


def color_cases() -> list[Case]:
    factors = with_first([0, 1, 0.5, 40], uniform(0, 3, NUM_IMAGES))
    hues = with_first([0, 0.5, -0.5], uniform(-0.5, 0.5, NUM_IMAGES))
    sigmas = uniform(0.1, 3, NUM_IMAGES)
    return [
        *[(f"adjust_{name}", {"factors": factors}, {}) for name in COLORS],
        ("adjust_hue", {"factors": hues}, {}),
        ("rgb_to_grayscale", {}, {}),
        ("equalize", {}, {}),
        *[
            ("gaussian_blur", {"sigmas": sigmas}, {"kernel_size": size})
            for size in ((3, 3), (1, 5), (7, 3))
        ],
    ]


def geometry_cases(height: int, width: int) -> list[Case]:
    box = boxes(height, width)
    origin = {key: box[key] for key in ("tops", "lefts")}
    outside = {key: value - 2 for key, value in origin.items()}
    cases: list[Case] = [
        ("horizontal_flip", {}, {}),
        ("vertical_flip", {}, {}),
        *[("pad", {}, {"padding": 4, "mode": mode, "fill": 9}) for mode in ("constant", "edge")],
        *[("pad", {}, {"padding": 4, "mode": mode}) for mode in ("reflect", "symmetric")],
        *[
            ("pad", {}, {"padding": (1, 0, 5, 7), "mode": mode, "fill": 9})
            for mode in cropping_net.PADDING_MODES
        ],
        ("crop", {key: value % 3 for key, value in origin.items()}, {"size": (height - 2, 6)}),
        ("crop", outside, {"size": (height, width + 1)}),
        ("crop", origin, {"size": (height, width)}),
        *[("resize", {}, {"size": size}) for size in ((height, width), (5, 50), (height, 7))],
        *[("resized_crop", box, {"size": size}) for size in ((height, width), (5, 50))],
        ("resized_crop", {**box, **outside}, {"size": (11, 10)}),
        ("erase", box, {"value": 77}),
        ("erase", {**box, "heights": with_first([0], box["heights"].clone())}, {"value": 0}),
    ]
    for interpolation in ("nearest", "bilinear"):
        for fill in (0, 128):
            how = {"interpolation": interpolation, "fill": fill}
            cases.append(("perspective", corners(height, width), how))
            cases.append(("affine", affine_parameters(), how))
            cases.append(("rotate", {"angles": turns()}, how))
    return cases


def all_cases(shape: tuple[int, int, int]) -> list[Case]:
    return [*color_cases(), *geometry_cases(*shape[1:])]


def case_name(case: Case) -> str:
    return "-".join([case[0], *map(str, case[2].values())]).replace(" ", "")


def test_every_operation_is_compared() -> None:
    assert {name for name, *_ in all_cases(SHAPES[0])} == set(OPERATIONS)


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_colors_are_those_of_torchvision(shape: tuple[int, int, int]) -> None:
    for case in color_cases():
        assert_as_torchvision(case, random_images(shape))


@pytest.mark.fast_cases(1)
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_geometry_is_that_of_torchvision(shape: tuple[int, int, int]) -> None:
    for case in geometry_cases(*shape[1:]):
        assert_as_torchvision(case, random_images(shape))


def test_levels_do_not_depend_on_the_processor() -> None:
    """What was computed with AVX-512, AVX2 and without either is the same; also the golden file.

    Left out is bilinear sampling, whose weighted sum is torch's own.
    """
    hashes: dict[str, Any] = {}
    for shape in SHAPES:
        for name, each, shared in all_cases(shape):
            if shared.get("interpolation") != "bilinear":
                result = batched(name)(random_images(shape), **each, **shared)
                hashes.setdefault(name, hashlib.sha256()).update(result.numpy().tobytes())
    levels = {name: digest.hexdigest()[:16] for name, digest in hashes.items()}
    if os.environ.get("UPDATE_GOLDEN"):
        GOLDEN.write_text(json.dumps(levels, indent=1) + "\n")
    assert levels == json.loads(GOLDEN.read_text())


def test_product_and_sum_of_a_gray_are_rounded_as_one_on_every_processor() -> None:
    # The colours of which some grays would be a level lower or higher, rounded twice.
    colours = torch.tensor([[20, 152, 7], [40, 244, 244], [110, 111, 26], [140, 160, 81]])
    red, green, blue = colours.double().T
    weights = torch.tensor(color_net.GRAY_WEIGHTS).double()
    expected = ((red * weights[0]).float() + (green * weights[1])).float() + blue * weights[2]
    images = colours.to(torch.uint8)[None].transpose(1, 2)[..., None].contiguous()
    grays = color_net.rgb_to_grayscale(images)[0, 0, :, 0]
    assert grays.tolist() == expected.float().int().tolist()


@pytest.mark.parametrize("case", all_cases((3, 32, 32)), ids=case_name)
def test_memory_order_of_the_pixel_cache_changes_nothing(case: Case) -> None:
    name, each, shared = case
    images = random_images((3, 32, 32))
    channels_last = images.permute(0, 2, 3, 1).contiguous().permute(0, 3, 1, 2)
    result = batched(name)(channels_last, **each, **shared)
    assert torch.equal(result, batched(name)(images, **each, **shared))


@pytest.mark.slow
@pytest.mark.parametrize("case", all_cases((3, 19, 32)), ids=case_name)
@pytest.mark.parametrize("values_per_thread", [1, 1 << 17], ids=["small chunks", "one chunk"])
def test_row_depends_on_its_image_and_parameters_alone(
    case: Case, values_per_thread: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(chunking_net, "VALUES_PER_THREAD", values_per_thread)
    name, each, shared = case
    images = random_images((3, 19, 32))
    together = batched(name)(images, **each, **shared)
    alone = []
    for number in range(len(images)):
        own = {key: value[number : number + 1] for key, value in each.items()}
        alone.append(batched(name)(images[number : number + 1], **own, **shared))
    assert torch.equal(together, torch.cat(alone))


@pytest.mark.parametrize("case", all_cases((3, 12, 16)), ids=case_name)
def test_result_of_no_images_has_the_shape_of_some(case: Case) -> None:
    name, each, shared = case
    images = random_images((3, 12, 16))
    none = {key: value[:0] for key, value in each.items()}
    expected = batched(name)(images, **each, **shared).shape[1:]
    result = batched(name)(images[:0], **none, **shared)
    assert result.shape == (0, *expected)
    assert result.dtype == torch.uint8


@pytest.mark.parametrize("case", all_cases((3, 12, 16)), ids=case_name)
def test_result_has_memory_of_its_own(case: Case) -> None:
    name, each, shared = case
    images = random_images((3, 12, 16))
    before = images.clone()
    batched(name)(images, **each, **shared).zero_()
    assert torch.equal(images, before)


def flat_images() -> Tensor:
    """Return images of one level, of two, of few, of a gradient, and of one odd pixel."""
    images = torch.zeros(NUM_IMAGES, 3, 16, 16, dtype=torch.uint8)
    images[1] = 255
    images[2, :, 8:] = 100
    images[3] = random_images((3, 16, 16))[3] // 64 * 64
    images[4] = torch.arange(256).view(16, 16).to(torch.uint8)
    images[5, 0, 3, 3] = 200
    return images


@pytest.mark.parametrize("case", color_cases(), ids=case_name)
def test_flat_images_as_in_torchvision(case: Case) -> None:
    assert_as_torchvision(case, flat_images())


def test_equalizing_one_level_changes_nothing() -> None:
    images = torch.full((2, 3, 8, 8), 17, dtype=torch.uint8)
    assert torch.equal(color_net.equalize(images), images)


def test_hue_just_below_a_full_turn_as_in_torchvision() -> None:
    red = torch.zeros(2, 3, 4, 4, dtype=torch.uint8)
    red[:, 0] = 200
    case: Case = ("adjust_hue", {"factors": torch.tensor([-1e-9, 1e-9])}, {})
    assert_as_torchvision(case, red)
    assert torch.equal(color_net.adjust_hue(red, torch.tensor([-1e-9, 1e-9])), red)


@pytest.mark.parametrize("side", [(2, 9), (9, 2), (1, 1), (3, 3)], ids=str)
def test_sharpness_of_tiny_images_as_in_torchvision(side: tuple[int, int]) -> None:
    factors = {"factors": uniform(0, 5, NUM_IMAGES)}
    assert_as_torchvision(("adjust_sharpness", factors, {}), random_images((3, *side)))


def floats(low: float, high: float) -> st.SearchStrategy[float]:
    """Return numbers that float32 has; subnormal ones are zero to a process that has trained."""
    return st.floats(low, high, width=32, allow_subnormal=False)


factors = st.one_of(
    floats(0, 4),
    st.sampled_from([0.0, 0.25, 0.5, 1.0, 2.0]),
    st.integers(5, 1000),
)
QUICK = settings(max_examples=examples(25), derandomize=True)


def lists(values: st.SearchStrategy[Any]) -> st.SearchStrategy[list[Any]]:
    return st.lists(values, min_size=NUM_IMAGES, max_size=NUM_IMAGES)


def tensor(values: list[Any]) -> Tensor:
    return torch.tensor(values, dtype=torch.float32)


@QUICK
@given(lists(factors), lists(floats(-0.5, 0.5)), st.integers(0, 99))
def test_color_factors_as_in_torchvision(each: list[float], hues: list[float], seed: int) -> None:
    images = random_images((3, 11, 13), seed)
    for name in COLORS:
        assert_as_torchvision((f"adjust_{name}", {"factors": tensor(each)}, {}), images)
    assert_as_torchvision(("adjust_hue", {"factors": tensor(hues)}, {}), images)


@QUICK
@given(
    lists(floats(-360, 360)),
    lists(
        st.tuples(
            floats(-20, 20),
            floats(-20, 20),
        )
    ),
    lists(floats(0.125, 8)),
    lists(
        st.tuples(
            floats(-60, 60),
            floats(-60, 60),
        )
    ),
    st.sampled_from(["nearest", "bilinear"]),
    st.integers(0, 255),
)
def test_affine_maps_as_in_torchvision(
    angles: list[float],
    shifts: list[tuple[float, float]],
    scales: list[float],
    shears: list[tuple[float, float]],
    interpolation: str,
    fill: int,
) -> None:
    each = {
        "angles": tensor(angles),
        "translations": tensor(shifts),
        "scales": tensor(scales),
        "shears": tensor(shears),
    }
    how = {"interpolation": interpolation, "fill": fill}
    images = random_images((3, 16, 32))
    assert_as_torchvision(("affine", each, how), images)
    assert_as_torchvision(("rotate", {"angles": each["angles"]}, how), images)


BOX = st.tuples(*[st.integers(0, 10)] * 2, *[st.integers(1, 10)] * 2)


@QUICK
@given(lists(BOX), st.integers(1, 40), st.integers(1, 40))
def test_crop_boxes_as_in_torchvision(
    points: list[tuple[int, ...]], height: int, width: int
) -> None:
    columns = torch.tensor(points).unbind(dim=1)
    box = dict(zip(("tops", "lefts", "heights", "widths"), columns, strict=True))
    images = random_images((1, 12, 14))
    assert_as_torchvision(("resized_crop", box, {"size": (height, width)}), images)
    assert_as_torchvision(("erase", box, {"value": height}), images)
    # torchvision takes the wrong rows of a box that does not touch the image.
    origin = {"tops": box["tops"] - min(5, height - 1), "lefts": box["lefts"] - min(5, width - 1)}
    assert_as_torchvision(("crop", origin, {"size": (height, width)}), images)


def test_quarter_turns_move_whole_pixels() -> None:
    images = random_images((3, 30, 30), num_images=4)
    angles = torch.tensor([0.0, 90.0, 180.0, 270.0])
    expected = torch.stack([image.rot90(k, (1, 2)) for k, image in enumerate(images)])
    for interpolation in ("nearest", "bilinear"):
        assert torch.equal(batched("rotate")(images, angles, interpolation=interpolation), expected)


@pytest.mark.parametrize(
    ("side", "size"),
    [((32, 32), (32, 32)), ((20, 31), (64, 50)), ((300, 90), (7, 20)), ((5, 400), (9, 3))],
    ids=str,
)
def test_resampling_for_any_device_is_torch_s_own_on_the_cpu(
    side: tuple[int, int], size: tuple[int, int]
) -> None:
    images = random_images((2, *side))
    box = boxes(*side)
    box = {key: with_first([full], box[key]) for key, full in zip(box, (0, 0, *side), strict=True)}
    result = resampled(images, **box, size=size)
    expected = one_by_one("resized_crop", images, box, {"size": size})
    assert largest_difference(result, expected) <= TOLERANCES.get("resized_crop", 0)


def test_sums_too_long_for_float32_are_exact() -> None:
    bits = 20
    almost_half = (200 << bits) + (1 << bits - 1) - 1
    first = torch.tensor([[0]], dtype=torch.int32)
    weights = torch.tensor([[[almost_half // 255, almost_half % 255]]])
    side = resampling_net.Weights(first, weights, torch.tensor([2.0**bits]).double())
    levels = resampling_net.weighted_levels(torch.tensor([[[255, 1]]]), side)
    assert levels.item() == 200


@pytest.mark.parametrize(
    ("operation", "message"),
    [
        (lambda images: cropping_net.pad(images, 1, "mirror"), "there are constant, edge"),
        (lambda images: cropping_net.pad(images, 8, "reflect"), "mirroring 8 of 8 pixels"),
        (lambda images: cropping_net.pad(images, (0, 0, 9, 0), "symmetric"), "mirroring 9 of 8"),
        (
            lambda images: geometry_net.affine(images, torch.ones(2, 2, 3), "cubic"),
            "nearest and bilinear",
        ),
        (
            lambda images: gaussian_net.gaussian_blur(images, torch.ones(2, 4), torch.ones(2, 3)),
            "a blur of size 4",
        ),
        (
            lambda images: gaussian_net.gaussian_blur(images, torch.ones(2, 3), torch.ones(2, 17)),
            "for 8 pixels",
        ),
    ],
)
def test_meaningless_settings_are_refused(
    operation: Callable[[Tensor], Tensor], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        operation(random_images((3, 8, 8), num_images=2))


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
@pytest.mark.parametrize("parameters_on", ["cpu", "cuda"])
@pytest.mark.parametrize("case", all_cases((3, 33, 40)), ids=case_name)
def test_gpu_is_within_a_level_of_the_cpu(case: Case, parameters_on: str) -> None:
    name, each, shared = case
    images = random_images((3, 33, 40))
    expected = batched(name)(images, **each, **shared)
    there = {key: value.to(parameters_on) for key, value in each.items()}
    result = batched(name)(images.cuda(), **there, **shared)
    assert result.device.type == "cuda"
    tolerance = 0 if shared.get("interpolation") == "nearest" or "resize" in name else 1
    assert largest_difference(result.cpu(), expected) <= tolerance
