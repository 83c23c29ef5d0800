"""Street View House Numbers, cropped to single digits, in the official MATLAB files."""

from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from runner.components.data.archives import Archive, PublicFile
from runner.components.data.dataset import DataAccess, ImageSource
from runner.components.data.finding import find_root
from runner.components.data.mat_files import read_mat
from runner.components.data.packed import PackedDataset, source_of_parts

if TYPE_CHECKING:
    from numpy.typing import NDArray

SIDE = 32
HOME = "http://ufldl.stanford.edu/housenumbers"
ARCHIVE = Archive(
    (
        PublicFile(f"{HOME}/train_32x32.mat", "e26dedcc434d2e4c54c9b2d4a06d8373", 182_040_794),
        PublicFile(f"{HOME}/test_32x32.mat", "eb5a983be6a315427106f1b164d9cef3", 64_275_384),
    ),
    folder="svhn",
)


class Svhn(PackedDataset):
    """SVHN (Netzer et al., 2011): digits of house numbers, 32×32 colour pixels.

    73,257 images train, 26,032 test; the 531,131 easier images called `extra` are not used.
    """

    dataset: Literal["svhn"]

    SIDE = SIDE

    def build(self, access: DataAccess) -> ImageSource:
        """Return the source: training images first, each part in the order of its file.

        Raises:
            MissingData: when the folder is not there, and is not fetched.
            DownloadFailed: when it cannot be fetched.
            OSError: for files that are not in the official layout.
        """
        root = find_root(access, ARCHIVE.folder, ARCHIVE.how_to_get(), ARCHIVE)
        parts = {file.name: _read(root / file.name) for file in ARCHIVE.files}
        return source_of_parts(root, parts, tuple("0123456789"))


def _read(path: Path) -> tuple["NDArray[Any]", "NDArray[Any]"]:
    """Return images (N, 32, 32, 3) and digits (N,) of a file, where 0 is called 10."""
    images, labels = read_mat(path, ("X", "y"))
    fits = images.ndim == 4 and images.shape[:3] == (SIDE, SIDE, 3) and images.dtype == "uint8"
    if not fits:
        raise OSError(f"{path} is not as it was published: X is {images.dtype} {images.shape}")
    digits = labels.reshape(-1)
    if not set(digits.tolist()) <= set(range(1, 11)):
        raise OSError(f"{path} is not as it was published: labels are not from 1 to 10")
    return images.transpose(3, 0, 1, 2), digits % 10
