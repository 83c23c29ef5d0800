"""A short spec for images at hand, to begin with."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

from runner.components.data.at_path import KINDS, DataAtPath, NoDataSet, data_at
from runner.components.data.invalid import InvalidData
from runner.components.data.listing import SharedFolder
from runner.components.data.splitting import Split
from runner.components.data.table import METADATA
from runner.core.errors import UsageError
from runner.core.text import printable, storable
from runner.spec.nodes import as_yaml
from runner.spec.starter_data import image_sizes, is_gray

SMALL_SIDE = 64
FEW = 2000
"""Training images below which batches are small."""

FRACTIONS: Mapping[str, Split] = {"validation": "val", "test": "test"}
TEMPLATE = """\
name: {name}
data: {{dataset: {dataset}, path: {path}{settings}}}
model: {{name: convnet, filters: {filters}, batch_norm: true}}
train: {{epochs: 20, batch_size: {batch_size}, optimizer: adam}}
seeds: [0, 1]
sweep:
  grid:
    lr: [0.0003, 0.001, 0.003]
    dropout: [0.0, 0.3]
"""


def make_spec(data: Path, beside: Path, side: int | None = None) -> tuple[str, str]:
    """Return the name and the text of a spec for images at hand.

    Args:
        data: a folder of class folders, or of splits of them; a table, or the folder of its
            metadata.csv; an .npz file of arrays.
        beside: folder in which the spec will lie; paths are relative to it where they can be.
        side: of the prepared images in pixels; chosen by the images when not given.

    Raises:
        UsageError: when there is no such thing, it cannot be read or used, or it has fewer than two
            classes.
    """
    if not data.exists():
        raise UsageError(f"no folder or file {data}")
    where = _path(data, beside)
    if storable(where) != where:
        raise UsageError(f"the path {printable(where)} is not UTF-8, and no spec can hold it")
    try:
        found = data_at(data)
    except NoDataSet as error:
        raise UsageError(str(error), allowed=KINDS) from None
    except InvalidData as error:
        raise UsageError(
            str(error), allowed=error.allowed, hint=error.hint, suggestion=error.suggestion
        ) from None
    except SharedFolder as error:
        raise UsageError(str(error)) from None
    except OSError as error:
        raise UsageError(f"{data} cannot be read: {error}") from None
    _refuse_too_few_classes(found, data)
    side, size = _size(found, data, side)
    splits = found.splits or ["train"] * len(found.labels)
    training = [
        label for label, split in zip(found.labels, splits, strict=True) if split == "train"
    ]
    fraction = 0.2 if _fits(training, len(found.classes)) else 0.5
    drawn = [name for name, split in FRACTIONS.items() if split not in splits]
    settings = [f", {name}: {fraction}" for name in drawn] + [", color: gray"] * is_gray(found)
    blocks = max(1, min(3, side.bit_length() - 3))
    name = _name(data)
    text = TEMPLATE.format(
        name=as_yaml(name),
        dataset=found.dataset,
        path=as_yaml(where),
        settings="".join([*settings, size]),
        filters=[16 * 2**block for block in range(blocks)],
        batch_size=32 if len(training) < FEW else 128,
    )
    return name, text


def _name(data: Path) -> str:
    path = data.resolve()
    called = path.name if path.is_dir() else path.stem
    if path.is_file() and called == METADATA:
        called = path.parent.name
    return re.sub(r"[^A-Za-z0-9_.-]+", "_", called).lstrip("_.-") or "images"


def _refuse_too_few_classes(found: DataAtPath, data: Path) -> None:
    if len(found.classes) >= 2:
        return
    one = len(found.classes) == 1
    if found.dataset == "imagefolder":
        count = f"{'1 class folder' if one else 'no class folders'} with images"
    else:
        count = "1 class"
    raise UsageError(f"{data} has {count}", allowed="2 or more")


def _fits(labels: Sequence[int], num_classes: int) -> bool:
    """Return whether a fifth of the images has room for every class."""
    return 0.16 * len(labels) >= num_classes and min(Counter(labels).values()) >= 5


def _path(data: Path, beside: Path) -> str:
    absolute = data.resolve()
    try:
        return absolute.relative_to(beside.resolve()).as_posix()
    except ValueError:
        return absolute.as_posix()


def _size(found: DataAtPath, data: Path, asked: int | None) -> tuple[int, str]:
    """Return the side of the prepared images, and the settings that make them so."""
    sizes = image_sizes(found)
    if not sizes:
        raise UsageError(f"no image under {data} can be opened")
    smallest = min(min(size) for size in sizes)
    if asked is None and len(sizes) == 1 and max(next(iter(sizes))) <= SMALL_SIDE:
        return smallest, ""
    side = asked or min(SMALL_SIDE, max(16, smallest))
    return side, f", resize: {side}, crop: {side}"
