"""A corruption as a step of a transform: its settings, and how it is a step.

Owns the settings alone; constants are in `constants.py`, the arithmetic in the `*_net` modules.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import Field

from runner.components.augmentations.augmentation import (
    Augmentation,
    Size,
    UnsuitableSize,
    size_text,
)
from runner.components.corruptions.constants import (
    CONSTANTS,
    DRAWN,
    SEVERITIES,
    SIDE,
    CorruptionKind,
)

if TYPE_CHECKING:
    import torch
    from torch import Tensor


class Corruption(Augmentation):
    """A corruption of CIFAR-10-C (Hendrycks and Dietterich, ICLR 2019), generated, not theirs.

    The images are made here by the definitions and constants published for CIFAR-10
    (github.com/hendrycks/robustness), with draws of ours: they are not the official files, and
    accuracies on both may differ. An image gets the same corruption in every run, and its draws
    are those of all severities. `frost` takes photographs in the original, which are not at hand:
    its frost is a fractal of ours. Images have 32×32 pixels, for which alone there are constants.
    Of gray images the one channel is corrupted; `saturate` leaves them as they are.
    """

    by_image: ClassVar[bool] = True

    name: Literal["corruption"]
    kind: CorruptionKind = Field(description="which one")
    severity: int = Field(ge=1, le=SEVERITIES, description="how strong")

    @property
    def purpose(self) -> str:
        """What its draws are for; the severity is no part of it."""
        return f"corruption {self.kind}"

    @property
    def is_drawn(self) -> bool:
        """Whether another draw makes another image."""
        return self.kind in DRAWN

    @property
    def constants(self) -> Sequence[float]:
        """The published constants of its severity."""
        return CONSTANTS[self.kind][self.severity - 1]

    def output_size(self, size: Size) -> Size:
        """Return the size, which stays.

        Raises:
            UnsuitableSize: for other images than those that the constants are for.
        """
        if size != (SIDE, SIDE):
            wanted = size_text((SIDE, SIDE))
            found = f"{self.kind} has constants for {wanted} pixels, not for {size_text(size)}"
            raise UnsuitableSize("kind", found, f"data.resize: [{SIDE}, {SIDE}], or other steps")
        return size

    def draw(self, generator: torch.Generator, count: int, size: Size) -> dict[str, Tensor]:
        """Return what is drawn for the images, the same at all severities."""
        from runner.components.corruptions.kinds_net import KINDS

        return KINDS[self.kind].draw(generator, count, size)

    def parameters(
        self, drawn: Mapping[str, Tensor], size: Size, device: torch.device
    ) -> Mapping[str, Tensor]:
        """Return the layers, streaks and places that the CPU works out of the draws."""
        from runner.components.corruptions.kinds_net import KINDS

        return KINDS[self.kind].prepare(drawn, self.constants)

    def apply(self, images: Tensor, drawn: Mapping[str, Tensor], mean: Sequence[float]) -> Tensor:
        """Return the corrupted images; JPEG is written and read on the CPU, one by one."""
        from runner.components.corruptions.kinds_net import KINDS

        return KINDS[self.kind].apply(images, drawn, self.constants)
