"""A run on a folder of photographs that tests of its network share, and images of all kinds."""

import shutil
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

SPEC = """\
name: photos
data:
  dataset: imagefolder
  path: photos
  validation: 0.25
  test: 0.25
  resize: 9
  crop: [8, 7]
  normalize: {mean: [0.4, 0.5, 0.6], std: [0.2, 0.3, 0.4]}
model: {name: mlp, hidden: [5]}
train: {epochs: 3, batch_size: 8}
evaluate: {test: last}
"""
CLASSES = ("cat", "dog", "emu")


def noise(seed: int, *shape: int) -> NDArray[np.uint8]:
    return np.random.default_rng(seed).integers(0, 256, shape, np.uint8)


def draw_photos(root: Path) -> Path:
    """Draw twelve photographs of each class, brighter in one channel."""
    for label, name in enumerate(CLASSES):
        (root / name).mkdir(parents=True)
        for number in range(12):
            pixels = noise(100 * label + number, 12, 11, 3) // 2
            pixels[:, :, label] += 80
            Image.fromarray(pixels).save(root / name / f"{number}.png")
    return root


def draw_kinds(folder: Path) -> dict[str, Image.Image]:
    """Draw an image of each odd kind; return by name what each is in plain RGB."""
    folder.mkdir()
    plain: dict[str, Image.Image] = {}
    photo = Image.fromarray(noise(1, 14, 12, 3))

    deep = noise(2, 14, 12).astype(np.uint16) * 257 + 90
    Image.fromarray(deep).save(folder / "deep.png")
    plain["deep.png"] = Image.fromarray((deep / 257).round().astype(np.uint8)).convert("RGB")

    photo.convert("CMYK").save(folder / "print.jpg")
    plain["print.jpg"] = Image.open(folder / "print.jpg").convert("RGB")

    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned by a quarter
    photo.save(folder / "turned.png", exif=exif)
    plain["turned.png"] = photo.transpose(Image.Transpose.ROTATE_270)

    other = Image.fromarray(noise(3, 14, 12, 3))
    photo.save(folder / "moving.png", save_all=True, append_images=[other])
    plain["moving.png"] = photo

    palette = photo.quantize(8)
    palette.save(folder / "palette.png", transparency=3)
    shown = Image.open(folder / "palette.png").convert("RGBA")
    white = Image.new("RGBA", shown.size, "white")
    plain["palette.png"] = Image.alpha_composite(white, shown).convert("RGB")

    photo.convert("L").save(folder / "gray.jpeg.PNG")
    plain["gray.jpeg.PNG"] = photo.convert("L").convert("RGB")
    return plain


def draw_unreadable(folder: Path) -> dict[str, str]:
    """Put what is no image among images; return by name what is wrong with it."""
    (folder / "notes.txt").write_text("no image")
    (folder / "text.jpg").write_text("no image either")
    (folder / "empty.png").touch()
    (folder / "nowhere.png").symlink_to("gone")
    Image.fromarray(noise(4, 60, 60, 3)).save(folder / "whole.bmp")
    cut = (folder / "whole.bmp").read_bytes()[:3000]
    (folder / "whole.bmp").unlink()
    (folder / "cut.bmp").write_bytes(cut)
    shutil.copy(folder / "cut.bmp", folder / ".hidden.bmp")
    return {
        "cut.bmp": "image file is truncated",
        "empty.png": "the file is empty",
        "notes.txt": "cannot identify image file",
        "nowhere.png": "it is a link to nothing",
        "text.jpg": "cannot identify image file",
    }
