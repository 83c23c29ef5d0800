"""Labelled images beside a run's own: a folder, a table or arrays that its network is measured on.

Owns which of them are meant, and that their classes are those of the run. Opens no image.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain, compress
from pathlib import Path
from typing import TYPE_CHECKING

from runner.components.data import Data
from runner.components.data.array_images import ImagePart
from runner.components.data.arrays import Arrays
from runner.components.data.at_path import KINDS, DataAtPath, NoDataSet, data_at
from runner.components.data.invalid import InvalidData
from runner.components.data.listing import SharedFolder, class_names
from runner.components.data.split_folders import SplitFolders
from runner.components.data.splitting import SPLITS
from runner.components.data.table import Table
from runner.core.errors import UsageError, nearest

if TYPE_CHECKING:
    from runner.engine.inference.image_files import FileImage

SHOWN = 10


@dataclass(frozen=True, slots=True)
class LabelledImages:
    """Images with the names of their classes.

    Attributes:
        path: where they lie.
        split: which of the splits of that they are, or None.
        classes: names of those that have images, in order.
        labels: name of the class of each image.
        notes: for people.
        files: of the images; () where they are arrays.
        arrays: that hold the images; () where these are files.
    """

    path: Path
    split: str | None
    classes: tuple[str, ...]
    labels: tuple[str, ...]
    notes: tuple[str, ...]
    files: tuple[Path, ...]
    arrays: tuple[ImagePart, ...]

    def read(self, settings: Data, shape: tuple[int, int, int]) -> Iterator[FileImage]:
        """Return an iterator over the images, prepared by the settings of a run's data.

        Args:
            settings: of the run's data.
            shape: channels, height and width that are wanted.
        """
        from runner.engine.inference.image_files import read_array, read_files

        if not self.arrays:
            return read_files(self.files, settings, shape)
        return chain.from_iterable(
            read_array(self.path, part, settings, shape) for part in self.arrays
        )


def labelled_images(path: Path, split: str | None, data: Data) -> LabelledImages:
    """Return the labelled images at a path.

    Args:
        path: a folder of class folders, or of splits of them; a table, or the folder of one; an
            .npz file of arrays.
        split: which of its splits is meant; None where it has none.
        data: settings of the run: a table has the columns of the run's own, arrays its classes.

    Raises:
        UsageError: when there are none, they are not what they should be, or it is not said which
            split is meant.
    """
    if not os.path.exists(path):
        raise UsageError(f"no folder or file {path}", allowed=KINDS)
    if split is not None and split not in SPLITS:
        near = nearest(split, SPLITS)
        raise UsageError(f"no split '{split}'", allowed=", ".join(SPLITS), suggestion=near)
    found = _found(path, data)
    if not found.labels:
        hint = "give a folder that holds one folder of images per class"
        has_folders = bool(class_names(path))
        raise UsageError(
            f"no images in class folders under {path}", hint=hint if has_folders else ""
        )
    return _of_split(found, path, split)


def _found(path: Path, data: Data) -> DataAtPath:
    like = data if isinstance(data, Table) else Table(dataset="table", path=str(path))
    columns = like.columns.model_copy(update={"group": None})
    whole = {"include": None, "per_class": None, "on_corrupt": data.on_corrupt}
    like = like.model_copy(update={"columns": columns, **whole})
    called = data.classes if isinstance(data, Arrays) else None
    try:
        return data_at(path, like, called or ())
    except NoDataSet as error:
        raise UsageError(str(error), allowed=KINDS) from None
    except SplitFolders as error:
        raise UsageError(str(error), hint="give the folder of one part") from None
    except SharedFolder as error:
        raise UsageError(str(error), hint="give each class a folder of its own") from None
    except InvalidData as error:
        raise UsageError(
            str(error),
            allowed=error.allowed,
            hint=_hint(error, isinstance(data, Table)),
            suggestion=error.suggestion,
        ) from None
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error}") from None


def _hint(error: InvalidData, is_table: bool) -> str:
    """Return what to do about data that cannot be used; nobody gives settings of it here."""
    if not error.setting.startswith("columns"):
        return error.hint
    if is_table:
        return "its columns have the names that those of the run's own table have"
    return "call the columns path (or file_name), label and, for official splits, split"


def _of_split(found: DataAtPath, path: Path, split: str | None) -> LabelledImages:
    """Return the images of one split, or all where there are none.

    Raises:
        UsageError: when it is not there, or not said.
    """
    there = [each for each in SPLITS if each in found.splits]
    if split is not None and not there:
        raise UsageError(f"{path} has no splits", hint="leave out --split")
    if there and split not in there:
        counts = ", ".join(f"{each} ({found.splits.count(each)} images)" for each in there)
        said = "" if split is None else f", and no {split}"
        raise UsageError(f"{path} has splits{said}: {counts}", hint="choose one with --split")
    kept = [split is None or each == split for each in found.splits or [None] * len(found.labels)]
    numbers = list(compress(found.labels, kept))
    having = set(numbers)
    return LabelledImages(
        path=path,
        split=split,
        classes=tuple(name for number, name in enumerate(found.classes) if number in having),
        labels=tuple(found.classes[number] for number in numbers),
        notes=found.notes,
        files=tuple(compress(found.files, kept)),
        arrays=tuple(part for part in found.arrays if split is None or part.split == split),
    )


def compare_classes(classes: Sequence[str], images: LabelledImages, allow_missing: bool) -> None:
    """Refuse images of other classes than a run's.

    Args:
        classes: of the run.
        images: the labelled images.
        allow_missing: whether some of its classes may be lacking.

    Raises:
        UsageError: with all differences.
    """
    found = images.classes
    unknown = [name for name in found if name not in classes]
    missing = [name for name in classes if name not in found]
    if not unknown and (allow_missing or not missing):
        return
    there = images.path.is_dir()
    lines = [f"the classes {'under' if there else 'of'} {images.path} are not those of the run"]
    if unknown:
        lines.append(f"    only in the {'folder' if there else 'file'}: {_listed(unknown)}")
    if missing:
        lines.append(f"    only in the run: {_listed(missing)}")
    near = [(name, nearest(name, missing)) for name in unknown]
    hint = "" if unknown else "--allow-missing measures on those that are there"
    raise UsageError(
        "\n".join(lines),
        hint=hint,
        suggestion=", ".join(f"{right} for {name}" for name, right in near[:SHOWN] if right),
    )


def _listed(names: Sequence[str]) -> str:
    more = f", … and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return ", ".join(names[:SHOWN]) + more
