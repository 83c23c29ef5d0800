"""Transparent images: what lies behind them, and which keys change by it."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from runner.bind.workspace import workspace
from runner.components.data import transparency
from runner.components.data.dataset import DatasetSettings
from runner.components.data.files import decode_image
from runner.components.data.imagefolder import ImageFolder
from runner.components.data.transparency import files_fingerprint, is_transparent, on_background
from runner.core.keys import content_key
from runner.engine.stages.prepare import transform

HIDDEN, SEEN = 40, 200
"""Levels of the transparent pixel on the left and of the opaque one on the right."""

Save = Callable[[Path], None]


def gray(hidden: int = HIDDEN, seen: int = SEEN) -> Image.Image:
    return Image.fromarray(np.array([[hidden, seen]], dtype=np.uint8))


def with_alpha(mode: str) -> Image.Image:
    image = gray()
    image.putalpha(gray(0, 255))
    return image.convert(mode)


def palette() -> Image.Image:
    image = Image.fromarray(np.array([[1, 2]], dtype=np.uint8)).convert("P")
    image.putpalette([0] * 3 + [HIDDEN] * 3 + [SEEN] * 3)
    image.putdata([1, 2])
    return image


def deep() -> Image.Image:
    return Image.fromarray(np.array([[HIDDEN, SEEN]], dtype=np.uint16) * 257)


TRANSPARENT: dict[str, Save] = {
    "rgba.png": lambda path: with_alpha("RGBA").save(path),
    "gray and alpha.png": lambda path: with_alpha("LA").save(path),
    "alphas of a palette.png": lambda path: palette().save(path, transparency=b"\xff\x00\xff"),
    "colour of a palette.png": lambda path: palette().save(path, transparency=1),
    "colour.png": lambda path: gray().convert("RGB").save(path, transparency=(HIDDEN,) * 3),
    "gray level.png": lambda path: gray().save(path, transparency=HIDDEN),
    "deep gray level.png": lambda path: deep().save(path, transparency=HIDDEN * 257),
    "a.gif": lambda path: palette().save(path, transparency=1),
    "a.webp": lambda path: with_alpha("RGBA").save(path, lossless=True, exact=True),
    "a.tif": lambda path: with_alpha("RGBA").save(path),
    "called otherwise.jpg": lambda path: with_alpha("RGBA").save(path, format="png"),
}
OPAQUE: dict[str, Save] = {
    "a.png": lambda path: gray().convert("RGB").save(path),
    "gray.png": lambda path: gray().save(path),
    "deep.png": lambda path: deep().save(path),
    "palette.png": lambda path: palette().save(path),
    "a.gif": lambda path: palette().save(path),
    "a.jpg": lambda path: gray().convert("RGB").resize((16, 8)).save(path),
    "a.webp": lambda path: gray().convert("RGB").save(path, lossless=True),
    "a.bmp": lambda path: gray().convert("RGB").save(path),
    "a.tif": lambda path: gray().convert("RGB").save(path),
    "a.ppm": lambda path: gray().convert("RGB").save(path),
    "no image.png": lambda path: path.write_bytes(b"no image"),
    "cut off.png": lambda path: path.write_bytes(b"\x89PNG\r\n\x1a\n"),
    "empty.gif": lambda path: path.touch(),
}


def settings(**data: Any) -> DatasetSettings:
    return ImageFolder.model_validate_json(
        json.dumps({"dataset": "imagefolder", "path": "photos", **data})
    )


@pytest.mark.parametrize("name", TRANSPARENT)
@pytest.mark.parametrize(("background", "level"), [("white", 255), ("black", 0)])
@pytest.mark.parametrize("color", ["rgb", "gray"])
def test_hidden_colour_is_never_seen(
    tmp_path: Path, name: str, background: str, level: int, color: str
) -> None:
    TRANSPARENT[name](tmp_path / name)
    assert is_transparent(tmp_path / name)
    pixels = transform(
        decode_image((tmp_path / name).read_bytes()), settings(background=background, color=color)
    )
    assert pixels.shape == (1, 2, 3 if color == "rgb" else 1)
    assert (pixels[0, 0] == level).all()
    assert (pixels[0, 1] == SEEN).all()


@pytest.mark.parametrize("name", OPAQUE)
def test_opaque_images_and_other_files_are_not_transparent(tmp_path: Path, name: str) -> None:
    OPAQUE[name](tmp_path / name)
    assert not is_transparent(tmp_path / name)


def test_half_transparent_pixel_is_half_of_the_background() -> None:
    image = gray(100, 100)
    image.putalpha(gray(51, 255))
    assert np.asarray(on_background(image, "white").convert("L")).tolist() == [[224, 100]]


def test_alpha_channel_that_hides_nothing_changes_no_level() -> None:
    levels = np.random.default_rng(0).integers(0, 256, (64, 64, 4), dtype=np.uint8)
    levels[..., 3] = 255
    levels[0, :, :3] = levels[1, :, :3] = np.arange(64)[:, None] * 4
    image = Image.fromarray(levels)
    np.testing.assert_array_equal(transform(image, settings()), levels[..., :3])
    assert (
        on_background(image.convert("RGB"), "white").getpixel((0, 0)) == image.getpixel((0, 0))[:3]
    )


def no_memory(key: str, find_out: Callable[[], bool]) -> bool:
    return find_out()


def test_fingerprint_changes_with_transparent_images_only(tmp_path: Path) -> None:
    for name, save in OPAQUE.items():
        save(tmp_path / name)
    opaque = sorted(OPAQUE)
    hashes = ["0" * 64] * len(opaque)
    as_ever = content_key("fingerprint", list(zip(opaque, hashes, strict=True)))
    assert files_fingerprint(tmp_path, opaque, hashes, no_memory) == as_ever
    TRANSPARENT["rgba.png"](tmp_path / opaque[-1])
    assert files_fingerprint(tmp_path, opaque, hashes, no_memory) != as_ever


def test_images_are_looked_at_once_for_the_same_contents(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    TRANSPARENT["rgba.png"](tmp_path / "a.png")
    OPAQUE["a.png"](tmp_path / "b.png")
    looked: list[str] = []
    real = transparency.is_transparent

    def looking(path: Path) -> bool:
        looked.append(path.name)
        return real(path)

    monkeypatch.setattr(transparency, "is_transparent", looking)

    def fingerprint(name: str, digest: str) -> str:
        recall = workspace(tmp_path / "results.db").data_access(tmp_path / "a.yaml").recall
        return files_fingerprint(tmp_path, [name], [digest], recall)

    first = [fingerprint("a.png", "0"), fingerprint("b.png", "0")]
    assert [fingerprint("a.png", "0"), fingerprint("b.png", "0")] == first
    assert looked == ["a.png", "b.png"]
    fingerprint("b.png", "1")
    assert looked == ["a.png", "b.png", "b.png"]


def test_background_belongs_to_the_pixels_and_white_is_as_ever() -> None:
    assert settings(background="white").pixel_settings() == settings().pixel_settings()
    assert settings(background="black").pixel_settings() != settings().pixel_settings()
