"""MNIST and the two sets that took over its format: Fashion-MNIST and Kuzushiji-MNIST.

Each is four files in the IDX format, as they are downloaded (.gz) or unpacked.
"""

from __future__ import annotations

import gzip
import math
import struct
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING, ClassVar, Literal

from pydantic import Field

from runner.components.data.archives import Archive, PublicFile
from runner.components.data.dataset import DataAccess, ImageSource
from runner.components.data.finding import find_root
from runner.components.data.packed import PackedDataset, source_of_parts

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

SIDE = 28
PIECE = 1 << 24
"""Bytes that are read at a time."""
UNSIGNED_BYTES = 8
"""Code of the type of the values, the third byte of an IDX file."""


def _archive(home: str, folder: str, *files: tuple[str, int]) -> Archive:
    names = ("train-images-idx3", "train-labels-idx1", "t10k-images-idx3", "t10k-labels-idx1")
    named = zip(names, files, strict=True)
    return Archive(
        tuple(PublicFile(f"{home}/{name}-ubyte.gz", md5, size) for name, (md5, size) in named),
        folder,
    )


@dataclass(frozen=True, slots=True)
class Layout:
    """One of the sets.

    Attributes:
        archive: its four files, in torchvision's folder.
        classes: names of the ten classes, in the order of the labels.
        packaged: another folder in which they are looked for, as systems' packages call it.
    """

    archive: Archive
    classes: tuple[str, ...]
    packaged: str


MNIST = Layout(
    _archive(
        "https://ossci-datasets.s3.amazonaws.com/mnist",
        "MNIST/raw",
        ("f68b3c2dcbeaaa9fbdd348bbdeb94873", 9_912_422),
        ("d53e105ee54ea40749a09fcbcd1e9432", 28_881),
        ("9fb629c4189551a2d022fa330f9573f3", 1_648_877),
        ("ec29112dd5afa0611ce80d1b7f02629c", 4_542),
    ),
    classes=tuple("0123456789"),
    packaged="mnist",
)
FASHION_MNIST = Layout(
    _archive(
        "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com",
        "FashionMNIST/raw",
        ("8d4fb7e6c68d591d4c3dfef9ec88bf0d", 26_421_880),
        ("25c81989df183df01b3e8a0aad5dffbe", 29_515),
        ("bef4ecab320f06d8554ea6380940ec79", 4_422_102),
        ("bb300cfdad3c16e7a12a480ee83cd310", 5_148),
    ),
    classes=(
        *("T-shirt/top", "Trouser", "Pullover", "Dress", "Coat"),
        *("Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot"),
    ),
    packaged="fashion-mnist",
)
KMNIST = Layout(
    _archive(
        "http://codh.rois.ac.jp/kmnist/dataset/kmnist",
        "KMNIST/raw",
        ("bdb82020997e1d708af4cf47b453dcf7", 18_165_135),
        ("e144d726b3acfaa3e44228e80efcd344", 29_497),
        ("5c965bf0a639b31b8f53240b1b52f4d7", 3_041_136),
        ("7320c461ea6c1c855c0b718fb2a4b134", 5_120),
    ),
    classes=("o", "ki", "su", "tsu", "na", "ha", "ma", "ya", "re", "wo"),
    packaged="kmnist",
)


def read_idx(path: Path, dimensions: int) -> NDArray[np.uint8]:
    """Return the array in an IDX file, or in the same file with .gz at its end.

    Args:
        path: of the unpacked file.
        dimensions: how many the array must have.

    Returns:
        uint8, of the shape that the file says.

    Raises:
        OSError: when there is neither file, or it is no IDX file of bytes of so many dimensions.
    """
    import numpy as np

    packed = path.with_name(f"{path.name}.gz")
    try:
        if path.is_file():
            with path.open("rb") as plain:
                shape, content = _parts(plain, dimensions)
        else:
            with gzip.open(packed, "rb") as unpacking:
                shape, content = _parts(unpacking, dimensions)
    except FileNotFoundError:
        raise OSError(f"neither {path} nor {packed.name} beside it is there") from None
    except (OSError, EOFError, ValueError, struct.error, zlib.error) as error:
        if isinstance(error, OSError) and error.errno is not None:
            raise  # it cannot be read, whatever it is
        found = path if path.is_file() else packed
        raise OSError(f"{found} is not a file of {dimensions}-dimensional IDX: {error}") from error
    return np.frombuffer(content, np.uint8).reshape(shape)


def _parts(file: IO[bytes] | gzip.GzipFile, dimensions: int) -> tuple[tuple[int, ...], bytes]:
    """Return shape and content; no more is read than the shape says."""
    zeros, kind, found = struct.unpack(">HBB", file.read(4))
    if (zeros, kind, found) != (0, UNSIGNED_BYTES, dimensions):
        raise ValueError(f"it begins with {bytes((zeros >> 8, zeros & 255, kind, found)).hex(' ')}")
    shape = struct.unpack(f">{dimensions}I", file.read(4 * dimensions))
    expected = math.prod(shape)
    content = bytearray()
    while len(content) <= expected:  # a damaged head may name more than any memory holds
        piece = file.read(min(PIECE, expected + 1 - len(content)))
        if not piece:
            break
        content += piece
    if len(content) != expected:
        more = "more" if len(content) > expected else f"{len(content):,}"
        raise ValueError(f"it should hold {expected:,} values, but holds {more}")
    return shape, bytes(content)


class IdxImages(PackedDataset):
    """What the three sets share: ten classes, 28×28 gray pixels, 60,000 and 10,000 test."""

    layout: ClassVar[Layout]
    color: Literal["rgb", "gray"] = Field("gray", description="images become three or one channel")

    SIDE = SIDE

    def build(self, access: DataAccess) -> ImageSource:
        """Return the source: training images first, each part in the order of its file.

        Raises:
            MissingData: when the folder is not there, and is not fetched.
            DownloadFailed: when it cannot be fetched.
            OSError: for files that are not in the official layout.
        """
        archive = self.layout.archive
        also = (self.layout.packaged,)
        root = find_root(access, archive.folder, archive.how_to_get(), archive, also)
        parts = {}
        for part in ("train", "t10k"):
            images = read_idx(root / f"{part}-images-idx3-ubyte", 3)
            if images.shape[1:] != (SIDE, SIDE):
                raise OSError(f"{root} is not as it was published: images of {part} are not 28×28")
            parts[part] = images, read_idx(root / f"{part}-labels-idx1-ubyte", 1)
        return source_of_parts(root, parts, self.layout.classes)


class Mnist(IdxImages):
    """MNIST (LeCun, Cortes and Burges, 1998): handwritten digits, 28×28 gray pixels.

    60,000 images train, 10,000 test.
    """

    dataset: Literal["mnist"]
    layout = MNIST


class FashionMnist(IdxImages):
    """Fashion-MNIST (Xiao, Rasul and Vollgraf, 2017; MIT): clothes in MNIST's format.

    60,000 images of ten classes train, 10,000 test; 28×28 gray pixels. Debian's package
    dataset-fashion-mnist has it too: `--data /usr/share/datasets`.
    """

    dataset: Literal["fashion_mnist"]
    layout = FASHION_MNIST


class Kmnist(IdxImages):
    """Kuzushiji-MNIST (Clanuwat et al., 2018; CC BY-SA 4.0): ten cursive Japanese characters.

    60,000 images train, 10,000 test; 28×28 gray pixels.
    """

    dataset: Literal["kmnist"]
    layout = KMNIST
