"""Sizes of images after preprocessing, by arithmetic: no image is looked at here."""

from __future__ import annotations

from runner.components.data.dataset import DatasetSettings, Size

Shape = tuple[int, int, int]


def resized(height: int, width: int, size: Size) -> tuple[int, int]:
    """Return (height, width) after torchvision's Resize."""
    if isinstance(size, tuple):
        return size
    if height <= width:
        return size, int(size * width / height)
    return int(size * height / width), size


def prepared_shape(settings: DatasetSettings) -> Shape | None:
    """Return channels, height and width of every image, or None where one must be looked at."""
    channels = 3 if settings.color == "rgb" else 1
    size = settings.image_size()
    if settings.crop is not None:
        size = settings.crop if isinstance(settings.crop, tuple) else (settings.crop,) * 2
    elif isinstance(settings.resize, tuple):
        size = settings.resize
    elif settings.resize is not None and size is not None:
        size = resized(*size, settings.resize)
    return None if size is None else (channels, *size)
