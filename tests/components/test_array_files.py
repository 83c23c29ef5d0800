"""Archives of arrays: whatever bytes they hold, they are read or refused by name."""

import io
from pathlib import Path
from tempfile import TemporaryDirectory
from zipfile import ZipFile

import numpy as np
import pytest
from examples import examples
from hypothesis import given, settings
from hypothesis import strategies as st

from runner.components.data.array_files import array_heads, array_names, read_arrays
from runner.components.data.invalid import InvalidData

VALUES = {"images": np.arange(60, dtype=np.uint8).reshape(3, 5, 4), "labels": np.arange(3)}
DAMAGES = st.lists(
    st.tuples(st.integers(0, 9999), st.integers(0, 3), st.binary(max_size=3)),
    min_size=1,
    max_size=4,
)
"""Where, how many bytes go, and what stands there instead."""


def archive(packed: bool) -> bytes:
    content = io.BytesIO()
    (np.savez_compressed if packed else np.savez)(content, **VALUES)
    return content.getvalue()


@pytest.mark.parametrize("packed", [True, False])
def test_arrays_come_back_by_name(tmp_path: Path, packed: bool) -> None:
    path = tmp_path / "a.npz"
    path.write_bytes(archive(packed))
    assert array_names(path) == ["images", "labels"]
    heads = array_heads(path, ["labels", "images"])
    assert str(heads["images"]) == "uint8 of shape (3, 5, 4)"
    for content in (None, path.read_bytes()):
        for name, found in zip(VALUES, read_arrays(path, list(VALUES), content), strict=True):
            np.testing.assert_array_equal(found, VALUES[name])


@pytest.mark.fast_cases(1)
@pytest.mark.parametrize("packed", [True, False])
@settings(max_examples=examples(500), deadline=None)
@given(damages=DAMAGES)
def test_damaged_archive_is_read_or_refused_as_one(
    packed: bool, damages: list[tuple[int, int, bytes]]
) -> None:
    content = bytearray(archive(packed))
    for where, gone, instead in damages:
        start = where % len(content) if content else 0
        content[start : start + gone] = instead
    with TemporaryDirectory() as folder:
        path = Path(folder) / "a.npz"
        path.write_bytes(content)
        try:
            found = read_arrays(path, list(array_heads(path, array_names(path))))
        except InvalidData:
            return
        # a checksum holds the values: what is read is what was written, under whatever name
        known = [array.tobytes() for array in VALUES.values()]
        assert all(array.tobytes() in known for array in found)


def test_objects_are_never_read(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", objects=np.array([{"a": 1}], dtype=object))
    assert array_heads(tmp_path / "a.npz", ["objects"])["objects"].dtype == object
    with pytest.raises(InvalidData, match="Object arrays cannot be loaded"):
        read_arrays(tmp_path / "a.npz", ["objects"])


def test_unknown_version_is_refused(tmp_path: Path) -> None:
    content = io.BytesIO()
    np.save(content, np.arange(3))
    with ZipFile(tmp_path / "a.npz", "w") as packed:
        packed.writestr("a.npy", content.getvalue().replace(b"NUMPY\x01", b"NUMPY\x09"))
    with pytest.raises(InvalidData, match=r"a.npy has the unknown version \(9, 0\)"):
        array_heads(tmp_path / "a.npz", ["a"])


def test_file_that_cannot_be_opened_is_an_oserror(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        array_names(tmp_path / "gone.npz")
