"""A network of the user's own: a class in a Python file."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from runner.components.models.classifier import Classifier, Shape
from runner.components.own.component import OwnComponent
from runner.components.own.problems import OwnCodeFailed

if TYPE_CHECKING:
    import torch


class OwnModel(OwnComponent, Classifier):
    """A subclass of torch.nn.Module from images to class scores, in a Python file.

    Its `__init__` may take `num_classes` (int), `image_shape` (channels, height, width) and
    `in_channels` (int), which are given by the program; its other parameters are settings.
    """

    GIVEN: ClassVar[tuple[str, ...]] = ("num_classes", "image_shape", "in_channels")

    def build(self, image_shape: Shape, num_classes: int) -> torch.nn.Module:
        """Return a module from (B, C, H, W) float to logits (B, ``num_classes``).

        Raises:
            OwnCodeFailed: when own code raises an error, or makes no module.
        """
        from torch import nn

        network = self.make(
            num_classes=num_classes, image_shape=image_shape, in_channels=image_shape[0]
        )
        if not isinstance(network, nn.Module):
            raise OwnCodeFailed(f"'{self.own.name}' is no subclass of torch.nn.Module")
        return network
