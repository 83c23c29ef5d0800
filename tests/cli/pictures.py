"""Folders of tiny images."""

from pathlib import Path

from PIL import Image


def draw_classes(root: Path, counts: dict[str, int], side: int = 8) -> Path:
    """Make a folder per class with so many images, each of its own colour."""
    for label, (name, count) in enumerate(counts.items()):
        folder = root / name
        folder.mkdir(parents=True)
        for number in range(count):
            color = (40 * label % 256, 7 * number % 256, 90)
            Image.new("RGB", (side, side), color).save(folder / f"image {number}.png")
    return root
