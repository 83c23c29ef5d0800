"""Augmentations: what a spec may name. To add one: a file here, and its class in the union below.

A file holds the settings and what is drawn; what takes more than a few lines of torch is in the
``*_net`` module of the same name.
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
from runner.components.augmentations.own_step import OwnStep
from runner.components.own.union import OwnCode

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
Operation = Annotated[AnyAugmentation, Field(discriminator="name"), OwnCode(OwnStep)]
