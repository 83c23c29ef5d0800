"""What becomes of each kind of image file: the same in a training and in `predict`."""

import io
import struct
import zlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from runner.components.data.depth import UnknownRange, levels_fingerprint
from runner.components.data.files import TooManyPixels, decode_image
from runner.components.data.imagefolder import ImageFolder
from runner.engine.inference.image_files import FileImage, read_files
from runner.engine.stages.prepare import transform

DEEP = np.array([[0, 128, 129, 32768, 65535]], dtype=np.uint16)
SCALED = [0, 0, 1, 128, 255]
CORNERS = np.array([[10, 20, 30], [40, 50, 60]], dtype=np.uint8)


def settings(**data: Any) -> ImageFolder:
    return ImageFolder(dataset="imagefolder", path="photos", **data)


def saved(image: Image.Image, kind: str, **options: Any) -> bytes:
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def png(samples: NDArray[Any], color_type: int, size: tuple[int, int] | None = None) -> bytes:
    """Return a PNG of samples (H, W, ...); its head may claim another height and width."""
    height, width = size or samples.shape[:2]
    raw = b"".join(b"\0" + row.astype(samples.dtype.newbyteorder(">")).tobytes() for row in samples)
    head = struct.pack(">IIBBBBB", width, height, samples.dtype.itemsize * 8, color_type, 0, 0, 0)
    chunks = ((b"IHDR", head), (b"IDAT", zlib.compress(raw)), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))
        for name, data in chunks
    )


def tiff(data: bytes, width: int, bits: int, photometric: int = 1, channels: int = 1) -> bytes:
    """Return an uncompressed little-endian TIFF of one row."""
    entries = [
        (256, 3, 1, width),
        (257, 3, 1, 1),
        (258, 3, channels, bits if channels == 1 else 8 + len(data)),
        (259, 3, 1, 1),
        (262, 3, 1, photometric),
        (273, 4, 1, 8),
        (277, 3, 1, channels),
        (278, 3, 1, 1),
        (279, 4, 1, len(data)),
    ]
    table = b"".join(struct.pack("<HHII", *entry) for entry in entries)
    depths = struct.pack(f"<{channels}H", *[bits] * channels) if channels > 1 else b""
    start = 8 + len(data) + len(depths)
    head = b"II*\0" + struct.pack("<I", start) + data + depths
    return head + struct.pack("<H", len(entries)) + table + struct.pack("<I", 0)


def colour() -> NDArray[np.uint16]:
    return np.stack([DEEP, DEEP[:, ::-1], DEEP], axis=-1)


def red(mode: str) -> Image.Image:
    return Image.new("RGB", (8, 8), (255, 0, 0)).convert(mode)


def palette(**options: Any) -> bytes:
    image = Image.new("P", (2, 1))
    image.putpalette([9, 9, 9, 200, 100, 50])
    image.putdata([0, 1])
    return saved(image, "png", **options)


def frames(kind: str, **options: Any) -> bytes:
    levels = [Image.new("L", (2, 2), level).convert("RGB") for level in (200, 100, 0)]
    return saved(levels[0], kind, save_all=True, append_images=levels[1:], **options)


def turned(kind: str, **options: Any) -> bytes:
    exif = Image.Exif()
    exif[0x0112] = 6  # the top of the picture is on the right
    return saved(Image.fromarray(CORNERS).convert("RGB"), kind, exif=exif, **options)


TWELVE = bytes.fromhex("000800fff000")  # 0, 2048, 4095 and 0, of 12 bits each

GRAY: Mapping[str, tuple[Callable[[], bytes], list[int]]] = {
    "16-bit gray PNG": (lambda: png(DEEP, 0), SCALED),
    "16-bit gray TIFF": (lambda: tiff(DEEP.tobytes(), 5, 16), SCALED),
    "16-bit gray TIFF, 0 is white": (
        lambda: tiff(DEEP.tobytes(), 5, 16, 0),
        [255, 255, 254, 127, 0],
    ),
    "12-bit gray TIFF": (lambda: tiff(TWELVE, 4, 12), [0, 128, 255, 0]),
    "16-bit PGM": (lambda: b"P5\n5 1\n65535\n" + DEEP.astype(">u2").tobytes(), SCALED),
    "12-bit PGM": (lambda: b"P5\n3 1\n4095\n" + b"\0\0\x08\0\x0f\xff", [0, 128, 255]),
    "8-bit gray": (lambda: saved(Image.fromarray(CORNERS[:1]), "png"), [10, 20, 30]),
    "8-bit gray TIFF, 0 is white": (lambda: tiff(b"\0\x01\xff", 3, 8, 0), [255, 254, 0]),
    "1-bit PNG": (
        lambda: saved(Image.fromarray(np.array([[0, 255]], np.uint8)).convert("1"), "png"),
        [0, 255],
    ),
    "1-bit TIFF": (
        lambda: saved(Image.fromarray(np.array([[0, 255]], np.uint8)).convert("1"), "tiff"),
        [0, 255],
    ),
    "gray and alpha": (lambda: png(np.array([[[90, 255], [90, 0]]], np.uint8), 4), [90, 255]),
    "16-bit gray and alpha": (
        lambda: png(np.array([[[25700, 65535], [9, 0]]], np.uint16), 4),
        [100, 255],
    ),
    "animated GIF": (lambda: frames("gif"), [200, 200]),
    "animated WebP": (lambda: frames("webp", lossless=True), [200, 200]),
    "animated PNG": (lambda: frames("png"), [200, 200]),
    "animated PNG with a still one": (lambda: frames("png", default_image=True), [200, 200]),
    "TIFF of several pages": (lambda: frames("tiff"), [200, 200]),
    "turned PNG": (lambda: turned("png"), [40, 10]),
    "turned WebP": (lambda: turned("webp", lossless=True), [40, 10]),
    "turned TIFF": (lambda: turned("tiff"), [40, 10]),
}
"""Files whose channels are equal, and the first row of their pixels."""

COLOUR: Mapping[str, tuple[Callable[[], bytes], list[int]]] = {
    "16-bit RGB PNG": (lambda: png(colour(), 2), [0, 255, 0]),
    "16-bit RGB TIFF": (lambda: tiff(colour().tobytes(), 5, 16, 2, 3), [0, 255, 0]),
    "16-bit PPM": (lambda: b"P6\n5 1\n65535\n" + colour().astype(">u2").tobytes(), [0, 255, 0]),
    "CMYK JPEG": (lambda: saved(red("CMYK"), "jpeg", quality=100), [255, 0, 0]),
    "CMYK TIFF": (lambda: saved(red("CMYK"), "tiff"), [255, 0, 0]),
    "YCbCr TIFF": (lambda: saved(red("YCbCr"), "tiff", compression="tiff_lzw"), [254, 0, 0]),
    "Lab TIFF": (lambda: saved(Image.new("LAB", (1, 1), (128, 128, 128)), "tiff"), [119, 119, 119]),
    "palette": (lambda: palette(), [9, 9, 9]),
    "palette with a transparent colour": (lambda: palette(transparency=0), [255, 255, 255]),
    "RGBA": (lambda: saved(Image.new("RGBA", (1, 1), (0, 100, 200, 51)), "png"), [204, 224, 244]),
}


def predicted(path: Path, data: ImageFolder, shape: tuple[int, int, int]) -> FileImage:
    (found,) = read_files([path], data, shape)
    return found


@pytest.mark.parametrize("kind", [*GRAY, *COLOUR])
def test_kind_of_image_has_its_pixels_everywhere(kind: str, tmp_path: Path) -> None:
    write, expected = {**GRAY, **COLOUR}[kind]
    (tmp_path / "image").write_bytes(write())
    pixels = transform(decode_image(write()), settings())
    if kind in GRAY:
        assert pixels[0].tolist() == [[level] * 3 for level in expected]
    else:
        assert np.abs(pixels[0, 0].astype(int) - expected).max() <= 2
    height, width, _ = pixels.shape
    found = predicted(tmp_path / "image", settings(), (3, height, width))
    assert found.error == ""
    np.testing.assert_array_equal(found.pixels, pixels)
    gray = transform(decode_image(write()), settings(color="gray"))
    if kind in GRAY:
        np.testing.assert_array_equal(gray[..., 0], pixels[..., 0])
    weights = np.array([0.299, 0.587, 0.114])
    np.testing.assert_allclose(gray[..., 0], pixels @ weights, atol=1)


def test_turned_jpeg_stands_upright() -> None:
    assert decode_image(turned("jpeg")).size == (2, 3)


def test_every_deep_level_is_scaled_to_the_nearest() -> None:
    levels = np.arange(65536, dtype=np.uint16).reshape(256, 256)
    pixels = np.asarray(decode_image(png(levels, 0)))
    np.testing.assert_array_equal(pixels, np.rint(levels / 257))
    rgb = np.asarray(decode_image(png(np.stack([levels] * 3, axis=-1), 2)))
    assert np.abs(rgb[..., 0].astype(int) - pixels).max() == 1


NO_RANGE = {
    "float TIFF": lambda: saved(Image.new("F", (2, 1), 0.5), "tiff"),
    "32-bit TIFF": lambda: saved(Image.new("I", (2, 1), 7), "tiff"),
}


@pytest.mark.parametrize("kind", NO_RANGE)
def test_levels_without_a_range_are_refused(kind: str, tmp_path: Path) -> None:
    with pytest.raises(UnknownRange, match=r"pixels of mode . have no known range; use 8 or 16"):
        decode_image(NO_RANGE[kind]())
    (tmp_path / "image").write_bytes(NO_RANGE[kind]())
    assert "no known range" in predicted(tmp_path / "image", settings(), (3, 1, 2)).error


def vast_gif() -> bytes:
    """Return a GIF of a vast canvas and a frame of one pixel."""
    frame = b"," + struct.pack("<HHHHB", 0, 0, 1, 1, 0) + b"\x02\x02D\x01\0;"
    return b"GIF89a" + struct.pack("<HH", 65535, 40000) + b"\0\0\0" + frame


def vast() -> bytes:
    return png(np.zeros((1, 1), np.uint8), 0, (20_000, 30_000))


@pytest.mark.parametrize(
    ("content", "size"),
    [
        (vast, "20000×30000"),
        (lambda: b"P5\n30000 20000\n255\n", "20000×30000"),
        (vast_gif, "40000×65535"),
    ],
    ids=["png", "pgm", "gif"],
)
def test_vast_image_is_refused_by_its_head(
    content: Callable[[], bytes], size: str, tmp_path: Path
) -> None:
    said = f"it is {size} (height × width), more than the 178,956,970 pixels that are decoded"
    with pytest.raises(TooManyPixels) as caught:
        decode_image(content())
    assert str(caught.value) == said
    (tmp_path / "image").write_bytes(content())
    assert predicted(tmp_path / "image", settings(), (3, 1, 2)).error == said


def test_fingerprint_changes_with_levels_that_were_taken_otherwise(tmp_path: Path) -> None:
    contents = {
        "a.tif": GRAY["16-bit gray TIFF"],
        "b.TIFF": GRAY["8-bit gray TIFF, 0 is white"],
        "c.png": GRAY["16-bit gray PNG"],
    }
    for name, (write, _) in contents.items():
        (tmp_path / name).write_bytes(write())

    def fingerprint(names: list[str]) -> str:
        return levels_fingerprint(tmp_path, names, "before", lambda key, find_out: find_out())

    assert fingerprint([*contents]) == "before"
    for kind in ("16-bit gray TIFF, 0 is white", "12-bit gray TIFF"):
        (tmp_path / "a.tif").write_bytes(GRAY[kind][0]())
        assert fingerprint([*contents]) != "before"
        assert fingerprint(["b.TIFF", "c.png"]) == "before"
