"""CIFAR-10 and CIFAR-100 in their official layouts.

The official files are pickles. They are read by an unpickler that makes lists, mappings, numbers
and text, keeps the bytes of an array, and refuses everything else: a file cannot run code, nor hand
numpy what it would not survive.
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
BYTES = ("u1", "|u1", "uint8")
"""What numpy calls one byte a number."""


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


class _Bytes:
    """Stands for an array of uint8 while a file is read."""

    def __init__(self) -> None:
        self.array: Any = None

    def __setstate__(self, state: Any) -> None:
        import numpy as np

        _, shape, _, is_fortran, content = state
        raw = content.encode("latin1") if isinstance(content, str) else content
        self.array = np.frombuffer(raw, np.uint8).reshape(shape, order="F" if is_fortran else "C")


class _Kind:
    """Stands for the type of an array's numbers, which is always the same."""

    def __setstate__(self, state: Any) -> None:
        """Take no notice of what is said of it besides its name."""


def _bytes(*_: Any) -> _Bytes:
    return _Bytes()


def _kind(name: Any, *_: Any) -> _Kind:
    if name not in BYTES:
        raise pickle.UnpicklingError(f"it holds an array of {name!r:.20}, not of uint8")
    return _Kind()


def _encoded(text: Any, _: Any) -> bytes:
    return bytes(text, "latin1")


KNOWN = {
    ("numpy.core.multiarray", "_reconstruct"): _bytes,
    ("numpy._core.multiarray", "_reconstruct"): _bytes,
    ("numpy", "ndarray"): None,
    ("numpy", "dtype"): _kind,
    ("_codecs", "encode"): _encoded,
}
"""What stands for the names that an official file holds; numpy's own would trust the file."""


class _ArraysOnly(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in KNOWN:
            raise pickle.UnpicklingError(f"the file wants {module}.{name}, which is not an array")
        return KNOWN[module, name]


def read_batch(path: Path) -> dict[str, Any]:
    """Return the mapping in an official file.

    Raises:
        OSError: when it is not in the official layout.
    """
    file = io.BytesIO(path.read_bytes())
    try:
        content = _ArraysOnly(file, encoding="latin1").load()
    except Exception as error:  # a damaged pickle may raise any
        raise OSError(f"{path} is not a CIFAR file: {error}") from error
    if not isinstance(content, dict):
        raise OSError(f"{path} is not a CIFAR file: it holds a {type(content).__name__}")
    return {
        name: value.array if isinstance(value, _Bytes) else value for name, value in content.items()
    }


def _source(access: DataAccess, layout: Layout) -> ImageSource:
    import numpy as np

    archive = layout.archive
    root = find_root(access, archive.folder, archive.how_to_get(), archive)
    batches = [read_batch(root / name) for name in (*layout.train, layout.test)]
    meta = read_batch(root / layout.meta)
    try:
        rows = np.concatenate([np.asarray(batch["data"], dtype=np.uint8) for batch in batches])
        pixels = rows.reshape(-1, 3, SIDE, SIDE).transpose(0, 2, 3, 1)
        labels = [int(label) for batch in batches for label in batch[layout.labels]]
        num_test = len(batches[-1][layout.labels])
        classes = [str(name) for name in meta[layout.classes]]
    except (KeyError, TypeError, ValueError) as error:
        raise OSError(f"{root} is not in the official layout: {error!r}") from error
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
