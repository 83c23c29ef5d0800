"""Image files are read as what was hashed, or not at all."""

import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from runner.artifacts.hashes import HashCache
from runner.components.data.dataset import DataAccess, ImageSource
from runner.components.data.files import ChangedFile, file_source
from runner.components.data.listing import Listing

NAMES = [f"{number}.png" for number in range(4)]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    folder = tmp_path / "photos"
    folder.mkdir()
    for number, name in enumerate(NAMES):
        Image.new("L", (3, 2), 50 * number).save(folder / name)
    return folder


def source_of(root: Path, forgotten: list[Path] | None = None) -> ImageSource:
    told = [] if forgotten is None else forgotten
    hashes = HashCache(root.parent / "cache").hash_files
    access = DataAccess((root.parent,), hashes, forget=told.append)
    return file_source(access, root, Listing(tuple(NAMES), (0, 0, 1, 1), ("one", "other")))


def test_unchanged_file_is_decoded(root: Path) -> None:
    source = source_of(root)
    assert [int(np.asarray(source.read(index))[0, 0]) for index in range(4)] == [0, 50, 100, 150]


def overwritten(path: Path) -> None:
    stat = path.stat()
    Image.new("L", (3, 2), 77).save(path)
    os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))


def cut_off(path: Path) -> None:
    os.truncate(path, path.stat().st_size - 1)


def grown(path: Path) -> None:
    with path.open("ab") as file:
        file.truncate(1 << 40)  # no more of it is read than there was


def linked_elsewhere(path: Path) -> None:
    path.unlink()
    path.symlink_to(NAMES[0])


def become_a_pipe(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


def become_a_folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (overwritten, "has other content"),
        (cut_off, "has other content"),
        (grown, "has other content"),
        (linked_elsewhere, "has other content"),
        (become_a_pipe, "has other content"),
        (become_a_folder, "cannot be read any more: Is a directory"),
        (Path.unlink, "cannot be read any more: No such file or directory"),
    ],
)
def test_changed_file_is_not_decoded_and_what_is_remembered_goes(root: Path, change, why) -> None:
    forgotten: list[Path] = []
    source = source_of(root, forgotten)
    change(root / NAMES[2])
    source.read(1)
    assert forgotten == []
    with pytest.raises(ChangedFile) as caught:
        source.read(2)
    assert (caught.value.name, caught.value.why) == (NAMES[2], why)
    assert str(root / NAMES[2]) in str(caught.value)
    assert forgotten == [root]


def test_changed_files_are_all_found(root: Path) -> None:
    source = source_of(root)
    overwritten(root / NAMES[1])
    (root / NAMES[3]).unlink()
    with pytest.raises(ChangedFile) as caught:
        source.read(3)
    assert list(caught.value.files.changed()) == [NAMES[1], NAMES[3]]


def test_changed_file_is_told_where_nothing_can_be_forgotten(root: Path) -> None:
    def refuse(folder: Path) -> None:
        raise PermissionError(folder)

    hashes = HashCache(root.parent / "cache").hash_files
    access = DataAccess((root.parent,), hashes, forget=refuse)
    source = file_source(access, root, Listing(tuple(NAMES), (0, 0, 1, 1), ("one", "other")))
    overwritten(root / NAMES[2])
    with pytest.raises(ChangedFile):
        source.read(2)
