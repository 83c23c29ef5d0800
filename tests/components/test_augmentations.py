"""Augmentations: torchvision's names, limits and meanings, with draws of their own per image."""

import inspect
import json
import math
from collections.abc import Callable, Mapping
from typing import Any, get_args

import pytest
import torch
from augmentation_steps import CLASSES, SIZE, STEPS
from pydantic import ValidationError
from torch import Tensor
from torchvision.transforms import v2
from torchvision.transforms.v2 import _geometry as torchvision_geometry
from torchvision.transforms.v2 import functional as tv
from torchvision_oracle import as_torchvision, has_namesake, parameters_of, theirs_of

from runner.components.augmentations.augmentation import (
    Augmentation,
    RandomlyApplied,
    UnsuitableSize,
)
from runner.components.augmentations.pipeline import Pipeline
from runner.engine.data.augment import Augmenter

needs_avx2 = pytest.mark.skipif(
    torch.backends.cpu.get_cpu_capability() not in ("AVX2", "AVX512"),
    reason="torchvision rounds otherwise on this processor (test_augmentation_ops.py says how far)",
)
R2_3 = [
    [
        {"name": "RandomEqualize", "p": 1},
        {
            "name": "ColorJitter",
            "brightness": [0.2, 0.8],
            "contrast": [0.2, 0.5],
            "saturation": [0.1, 0.3],
            "hue": [-0.2, 0.2],
        },
        {"name": "RandomGrayscale", "p": 0.2},
        {"name": "RandomAdjustSharpness", "sharpness_factor": 2, "p": 0.7},
        {"name": "RandomPerspective", "distortion_scale": 0.2, "p": 0.6},
    ],
    [
        {"name": "RandomEqualize", "p": 1},
        {
            "name": "ColorJitter",
            "brightness": [0.3, 0.8],
            "contrast": [0.3, 0.7],
            "saturation": [0.1, 0.4],
            "hue": [-0.3, 0.3],
        },
        {"name": "RandomGrayscale", "p": 0.4},
        {"name": "RandomAdjustSharpness", "sharpness_factor": 1, "p": 0.5},
        {"name": "RandomPerspective", "distortion_scale": 0.7, "p": 0.5},
        {"name": "RandomAffine", "degrees": 20},
    ],
    [
        {"name": "RandomEqualize", "p": 1},
        {"name": "RandomCrop", "size": 32, "padding": 4},
        {"name": "RandomErasing", "p": 0.5, "scale": [0.39, 0.40], "ratio": [1, 1]},
    ],
]
R1_4 = [
    [{"name": "ColorJitter", "contrast": 0.5, "saturation": 0.5}, {"name": "RandomHorizontalFlip"}],
    [{"name": "ColorJitter", "hue": 0.3}, {"name": "RandomPerspective"}],
    [
        {"name": "ColorJitter", "brightness": 0.5},
        {"name": "RandomGrayscale"},
        {"name": "RandomRotation", "degrees": 45},
    ],
]


def pipeline_of(*steps: Mapping[str, Any], **others: Any) -> Pipeline:
    return Pipeline.model_validate_json(json.dumps({"steps": steps, **others}))


def step_of(name: str, **settings: Any) -> Augmentation:
    (step,) = pipeline_of({"name": name, **(settings or STEPS[name])}).steps
    assert isinstance(step, Augmentation)
    return step


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def photos(count: int, channels: int = 3, size: tuple[int, int] = SIZE, seed: int = 1) -> Tensor:
    """Return smooth images in noise, all different."""
    coarse = torch.rand((count, channels, 3, 3), generator=generator(seed))
    smooth = torch.nn.functional.interpolate(coarse, size, mode="bilinear", align_corners=True)
    noise = torch.rand((count, channels, *size), generator=generator(seed + 1))
    return (200 * smooth + 50 * noise).to(torch.uint8)


def augmented(images: Tensor, *steps: Mapping[str, Any], seed: int = 0, **others: Any) -> Tensor:
    return Augmenter(pipeline_of(*steps, **others), seed, (0.1, 0.5, 0.9))(images, 1, 1)


# what a spec may say


def test_step_is_called_as_its_class() -> None:
    assert [get_args(each.model_fields["name"].annotation)[0] for each in CLASSES] == [
        each.__name__ for each in CLASSES
    ]
    assert set(STEPS) == {each.__name__ for each in CLASSES}


@pytest.mark.parametrize("ours", CLASSES, ids=lambda each: each.__name__)
def test_settings_and_their_defaults_are_torchvisions(ours: type[Augmentation]) -> None:
    if not has_namesake(ours.__name__):
        return
    theirs = inspect.signature(getattr(v2, ours.__name__)).parameters
    for name, field in ours.model_fields.items():
        if name == "name":
            continue
        assert field.is_required() == (theirs[name].default is inspect.Parameter.empty), name
        if not field.is_required():
            default = theirs[name].default
            # None and 0 jitter alike
            expected = 0 if ours.__name__ == "ColorJitter" else getattr(default, "value", default)
            assert field.default == expected, name


WRONG = [
    ("RandomHorizontalFlip", {"p": 1.5}),
    ("RandomCrop", {}),
    ("RandomCrop", {"size": 4, "padding": [1, 2, 3]}),
    ("RandomCrop", {"size": 4, "padding": 1, "padding_mode": "wrap"}),
    ("Resize", {"size": [1, 2, 3]}),
    ("RandomResizedCrop", {"size": 4, "scale": [0.5]}),
    ("ColorJitter", {"brightness": -0.1}),
    ("ColorJitter", {"brightness": [0.8, 0.2]}),
    ("ColorJitter", {"hue": 0.6}),
    ("ColorJitter", {"hue": [-0.6, 0.1]}),
    ("ColorJitter", {"contrast": [1, 2, 3]}),
    ("RandomPerspective", {"distortion_scale": 1.1}),
    ("RandomAffine", {"degrees": -1}),
    ("RandomAffine", {"degrees": 1, "translate": [0.1, 1.1]}),
    ("RandomAffine", {"degrees": 1, "scale": [0, 1]}),
    ("RandomAffine", {"degrees": 1, "shear": [1, 2, 3]}),
    ("RandomRotation", {"degrees": [1, 2, 3]}),
    ("RandomErasing", {"scale": [-0.1, 0.3]}),
    ("RandomErasing", {"value": "noise"}),
    ("GaussianBlur", {"kernel_size": 4}),
    ("GaussianBlur", {"kernel_size": 3, "sigma": [2.0, 1.0]}),
    ("GaussianBlur", {"kernel_size": 3, "sigma": 0.0}),
]


@pytest.mark.parametrize(("name", "settings"), WRONG, ids=str)
def test_settings_that_torchvision_refuses_are_refused(name: str, settings: dict[str, Any]) -> None:
    with pytest.raises((TypeError, ValueError)):
        getattr(v2, name)(**settings)
    with pytest.raises(ValidationError):
        pipeline_of({"name": name, **settings})


def test_exchanged_range_is_refused_everywhere() -> None:
    for name, setting in (
        ("RandomResizedCrop", "scale"),
        ("RandomResizedCrop", "ratio"),
        ("RandomErasing", "scale"),
        ("RandomErasing", "ratio"),
        ("RandomAffine", "scale"),
        ("RandomRotation", "degrees"),
    ):
        with pytest.raises(ValidationError, match=r"a range is \[min, max\], but 1 is above 0.5"):
            pipeline_of({"name": name, **STEPS[name], setting: [1.0, 0.5]})


def test_pipeline_has_steps_and_weights_for_each_choice() -> None:
    for document in (
        {"steps": []},
        {"steps": [{"name": "one_of", "choices": []}]},
        {"steps": [{"name": "one_of", "choices": [[], []], "weights": [1]}]},
        {"steps": [{"name": "one_of", "choices": [[], []], "weights": [1, 0]}]},
        {"p": 2, "steps": [{"name": "RandomEqualize"}]},
    ):
        with pytest.raises(ValidationError):
            Pipeline.model_validate_json(json.dumps(document))


# one draw per image


def draws(name: str) -> bool:
    """Return whether a step draws anything for an image that is picked."""
    return bool(step_of(name).draw(generator(), 1, SIZE))


def is_random(name: str) -> bool:
    """Return whether equal images of a batch become different ones."""
    return draws(name) or step_of(name).chance() < 1


@pytest.mark.parametrize("name", list(filter(is_random, STEPS)))
def test_images_of_one_batch_are_changed_differently_and_torchvisions_are_not(name: str) -> None:
    settings = {**STEPS[name], "size": 20} if "size" in STEPS[name] else STEPS[name]
    batch = photos(1, size=(20, 20)).expand(24, -1, -1, -1).contiguous()
    ours = augmented(batch, {"name": name, **settings})
    assert len(ours.flatten(1).unique(dim=0)) > 1
    torch.manual_seed(0)
    if not has_namesake(name):
        return
    theirs = theirs_of(step_of(name, **settings))(batch)
    assert len(theirs.flatten(1).unique(dim=0)) == 1


@pytest.mark.parametrize("name", STEPS)
def test_every_image_has_a_row_of_its_own_in_what_is_drawn(name: str) -> None:
    drawn = step_of(name).draw(generator(), 40, SIZE)
    for parameter, values in drawn.items():
        assert len(values) == 40, parameter
        assert values.device.type == "cpu"
        if name != "RandomAdjustSharpness":
            assert len(values.flatten(1).unique(dim=0)) > 1 if values.ndim > 1 else True
            assert len(values.unique()) > 1, parameter


# distributions


def numbers_in(parameters: Mapping[str, Any]) -> dict[str, float]:
    """Return the numbers among the parameters of a transform of torchvision, also those in lists.

    Orders are left out: their numbers are in the lists.
    """
    found: dict[str, float] = {}
    for name, value in parameters.items():
        if name != "fn_idx" and value is not None:
            values = torch.as_tensor(value, dtype=torch.float64).flatten().tolist()
            found |= {f"{name}.{index}": number for index, number in enumerate(values)}
    return found


def largest_gap(one: Tensor, other: Tensor) -> float:
    """Return the Kolmogorov–Smirnov distance of two samples."""
    levels = torch.cat([one, other]).unique()
    shares = [
        torch.searchsorted(each.sort().values, levels, right=True) / len(each)
        for each in (one, other)
    ]
    return float((shares[0] - shares[1]).abs().max())


@pytest.mark.slow
@pytest.mark.parametrize("name", list(filter(draws, STEPS)))
def test_draws_are_distributed_as_torchvisions(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    if not has_namesake(name):
        return
    monkeypatch.setattr(torchvision_geometry, "_get_perspective_coeffs", lambda start, end: end)
    count, step, image = 1500, step_of(name), photos(1)[0]
    drawn = step.draw(generator(3), count, SIZE)
    torch.manual_seed(4)
    transform = theirs_of(step)
    ours = [numbers_in(parameters_of(step, transform, image, drawn, row)) for row in range(count)]
    theirs = [numbers_in(transform.make_params([image])) for _ in range(count)]
    assert [set(each) for each in ours] == [set(each) for each in theirs]
    for key in ours[0]:
        one, other = (
            torch.tensor([each[key] for each in both], dtype=torch.float64)
            for both in (ours, theirs)
        )
        # five times in a million by chance
        assert largest_gap(one, other) < 2.55 * math.sqrt(2 / count), key


def test_four_jitters_come_in_every_order_equally_often() -> None:
    order = step_of("ColorJitter").draw(generator(), 24_000, SIZE)["order"]
    _, counts = order.unique(dim=0, return_counts=True)
    assert len(counts) == 24
    assert (counts - 1000).abs().max() < 5 * math.sqrt(1000)


@pytest.mark.slow
@pytest.mark.parametrize(
    "name", [each.__name__ for each in CLASSES if issubclass(each, RandomlyApplied)]
)
def test_p_is_the_share_of_images_that_are_picked(name: str) -> None:
    batch = photos(1000, size=(17, 17))
    step = {"name": name, **STEPS[name]}
    changed = (augmented(batch, {**step, "p": 0.3}) != batch).flatten(1).any(dim=1)
    every = (augmented(batch, {**step, "p": 1}) != batch).flatten(1).any(dim=1)
    assert every.sum() > 950
    assert changed.sum() / every.sum() == pytest.approx(0.3, abs=5 * math.sqrt(0.21 / 1000))
    assert torch.equal(augmented(batch, {**step, "p": 0}), batch)


def test_whole_pipeline_has_a_probability_too() -> None:
    batch = photos(3000, size=(4, 4))
    both = [{"name": "RandomVerticalFlip", "p": 1}, {"name": "RandomHorizontalFlip", "p": 1}]
    found = augmented(batch, *both, p=0.25)
    whole = (found == batch.flip(-1, -2)).flatten(1).all(dim=1)
    left = (found == batch).flatten(1).all(dim=1)
    assert bool((whole ^ left).all())
    assert whole.double().mean() == pytest.approx(0.25, abs=5 * math.sqrt(0.1875 / 3000))


def test_one_of_chooses_by_its_weights_and_each_choice_draws_for_itself() -> None:
    batch = photos(3000, size=(4, 4))
    flips = [[{"name": name, "p": 1}] for name in ("RandomHorizontalFlip", "RandomVerticalFlip")]
    step = {"name": "one_of", "choices": [*flips, []], "weights": [1, 2, 3]}
    found = augmented(batch, step)
    shares = [
        (found == other).flatten(1).all(dim=1).double().mean()
        for other in (batch.flip(-1), batch.flip(-2), batch)
    ]
    assert sum(shares) == 1
    assert [float(each) for each in shares] == pytest.approx([1 / 6, 2 / 6, 3 / 6], abs=0.05)


# keys


def test_equal_keys_draw_equally_and_others_do_not() -> None:
    batch = photos(6)
    make = Augmenter(pipeline_of(*({"name": name, **STEPS[name]} for name in STEPS)), 0, (0.5,))
    one = make(batch, 1, 1)
    state = torch.random.get_rng_state()
    assert torch.equal(make(batch, 1, 1), one)
    assert torch.equal(torch.random.get_rng_state(), state)
    others = [
        make(batch, 2, 1),
        make(batch, 1, 2),
        Augmenter(make.pipeline, 1, (0.5,))(batch, 1, 1),
    ]
    assert len({other.numpy().tobytes() for other in [one, *others]}) == 4


@pytest.mark.parametrize(
    "before",
    [
        {"name": "RandomErasing", "p": 0},
        {"name": "RandomErasing", "scale": [0.4, 0.5], "p": 1},
        {"name": "GaussianBlur", "kernel_size": 3},
        {"name": "one_of", "choices": [[], [{"name": "RandomEqualize"}]]},
    ],
    ids=str,
)
def test_draws_of_one_step_move_no_others(before: dict[str, Any]) -> None:
    # a constant image shows where the affine map puts it, whatever was done to its colours
    batch = torch.full((12, 1, *SIZE), 200, dtype=torch.uint8)
    after = {"name": "RandomAffine", **STEPS["RandomAffine"]}
    plain = augmented(batch, {"name": "RandomEqualize", "p": 0}, after)
    edges = Augmenter(pipeline_of(before, after), 0)(batch.new_full(batch.shape, 255), 1, 1) == 0
    if before["name"] != "RandomErasing" or before["p"] == 0:
        assert torch.equal(edges, plain == 0)
    else:
        assert bool((edges | (plain != 0)).all())


def test_which_images_are_picked_does_not_move_what_is_drawn_for_them() -> None:
    batch = photos(40)
    turn = {"name": "RandomPerspective", "distortion_scale": 0.5}
    some, every = augmented(batch, {**turn, "p": 0.3}), augmented(batch, {**turn, "p": 1})
    half = augmented(batch, {**turn, "p": 1}, p=0.5)
    for found in (some, half):
        same = (found == every).flatten(1).all(dim=1)
        assert bool((same | (found == batch).flatten(1).all(dim=1)).all())
        assert 0 < same.sum() < 40


# compared with torchvision


@pytest.fixture
def torchvisions_way(monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """Return a function after whose call all steps are torchvision's, image by image."""

    def replace() -> None:
        for each in CLASSES:
            monkeypatch.setattr(each, "apply", as_torchvision)
            monkeypatch.setattr(each, "parameters", Augmentation.parameters)

    return replace


@needs_avx2
@pytest.mark.parametrize("name", STEPS)
def test_step_does_what_torchvisions_class_does_with_the_same_parameters(name: str) -> None:
    images, step = photos(12), step_of(name)
    drawn = step.draw(generator(), len(images), SIZE)
    ours = step.apply(images, step.parameters(drawn, SIZE, images.device), (0.5,))
    theirs = as_torchvision(step, images, drawn, (0.5,))
    assert ours.shape[-2:] == step.output_size(SIZE)
    assert (ours.int() - theirs.int()).abs().max() <= 1
    assert (ours != theirs).float().mean() < 0.001


@pytest.mark.slow
@needs_avx2
@pytest.mark.parametrize("steps", [*R2_3, *R1_4], ids=range(6))
@pytest.mark.parametrize("p", [1.0, 0.5])
def test_pipelines_of_the_reports_are_those_of_torchvision(
    steps, p: float, torchvisions_way: Callable[[], None]
) -> None:
    batch = photos(24, size=(32, 32))
    ours = augmented(batch, *steps, p=p)
    torchvisions_way()
    theirs = augmented(batch, *steps, p=p)
    assert (ours.int() - theirs.int()).abs().max() <= 1
    assert (ours != theirs).float().mean() < 0.001
    untouched = (ours == batch).flatten(1).all(dim=1).double().mean()
    assert untouched == 0 if p == 1.0 and steps[0]["name"] == "RandomEqualize" else untouched < 0.8


@needs_avx2
def test_gray_images_go_through_every_step(torchvisions_way: Callable[[], None]) -> None:
    batch = photos(8, channels=1)
    steps = [{"name": name, **STEPS[name]} for name in STEPS if name != "Resize"]
    ours = augmented(batch, *steps)
    torchvisions_way()
    theirs = augmented(batch, *steps)
    assert ours.shape == batch.shape
    assert (ours.int() - theirs.int()).abs().max() <= 1


def test_batch_is_not_changed_in_place() -> None:
    batch = photos(4)
    before = batch.clone()
    for name in STEPS:
        augmented(batch, {"name": name, **STEPS[name]})
    assert torch.equal(batch, before)


@pytest.mark.parametrize(
    ("value", "levels"), [(0.0, [0] * 3), (0.5, [128] * 3), ("mean", [26, 128, 230])]
)
def test_erased_part_becomes_black_a_level_or_the_mean(value: Any, levels: list[int]) -> None:
    batch = torch.full((5, 3, 10, 10), 7, dtype=torch.uint8)
    step = {"name": "RandomErasing", "p": 1, "scale": [0.25, 0.25], "ratio": [1, 1], "value": value}
    found = augmented(batch, step)
    for channel, level in enumerate(levels):
        assert ((found[:, channel] == level).sum(dim=(1, 2)) == 25).all()
        assert ((found[:, channel] == 7).sum(dim=(1, 2)) == 75).all()


# sizes


def test_corners_never_meet_whatever_the_scale() -> None:
    step = {"name": "RandomPerspective", "distortion_scale": 1.0, "p": 1}
    for size in ((2, 2), (3, 3), (5, 8), (9, 9)):
        pipeline_of(step).check(size)
        batch = photos(300, size=size)
        assert augmented(batch, step).shape == batch.shape
    with pytest.raises(UnsuitableSize, match="no four corners"):
        pipeline_of(step).check((1, 5))


def test_part_without_room_is_the_largest_in_the_middle() -> None:
    step = step_of("RandomResizedCrop", size=4, scale=[1.0, 1.0], ratio=[1.0, 1.0])
    drawn = step.draw(generator(), 3, (8, 20))
    levels = [drawn[name].tolist() for name in ("tops", "lefts", "heights", "widths")]
    assert levels == [[0] * 3, [6] * 3, [8] * 3, [8] * 3]


def test_rectangle_without_room_erases_nothing() -> None:
    step = {"name": "RandomErasing", "p": 1, "scale": [1.0, 1.0], "ratio": [1, 1]}
    batch = photos(4)
    assert torch.equal(augmented(batch, step), batch)


@pytest.mark.parametrize("size", [7, [5, 9], 30])
@pytest.mark.parametrize("shape", [(12, 16), (16, 12), (9, 9)])
def test_resizing_gives_torchvisions_size(size: Any, shape: tuple[int, int]) -> None:
    image = photos(1, size=shape)
    step = step_of("Resize", size=size)
    expected = tv.resize(image, [size] if isinstance(size, int) else size).shape[-2:]
    assert step.output_size(shape) == tuple(expected)


@pytest.mark.parametrize(
    ("steps", "found", "path"),
    [
        (
            [{"name": "RandomCrop", "size": 20}],
            "a part of 20×20 is larger than images of 12×16",
            "steps.0.size",
        ),
        (
            [{"name": "RandomEqualize"}, {"name": "RandomCrop", "size": 20, "padding": [2, 1]}],
            "a part of 20×20 is larger than images of 14×20 after padding",
            "steps.1.size",
        ),
        (
            [{"name": "RandomCrop", "size": 20, "padding": 12, "padding_mode": "reflect"}],
            "images of 12×16 are too small to mirror them by this padding",
            "steps.0.padding",
        ),
        (
            [{"name": "Resize", "size": 40}, {"name": "RandomEqualize"}],
            "augmented images are 40×53, but those evaluated are 12×16",
            "steps.0",
        ),
        (
            [{"name": "GaussianBlur", "kernel_size": 31}],
            "a kernel of 31×31 pixels is too large for images of 12×16",
            "steps.0.kernel_size",
        ),
        (
            [{"name": "one_of", "choices": [[], [{"name": "Resize", "size": 20}]]}],
            "its choices give images of 12×16 and 20×26",
            "steps.0.choices",
        ),
        (
            [{"name": "one_of", "choices": [[], [{"name": "RandomCrop", "size": 20}]]}],
            "a part of 20×20 is larger than images of 12×16",
            "steps.0.choices.1.0.size",
        ),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_sizes_that_do_not_fit_are_found_without_images(steps, found: str, path: str) -> None:
    with pytest.raises(UnsuitableSize) as caught:
        pipeline_of(*steps).check(SIZE)
    assert (str(caught.value), caught.value.setting) == (found, path)


@pytest.mark.parametrize(
    "steps",
    [
        [{"name": "Resize", "size": 40}, {"name": "RandomCrop", "size": 32}],
        [
            {
                "name": "one_of",
                "choices": [
                    [{"name": "Resize", "size": [40, 40]}],
                    [{"name": "RandomCrop", "size": 40, "padding": 4}],
                ],
            },
            {"name": "RandomResizedCrop", "size": 32},
        ],
    ],
    ids=len,
)
def test_sizes_may_change_on_the_way_also_for_some_images_only(steps) -> None:
    pipeline = pipeline_of(*steps, p=0.5)
    pipeline.check((32, 32))
    batch = photos(20, size=(32, 32))
    found = Augmenter(pipeline, 0)(batch, 1, 1)
    assert found.shape == batch.shape
    untouched = (found == batch).flatten(1).all(dim=1)
    assert 0 < untouched.sum() < 20
