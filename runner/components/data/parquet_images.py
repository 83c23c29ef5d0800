"""Encoded images in columns of Parquet files, as the Hugging Face Hub stores them.

Owns the layout: a column of images, {bytes, path} or bytes, a column of labels, and the names of
the classes in the file's metadata. A file is decoded only while it is as it was hashed.
"""

from __future__ import annotations

import json
from bisect import bisect_right
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import accumulate
from pathlib import Path
from threading import RLock
from typing import TYPE_CHECKING, Any

from runner.components.data.files import HashedFiles, decode_image
from runner.components.data.invalid import InvalidData
from runner.components.data.listing import enumerated

if TYPE_CHECKING:
    from PIL.Image import Image

METADATA = b"huggingface"
OPEN_FILES, OPEN_GROUPS = 2, 4
"""How many files and groups of rows stay in memory: threads read near to each other."""


@dataclass(frozen=True, slots=True)
class ParquetPart:
    """What one file holds, but for its images.

    Attributes:
        path: of the file.
        image: name of the column of images.
        label: name of the column of labels.
        labels: of each row, as text: the class's name, or what stands there.
        names: names of the classes in their order, None where the file does not say.
    """

    path: Path
    image: str
    label: str
    labels: tuple[str, ...]
    names: tuple[str, ...] | None


def read_part(path: Path, image: str | None, label: str | None) -> ParquetPart:
    """Return what a file holds; images are not read.

    Args:
        path: of the file.
        image: name of the column of images; None is the only one that is declared as such.
        label: name of the column of labels, likewise.

    Raises:
        InvalidData: when it cannot be read, a column is not there or not of its kind, or it cannot
            be told which it is, or a row has no label.
    """
    import pyarrow as arrow
    from pyarrow import parquet

    try:
        with parquet.ParquetFile(path) as file:
            schema = file.schema_arrow
            features = _features(schema)
            image = _column(image, "image", "Image", schema, features, path)
            label = _column(label, "label", "ClassLabel", schema, features, path)
            _check_images(schema.field(image).type, image, path)
            values = file.read(columns=[label]).column(label).to_pylist()
    except (arrow.ArrowException, UnicodeDecodeError, OSError) as error:
        if isinstance(error, OSError) and error.errno is not None:
            raise  # the file itself cannot be read
        said = str(error).partition("\n")[0]
        raise InvalidData(f"{path} is no Parquet file that can be read: {said}") from None
    names = _names(features.get(label))
    return ParquetPart(path, image, label, _labels(values, names, label, path), names)


def _features(schema: Any) -> dict[str, Any]:
    """Return what the file says of its columns, {} where it says nothing."""
    try:
        stated = json.loads((schema.metadata or {}).get(METADATA, b"{}"))
        features = stated.get("info", {}).get("features", {})
    except (ValueError, AttributeError, RecursionError):
        return {}
    return features if isinstance(features, dict) else {}


def _column(
    given: str | None,
    setting: str,
    kind: str,
    schema: Any,
    features: dict[str, Any],
    path: Path,
) -> str:
    """Return the column that is given, declared as of its kind, or called like the setting."""
    if given is not None:
        if given not in schema.names:
            found = f"{path} has no column {given}, but {enumerated(schema.names)}"
            raise InvalidData(found, "name one of them", setting)
        return given
    declared: list[str] = [
        name
        for name in schema.names
        if isinstance(features.get(name), dict) and features[name].get("_type") == kind
    ]
    if len(declared) == 1:
        return declared[0]
    if not declared and setting in schema.names:
        return setting
    which = f"several columns of the kind {kind}: " if declared else f"no column {setting}, but "
    raise InvalidData(
        f"{path} has {which}{enumerated(declared or schema.names)}",
        f"name the column: {setting}: …",
        setting,
    )


def _check_images(kind: Any, name: str, path: Path) -> None:
    from pyarrow import types

    if types.is_struct(kind):
        fields = [kind.field(number).name for number in range(kind.num_fields)]
        kind = kind.field(fields.index("bytes")).type if "bytes" in fields else None
    if kind is None or not (types.is_binary(kind) or types.is_large_binary(kind)):
        found = f"{path}: the column {name} holds no encoded images"
        raise InvalidData(found, "name the column of images: image: …", "image")


def _names(feature: Any) -> tuple[str, ...] | None:
    names = feature.get("names") if isinstance(feature, dict) else None
    if isinstance(names, list) and all(isinstance(name, str) for name in names):
        return tuple(names)
    return None


def _labels(
    values: Sequence[Any], names: tuple[str, ...] | None, column: str, path: Path
) -> tuple[str, ...]:
    """Return the label of each row as text."""
    found = []
    for row, value in enumerate(values, start=1):
        is_label = isinstance(value, str) or (isinstance(value, int) and value >= 0)
        if not is_label or isinstance(value, bool) or value == "":
            what = "no label" if value is None or value in (-1, "") else f"the label {value!r:.40}"
            raise InvalidData(
                f"{path}, row {row}: {column} has {what}",
                "a label is the number of a class or its name; images without are of no use here",
                "label",
            )
        if isinstance(value, int) and names is not None:
            if value >= len(names):
                what = f"the label {value}, but the classes are 0 to {len(names) - 1}"
                raise InvalidData(f"{path}, row {row}: {column} has {what}", setting="label")
            value = names[value]
        found.append(str(value))
    return tuple(found)


def image_reader(parts: Sequence[ParquetPart], files: HashedFiles) -> Callable[[int], Image]:
    """Return a function from the index of an image, through all parts, to the decoded image.

    Args:
        parts: in the order of the images.
        files: the same files, as they were hashed.
    """
    import pyarrow as arrow
    from pyarrow import parquet

    ends = list(accumulate(len(part.labels) for part in parts))
    lock = RLock()

    @lru_cache(OPEN_FILES)
    def opened(number: int) -> tuple[Any, list[int]]:
        file = parquet.ParquetFile(arrow.BufferReader(files.read(number)))
        sizes = [file.metadata.row_group(each).num_rows for each in range(file.num_row_groups)]
        return file, list(accumulate(sizes))

    @lru_cache(OPEN_GROUPS)
    def rows(number: int, group: int) -> Any:
        column = parts[number].image
        return opened(number)[0].read_row_group(group, columns=[column]).column(column)

    def content(index: int) -> bytes:
        number = bisect_right(ends, index)
        row = index - (ends[number - 1] if number else 0)
        try:
            with lock:  # several threads decode: one of them reads
                groups = opened(number)[1]
                group = bisect_right(groups, row)
                value = rows(number, group)[row - (groups[group - 1] if group else 0)].as_py()
        except (arrow.ArrowException, UnicodeDecodeError, IndexError) as error:
            said = str(error).partition("\n")[0]
            raise OSError(f"{parts[number].path} is damaged: {said}") from None
        found = value.get("bytes") if isinstance(value, dict) else value
        if not found:
            raise OSError("the row holds no image, or only the name of one")
        return bytes(found)

    def read(index: int) -> Image:
        return decode_image(content(index))

    return read
