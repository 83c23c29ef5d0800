"""Which function draws, prepares and applies each corruption.

What is drawn does not depend on the severity; what is prepared needs no image.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from torch import Generator, Tensor

from runner.components.augmentations.augmentation import Size
from runner.components.corruptions import (
    blur_net,
    digital_net,
    noise_net,
    spatter_net,
    weather_net,
)
from runner.components.corruptions.constants import CorruptionKind

Drawn = Mapping[str, Tensor]


def _nothing(generator: Generator, count: int, size: Size) -> dict[str, Tensor]:
    return {}


def _as_drawn(drawn: Drawn, constants: Sequence[float]) -> Drawn:
    return drawn


@dataclass(frozen=True, slots=True)
class Kind:
    """How a corruption is made.

    Attributes:
        apply: from uint8 images, what was prepared and the constants to uint8 images.
        draw: as of an augmentation.
        prepare: from what was drawn and the constants to what ``apply`` gets, on the CPU.
    """

    apply: Callable[[Tensor, Drawn, Sequence[float]], Tensor]
    draw: Callable[[Generator, int, Size], dict[str, Tensor]] = _nothing
    prepare: Callable[[Drawn, Sequence[float]], Drawn] = _as_drawn


KINDS: Mapping[CorruptionKind, Kind] = {
    "gaussian_noise": Kind(noise_net.gaussian_noise, noise_net.draw_normal),
    "shot_noise": Kind(noise_net.shot_noise, noise_net.draw_uniform),
    "impulse_noise": Kind(noise_net.impulse_noise, noise_net.draw_two_uniform),
    "speckle_noise": Kind(noise_net.speckle_noise, noise_net.draw_normal),
    "defocus_blur": Kind(blur_net.defocus_blur),
    "glass_blur": Kind(blur_net.glass_blur, blur_net.draw_neighbours),
    "motion_blur": Kind(blur_net.motion_blur, blur_net.draw_angle, blur_net.streaks),
    "zoom_blur": Kind(blur_net.zoom_blur),
    "gaussian_blur": Kind(blur_net.blurred),
    "snow": Kind(weather_net.snow, weather_net.draw_flakes, weather_net.snow_layer),
    "frost": Kind(weather_net.frost, weather_net.draw_two_fractals, weather_net.frost_layer),
    "fog": Kind(weather_net.fog, weather_net.draw_fractal, weather_net.fog_layer),
    "brightness": Kind(weather_net.brightness),
    "spatter": Kind(spatter_net.spatter, spatter_net.draw_liquid, spatter_net.liquid_layer),
    "contrast": Kind(digital_net.contrast),
    "saturate": Kind(digital_net.saturate),
    "elastic_transform": Kind(
        digital_net.elastic_transform, digital_net.draw_elastic, digital_net.elastic_places
    ),
    "pixelate": Kind(digital_net.pixelate),
    "jpeg_compression": Kind(digital_net.jpeg_compression),
}
