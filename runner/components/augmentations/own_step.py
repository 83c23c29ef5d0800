"""An augmentation of the user's own: a class in a Python file, for one image at a time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from runner.components.augmentations.augmentation import RandomlyApplied, Size
from runner.components.own.component import OwnComponent
from runner.components.own.problems import OwnCodeFailed

if TYPE_CHECKING:
    import torch
    from torch import Tensor

SEEDS = 1 << 62


class OwnStep(OwnComponent, RandomlyApplied):
    """A class whose instances take an image and a generator, and return the changed image.

    The image is uint8 (C, H, W), on its device, and so is what is returned, of the same shape. All
    that is random is drawn from the generator, a torch.Generator on the CPU, which is seeded for
    each image, epoch and step. The parameters of `__init__` are settings.
    """

    def draw(self, generator: torch.Generator, count: int, size: Size) -> dict[str, Tensor]:
        """Draw the seed of each image's generator, (B,) int64."""
        import torch

        return {"seeds": torch.randint(SEEDS, (count,), generator=generator)}

    def apply(self, images: Tensor, drawn: Mapping[str, Tensor], mean: Sequence[float]) -> Tensor:
        """Return the images, each changed by itself.

        Raises:
            OwnCodeFailed: when own code raises an error, or gives no image of this shape.
        """
        import torch

        step = self.make()
        seeds: list[int] = drawn["seeds"].tolist()
        changed = [
            self._changed(step(image.clone(), torch.Generator().manual_seed(seed)), image)
            for image, seed in zip(images, seeds, strict=True)
        ]
        return torch.stack(changed) if changed else images

    def _changed(self, found: object, image: Tensor) -> Tensor:
        import torch

        name = f"'{self.own.name}'"
        if not isinstance(found, torch.Tensor):
            raise OwnCodeFailed(f"{name} gives a {type(found).__name__}, not an image")
        if found.shape != image.shape or found.dtype != image.dtype:
            given, wanted = (
                f"{each.dtype} {tuple(each.shape)}".removeprefix("torch.")
                for each in (found, image)
            )
            raise OwnCodeFailed(f"{name} gives {given}, not {wanted} as it is given")
        return found
