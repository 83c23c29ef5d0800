"""Folders with named arrays: whole or not at all, and known by their digest."""

import shutil
from pathlib import Path

import numpy as np
import pytest

from runner.artifacts.arrays import look_whole, read_arrays, write_arrays

ARRAYS = {"logits": np.arange(6, dtype=np.float32).reshape(2, 3), "labels": np.array([2, 0])}
ABOUT = {"names": ["a/ä.png", "b.png"], "epoch": 3}


def test_arrays_come_back_as_they_were_written(tmp_path: Path) -> None:
    folder = tmp_path / "kind" / "of" / "one"
    digest, num_bytes = write_arrays(folder, ARRAYS, ABOUT)
    found = read_arrays(folder, digest)
    assert found is not None
    assert found.about == ABOUT
    for name, array in ARRAYS.items():
        np.testing.assert_array_equal(found.arrays[name], array)
        assert found.arrays[name].dtype == array.dtype
    assert num_bytes == sum(each.stat().st_size for each in folder.iterdir())


def test_digest_is_of_the_content_alone(tmp_path: Path) -> None:
    first, _ = write_arrays(tmp_path / "one", ARRAYS, ABOUT)
    strided = {name: np.asfortranarray(array) for name, array in reversed(ARRAYS.items())}
    again, _ = write_arrays(tmp_path / "two", strided, dict(reversed(ABOUT.items())))
    other, _ = write_arrays(tmp_path / "two", ARRAYS, {**ABOUT, "epoch": 4})
    moved, _ = write_arrays(tmp_path / "two", {**ARRAYS, "labels": np.array([2, 1])}, ABOUT)
    assert first == again
    assert len({first, other, moved}) == 3
    assert read_arrays(tmp_path / "two", moved) is not None  # the last one took their place


@pytest.mark.parametrize(
    "damage", ["bit", "cut", "no array", "no index", "index", "gone", "names", "zip", "shape"]
)
def test_what_is_damaged_or_not_recorded_is_not_there(tmp_path: Path, damage: str) -> None:
    folder = tmp_path / "one"
    digest, _ = write_arrays(folder, ARRAYS, ABOUT)
    array, index = folder / "logits.npy", folder / "index.json"
    content = array.read_bytes()
    if damage == "bit":
        array.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    elif damage == "zip":
        array.write_bytes(b"PK\3\4" + content[4:])
    elif damage == "shape":  # of more numbers than there is memory for
        array.write_bytes(content.replace(b"(2, 3), }" + b" " * 9, b"(9999999999, 3), }"))
    elif damage == "cut":
        array.write_bytes(content[:20])
    elif damage == "no array":
        array.unlink()
    elif damage == "no index":
        index.unlink()
    elif damage == "index":
        index.write_text("[1, 2]")
    elif damage == "gone":
        shutil.rmtree(folder)
    else:
        index.write_text(index.read_text().replace("b.png", "c.png"))
    assert read_arrays(folder, digest) is None
    assert look_whole(folder, digest) == (damage in ("bit", "zip", "shape", "names"))


def test_looking_whether_arrays_are_whole_reads_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    digest, _ = write_arrays(tmp_path, {**ARRAYS, "text": np.array(["é", "long"])}, ABOUT)
    monkeypatch.setattr(np.lib.format, "read_array", None)
    assert look_whole(tmp_path, digest)
    assert not look_whole(tmp_path, "of another")


def test_nothing_fits_where_nothing_is_recorded(tmp_path: Path) -> None:
    write_arrays(tmp_path / "one", ARRAYS, ABOUT)
    assert read_arrays(tmp_path / "one", None) is None
    assert read_arrays(tmp_path / "one", "of another") is None


def test_lost_claim_leaves_what_was_there(tmp_path: Path) -> None:
    digest, _ = write_arrays(tmp_path / "one", ARRAYS, ABOUT)

    def lost() -> None:
        raise RuntimeError("taken over")

    with pytest.raises(RuntimeError, match="taken over"):
        write_arrays(tmp_path / "one", ARRAYS, {}, lost)
    assert read_arrays(tmp_path / "one", digest) is not None
    assert [each.name for each in tmp_path.iterdir()] == ["one"]
