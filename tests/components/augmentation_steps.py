"""A step of each augmentation that there is, for the tests that go through all of them."""

from typing import Any, get_args

from example_settings import example_settings

from runner.components.augmentations import AnyAugmentation
from runner.components.augmentations.augmentation import Augmentation

SIZE = (12, 16)
"""Height and width of images that all of them can be applied to."""

CLASSES: list[type[Augmentation]] = list(get_args(AnyAugmentation))
STEPS: dict[str, dict[str, Any]] = {
    "RandomHorizontalFlip": {},
    "RandomVerticalFlip": {},
    "RandomCrop": {"size": list(SIZE), "padding": 3},
    "Resize": {"size": [15, 17]},
    "RandomResizedCrop": {"size": list(SIZE), "scale": [0.3, 1.0]},
    "ColorJitter": {"brightness": [0.2, 0.8], "contrast": 0.5, "saturation": 0.7, "hue": 0.2},
    "RandomGrayscale": {"p": 0.4},
    "RandomEqualize": {},
    "RandomAdjustSharpness": {"sharpness_factor": 2},
    "RandomPerspective": {"distortion_scale": 0.6},
    "RandomAffine": {
        "degrees": 20,
        "translate": [0.2, 0.3],
        "scale": [0.7, 1.3],
        "shear": [-9, 10, -5, 8],
    },
    "RandomRotation": {"degrees": [-10, 45]},
    "RandomErasing": {"scale": [0.1, 0.5], "value": 1.0},
    "GaussianBlur": {"kernel_size": [3, 5], "sigma": [0.2, 3.0]},
}
"""Settings that show more than the defaults; others are tested with their examples."""
for augmentation in CLASSES:
    if augmentation.__name__ not in STEPS:
        where = "STEPS in tests/components/augmentation_steps.py"
        STEPS[augmentation.__name__] = example_settings(augmentation, where)
