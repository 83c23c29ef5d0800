"""STL-10 in the official binary files."""

from pathlib import Path
from typing import TYPE_CHECKING, Literal

from runner.components.data.archives import Archive, PublicFile
from runner.components.data.dataset import DataAccess, ImageSource
from runner.components.data.finding import find_root
from runner.components.data.packed import PackedDataset, source_of_parts

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

SIDE = 96
ARCHIVE = Archive(
    (
        PublicFile(
            "http://ai.stanford.edu/~acoates/stl10/stl10_binary.tar.gz",
            "91f7769df0f17e558f3565bffb0c7dfb",
            2_640_397_119,
        ),
    ),
    folder="stl10_binary",
)


class Stl10(PackedDataset):
    """STL-10 (Coates, Lee and Ng, 2011): 96×96 colour images of ten classes, from ImageNet.

    5,000 images train, 8,000 test; the ten folds and the unlabelled images are not used.
    """

    dataset: Literal["stl10"]

    SIDE = SIDE

    def build(self, access: DataAccess) -> ImageSource:
        """Return the source: training images first, each part in the order of its file.

        Raises:
            MissingData: when the folder is not there, and is not fetched.
            DownloadFailed: when it cannot be fetched.
            OSError: for files that are not in the official layout.
        """
        import numpy as np

        root = find_root(access, ARCHIVE.folder, ARCHIVE.how_to_get(), ARCHIVE)
        classes = (root / "class_names.txt").read_text(encoding="utf-8").split()
        parts = {
            part: (
                _images(root / f"{part}_X.bin"),
                np.fromfile(root / f"{part}_y.bin", np.uint8).astype(int) - 1,  # they begin with 1
            )
            for part in ("train", "test")
        }
        return source_of_parts(root, parts, classes)


def _images(path: Path) -> "NDArray[np.uint8]":
    """Return the images of a file, (N, 96, 96, 3); it holds them by channel and column."""
    import numpy as np

    values = np.fromfile(path, np.uint8)
    if len(values) % (3 * SIDE * SIDE):
        raise OSError(f"{path} is cut off: it does not hold whole images of 96×96")
    return values.reshape(-1, 3, SIDE, SIDE).transpose(0, 3, 2, 1)
