"""What torchvision makes of images with the parameters that our augmentations drew.

An augmentation is compared with torchvision's class of its name, with its settings. One that has
none says in ``WITHOUT_NAMESAKE`` what it is compared with; one that draws under other names than
torchvision's class says in ``PARAMETERS`` which of its parameters are which.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import pytest
import torch
from torch import Tensor
from torchvision.transforms import InterpolationMode, v2
from torchvision.transforms.v2 import _geometry

from runner.components.augmentations.augmentation import Augmentation
from runner.components.augmentations.color import JITTERED

Drawn = Mapping[str, Any]
"""What was drawn for one image: numbers and lists."""

HERE = "tests/components/torchvision_oracle.py"

WITHOUT_NAMESAKE: dict[str, Callable[[Any, Tensor, Drawn], Tensor]] = {}
"""From the name of a class that torchvision does not have to a function that returns one image."""


def of_crop(step: Any, image: Tensor, drawn: Drawn) -> dict[str, Any]:
    height, width = step.output_size(tuple(image.shape[-2:]))
    return {
        "needs_crop": True,
        "top": drawn["tops"],
        "left": drawn["lefts"],
        "height": height,
        "width": width,
        "needs_pad": any(step.borders()),
        "padding": list(step.borders()),
    }


def of_perspective(step: Any, image: Tensor, drawn: Drawn) -> dict[str, Any]:
    right, bottom = image.shape[-1] - 1, image.shape[-2] - 1
    corners = [[0, 0], [right, 0], [right, bottom], [0, bottom]]
    # looked up when it is called: a test replaces it
    return {"coefficients": _geometry._get_perspective_coeffs(corners, drawn["endpoints"])}


def of_affine(step: Any, image: Tensor, drawn: Drawn) -> dict[str, Any]:
    return {
        "angle": drawn["angles"],
        "translate": [int(each) for each in drawn["translations"]],
        "scale": drawn["scales"],
        "shear": drawn["shears"],
    }


def of_erasing(step: Any, image: Tensor, drawn: Drawn) -> dict[str, Any]:
    names = {"i": "tops", "j": "lefts", "h": "heights", "w": "widths"}
    levels = drawn["mean"] if step.value == "mean" else (step.value,)
    value = torch.tensor([min(255, max(0, round(255 * level))) for level in levels])
    return {
        **{theirs: drawn[ours] for theirs, ours in names.items()},
        "v": value.to(torch.uint8).view(-1, 1, 1),
    }


def of_jitter(step: Any, image: Tensor, drawn: Drawn) -> dict[str, Any]:
    factors = {f"{name}_factor": drawn.get(name) for name in JITTERED}
    return {"fn_idx": torch.tensor(drawn["order"]), **factors}


def renamed(**names: str) -> Callable[[Any, Tensor, Drawn], dict[str, Any]]:
    """Return what gives torchvision's names to what is drawn under ours."""
    return lambda step, image, drawn: {theirs: drawn[ours] for theirs, ours in names.items()}


PARAMETERS: dict[str, Callable[[Any, Tensor, Drawn], dict[str, Any]]] = {
    "RandomCrop": of_crop,
    "RandomResizedCrop": renamed(top="tops", left="lefts", height="heights", width="widths"),
    "ColorJitter": of_jitter,
    "RandomGrayscale": lambda step, image, drawn: {"num_input_channels": image.shape[0]},
    "RandomPerspective": of_perspective,
    "RandomAffine": of_affine,
    "RandomRotation": renamed(angle="angles"),
    "RandomErasing": of_erasing,
    "GaussianBlur": lambda step, image, drawn: {"sigma": [drawn["sigmas"]] * 2},
}
"""The parameters of torchvision's class (see its ``make_params``), from those that were drawn."""


def of_row(drawn: Mapping[str, Tensor], row: int) -> Drawn:
    """Return what was drawn for one image of a batch."""
    return {name: values[row].tolist() for name, values in drawn.items()}


def has_namesake(name: str) -> bool:
    """Return whether torchvision has a class of this name; fail where nothing stands for it."""
    if hasattr(v2, name):
        return True
    if name not in WITHOUT_NAMESAKE:
        pytest.fail(
            f"torchvision.transforms.v2 has no {name}: add to WITHOUT_NAMESAKE in {HERE} a"
            f' function that computes one image in a plain way, as "{name}": lambda step, image,'
            " drawn: …"
        )
    return False


def theirs_of(step: Augmentation) -> Any:
    """Return torchvision's transform of the same name with the same settings."""
    settings = step.model_dump(exclude={"name"})
    if "interpolation" in settings:
        settings["interpolation"] = InterpolationMode(settings["interpolation"])
    if "value" in settings:  # torchvision's is a level, and knows no mean
        settings["value"] = 0 if settings["value"] == "mean" else round(255 * settings["value"])
    return getattr(v2, type(step).__name__)(**settings)


def parameters_of(
    step: Augmentation, theirs: Any, image: Tensor, drawn: Mapping[str, Tensor], row: int
) -> dict[str, Any]:
    """Return the parameters of torchvision's transform for one image of a batch."""
    name = type(step).__name__
    own = of_row(drawn, row)
    if name in PARAMETERS:
        return PARAMETERS[name](step, image, own)
    needed = theirs.make_params([image])
    missing = sorted(set(needed) - set(own))
    if missing:
        ours = ", ".join(key for key in drawn if key != "mean") or "nothing"
        pytest.fail(
            f"torchvision's {name} draws {', '.join(missing)}, ours {ours}:"
            f' draw under these names, or add to PARAMETERS in {HERE} a line as "{name}":'
            f" renamed({missing[0]}=…)"
        )
    return {key: own[key] for key in needed}


def as_torchvision(
    step: Augmentation, images: Tensor, drawn: Mapping[str, Tensor], mean: Sequence[float]
) -> Tensor:
    """Return the images as torchvision makes them, one by one: what ``step.apply`` must return."""
    name = type(step).__name__
    drawn = {**drawn, "mean": torch.tensor(mean).expand(len(images), -1)}
    if not has_namesake(name):
        plain = WITHOUT_NAMESAKE[name]
        return torch.stack(
            [plain(step, image, of_row(drawn, row)) for row, image in enumerate(images)]
        )
    theirs = theirs_of(step)
    return torch.stack(
        [
            theirs.transform(image, parameters_of(step, theirs, image, drawn, row))
            for row, image in enumerate(images)
        ]
    )
