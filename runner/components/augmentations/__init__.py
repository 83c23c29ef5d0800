"""Augmentations: what a spec may name. To add one: a class, and its name in the union below.

Settings are in ``color.py``, ``geometry.py`` and ``cropping.py``; the operations on batches that
they are made of in the ``*_net`` modules.
"""

from typing import Annotated

from pydantic import Field

from runner.components.augmentations.color import (
    ColorJitter,
    GaussianBlur,
    RandomAdjustSharpness,
    RandomEqualize,
    RandomGrayscale,
)
from runner.components.augmentations.cropping import (
    RandomCrop,
    RandomErasing,
    RandomResizedCrop,
    Resize,
)
from runner.components.augmentations.geometry import (
    RandomAffine,
    RandomHorizontalFlip,
    RandomPerspective,
    RandomRotation,
    RandomVerticalFlip,
)

AnyAugmentation = (
    RandomHorizontalFlip
    | RandomVerticalFlip
    | RandomCrop
    | Resize
    | RandomResizedCrop
    | ColorJitter
    | RandomGrayscale
    | RandomEqualize
    | RandomAdjustSharpness
    | RandomPerspective
    | RandomAffine
    | RandomRotation
    | RandomErasing
    | GaussianBlur
)
Operation = Annotated[AnyAugmentation, Field(discriminator="name")]
