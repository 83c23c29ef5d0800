"""Operations by name, on whole batches or image by image, and on some rows of a batch.

Both ways take the same parameters: tensors have a row per image, anything else holds for all.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from runner.components.augmentations import color_net, geometry_net

BATCHED: dict[str, Callable[..., Tensor]] = {
    function.__name__: function
    for function in (
        color_net.adjust_brightness,
        color_net.adjust_contrast,
        color_net.adjust_saturation,
        color_net.adjust_hue,
        color_net.adjust_sharpness,
        color_net.rgb_to_grayscale,
        color_net.equalize,
        color_net.gaussian_blur,
        geometry_net.horizontal_flip,
        geometry_net.vertical_flip,
        geometry_net.pad,
        geometry_net.crop,
        geometry_net.resize,
        geometry_net.resized_crop,
        geometry_net.perspective,
        geometry_net.affine,
        geometry_net.rotate,
        geometry_net.erase,
    )
}


def on_batches(name: str, images: Tensor, **parameters: Any) -> Tensor:
    """Return the images (B, C, H', W') uint8 after an operation on all of them at once."""
    return BATCHED[name](images, **parameters)


def one_by_one(name: str, images: Tensor, **parameters: Any) -> Tensor:
    """Return the images (B, C, H', W') uint8 after torchvision's operation on each."""
    from runner.components.augmentations.reference_net import reference

    results = []
    for row, image in enumerate(images):
        own = {
            key: value[row] if isinstance(value, Tensor) else value
            for key, value in parameters.items()
        }
        results.append(reference(name, image, **own))
    return torch.stack(results)


def on_rows(images: Tensor, picked: Tensor, change: Callable[[Tensor, Tensor], Tensor]) -> Tensor:
    """Return a batch with some of its images changed.

    Args:
        images: uint8 (B, C, H, W); not changed itself.
        picked: (B,) bool on the CPU.
        change: from the picked images and their rows (K,) to K images, of the same size unless
            all are picked.
    """
    rows = picked.nonzero().squeeze(1)
    if len(rows) == 0:
        return images
    if len(rows) == len(images):
        return change(images, rows)
    there = rows.to(images.device)
    return images.index_copy(0, there, change(images[there], rows))
