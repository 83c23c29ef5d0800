"""CIFAR-10 and CIFAR-100 in their official layouts.

The official files are pickles. They are read by an unpickler that makes arrays, lists, mappings,
numbers and text, and refuses everything else: a file cannot run code.
"""

import hashlib
import io
import pickle
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from pydantic import Field

from runner.components.data.archives import Archive, PublicFile
from runner.components.data.dataset import DataAccess, ImageSource
from runner.components.data.finding import find_root
from runner.components.data.packed import PackedDataset, packed_source

HOME = "https://www.cs.toronto.edu/~kriz"
SIDE = 32
ALLOWED = {
    ("numpy.core.multiarray", "_reconstruct"),
    ("numpy._core.multiarray", "_reconstruct"),
    ("numpy", "ndarray"),
    ("numpy", "dtype"),
    ("_codecs", "encode"),
}


@dataclass(frozen=True, slots=True)
class Layout:
    """The files of one of the two sets.

    Attributes:
        train: training files.
        test: test file.
        meta: file of the class names.
        labels: key of the labels in a file.
        classes: key of the names in ``meta``.
        archive: what holds them, in a folder.
    """

    train: tuple[str, ...]
    test: str
    meta: str
    labels: str
    classes: str
    archive: Archive


CIFAR10 = Layout(
    train=tuple(f"data_batch_{number}" for number in range(1, 6)),
    test="test_batch",
    meta="batches.meta",
    labels="labels",
    classes="label_names",
    archive=Archive(
        (
            PublicFile(
                f"{HOME}/cifar-10-python.tar.gz", "c58f30108f718f92721af3b95e74349a", 170_498_071
            ),
        ),
        folder="cifar-10-batches-py",
    ),
)
CIFAR100 = Layout(
    train=("train",),
    test="test",
    meta="meta",
    labels="fine_labels",
    classes="fine_label_names",
    archive=Archive(
        (
            PublicFile(
                f"{HOME}/cifar-100-python.tar.gz", "eb9058c3a382ffc7106e4002c42a8d85", 169_001_437
            ),
        ),
        folder="cifar-100-python",
    ),
)


class _ArraysOnly(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in ALLOWED:
            raise pickle.UnpicklingError(f"the file wants {module}.{name}, which is not an array")
        return super().find_class(module, name)


def read_batch(path: Path) -> dict[str, Any]:
    """Return the mapping in an official file.

    Raises:
        OSError: when it is not in the official layout.
    """
    try:
        content = _ArraysOnly(io.BytesIO(path.read_bytes()), encoding="latin1").load()
    except (pickle.UnpicklingError, EOFError, ValueError, AttributeError) as error:
        raise OSError(f"{path} is not a CIFAR file: {error}") from error
    if not isinstance(content, dict):
        raise OSError(f"{path} is not a CIFAR file: it holds a {type(content).__name__}")
    return content


def _source(access: DataAccess, layout: Layout) -> ImageSource:
    import numpy as np

    archive = layout.archive
    root = find_root(access, archive.folder, archive.how_to_get(), archive)
    batches = [read_batch(root / name) for name in (*layout.train, layout.test)]
    rows = np.concatenate([np.asarray(batch["data"], dtype=np.uint8) for batch in batches])
    pixels = rows.reshape(-1, 3, SIDE, SIDE).transpose(0, 2, 3, 1)
    labels = [int(label) for batch in batches for label in batch[layout.labels]]
    num_test = len(batches[-1][layout.labels])
    classes = [str(name) for name in read_batch(root / layout.meta)[layout.classes]]
    hashed = hashlib.sha256(rows.data)
    hashed.update(bytes(labels))
    return packed_source(root, pixels, labels, classes, num_test, hashed.hexdigest()[:32])


class Cifar10(PackedDataset):
    """CIFAR-10 (Krizhevsky, 2009): 32×32 colour images of ten classes, 50,000 and 10,000 test.

    ``validation: 0.02`` holds out 1,000 of the training images, stratified (report R2).
    """

    dataset: Literal["cifar10"]
    validation: float = Field(
        0.02, ge=0, lt=1, description="fraction of the training images, per class"
    )

    SIDE = SIDE

    def build(self, access: DataAccess) -> ImageSource:
        """Return the source: training images first.

        Raises:
            MissingData: when the folder is not there, and is not fetched.
            DownloadFailed: when it cannot be fetched.
            OSError: for files that are not in the official layout.
        """
        return _source(access, CIFAR10)


class Cifar100(PackedDataset):
    """CIFAR-100 (Krizhevsky, 2009): 32×32 colour images of 100 classes (the fine labels).

    50,000 images train, 10,000 test; ``validation: 0`` is the protocol of report R3.
    """

    dataset: Literal["cifar100"]
    validation: float = Field(
        0.0, ge=0, lt=1, description="fraction of the training images, per class"
    )

    SIDE = SIDE
    NUM_CLASSES = 100

    def build(self, access: DataAccess) -> ImageSource:
        """Return the source: training images first.

        Raises:
            MissingData: when the folder is not there, and is not fetched.
            DownloadFailed: when it cannot be fetched.
            OSError: for files that are not in the official layout.
        """
        return _source(access, CIFAR100)
