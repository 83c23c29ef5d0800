"""How pixels are scaled for a network: mean and standard deviation by channel, and their names.

Knows no data set.
"""

from __future__ import annotations

from typing import Annotated, Self

from pydantic import Field, model_validator

from runner.components.component import Component

MAX_CHANNELS = 16


class Normalization(Component):
    """Subtract ``mean`` and divide by ``std``, per channel, of pixels in [0, 1]."""

    mean: tuple[Annotated[float, Field(ge=-1e6, le=1e6)], ...] = Field(
        min_length=1, max_length=MAX_CHANNELS, description="one value per channel"
    )
    std: tuple[Annotated[float, Field(gt=0, le=1e6)], ...] = Field(
        min_length=1, max_length=MAX_CHANNELS, description="one value per channel, above 0"
    )

    @model_validator(mode="after")
    def _equal_lengths(self) -> Self:
        if len(self.mean) != len(self.std):
            raise ValueError(f"mean has {len(self.mean)} values, std has {len(self.std)}")
        return self


NORMALIZATIONS: dict[str, tuple[tuple[float, ...], tuple[float, ...]]] = {
    "none": ((0.0,), (1.0,)),
    "half": ((0.5,), (0.5,)),
    "imagenet": ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)),
}
