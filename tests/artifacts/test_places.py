"""Places that several machines reach: folders, and file systems of fsspec."""

import uuid
from pathlib import Path

import pytest

from runner.artifacts.places import Place, check_address, open_place
from runner.artifacts.remote_place import open_remote
from runner.core.errors import UsageError

fsspec = pytest.importorskip("fsspec")


@pytest.fixture(params=["folder", "file", "memory", "local"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Place:
    if request.param == "folder":
        return open_place(str(tmp_path))
    if request.param == "file":
        return open_place(f"file://{tmp_path}")
    if request.param == "local":  # the same folder as fsspec sees it
        return open_remote(f"local://{tmp_path}/deeper")
    return open_place(f"memory://{uuid.uuid4().hex}")


def test_files_come_back(place: Place, tmp_path: Path) -> None:
    mine = tmp_path / "mine"
    mine.write_bytes(b"\x00content")
    place.put(mine, "a/b/large.bin")
    place.write(b"small", "a/b.json")
    assert place.names("a") == ["b.json"]
    assert place.names("a/b") == ["large.bin"]
    assert place.read("a/b.json") == b"small"
    place.fetch("a/b/large.bin", tmp_path / "theirs")
    assert (tmp_path / "theirs").read_bytes() == b"\x00content"


def test_files_are_replaced(place: Place, tmp_path: Path) -> None:
    for content in (b"one", b"three"):
        (tmp_path / "mine").write_bytes(content)
        place.put(tmp_path / "mine", "a/b")
        place.write(content, "a/c")
    assert place.read("a/b") == place.read("a/c") == b"three"


def test_what_is_not_there_is_told_apart_from_what_cannot_be_reached(
    place: Place, tmp_path: Path
) -> None:
    assert place.names("nowhere") == []
    place.remove("nowhere/nothing")
    with pytest.raises(FileNotFoundError):
        place.read("nowhere/nothing")
    with pytest.raises(FileNotFoundError):
        place.fetch("nowhere/nothing", tmp_path / "theirs")
    with pytest.raises(FileNotFoundError):
        place.put(tmp_path / "no file", "a/b")


def test_removed_is_gone(place: Place) -> None:
    place.write(b"", "a/b")
    place.remove("a/b")
    assert place.names("a") == []


def test_names_are_those_of_now(place: Place) -> None:
    place.write(b"", "a/b")
    assert place.names("a") == ["b"]
    place.write(b"", "a/c")
    assert sorted(place.names("a")) == ["b", "c"]


@pytest.mark.parametrize(
    ("address", "found"),
    [
        ("", "'' is no address for artifacts"),
        ("a\nb", r"'a\\nb' is no address for artifacts"),
        ("s3://key:secret@bucket/x", "the s3:// address for artifacts holds more than a place"),
        ("abfs://box/x?sig=secret", "the abfs:// address for artifacts holds more than a place"),
        ("simplecache::s3://bucket", "joins several URLs"),
    ],
)
def test_wrong_addresses_are_refused_and_secrets_not_printed(address: str, found: str) -> None:
    with pytest.raises(UsageError, match=found) as error:
        check_address(address)
    assert "secret" not in str(error.value)


def test_a_folder_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"there is no folder .*/nowhere for artifacts"):
        open_place(str(tmp_path / "nowhere"))


def test_an_unknown_file_system_is_refused_with_the_nearest() -> None:
    with pytest.raises(UsageError, match="fsspec knows no file system 's33'") as error:
        open_place("s33://bucket/x")
    assert error.value.suggestion == "s3"


def test_a_file_system_whose_package_is_missing_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(address: str) -> None:
        raise ImportError("Install s3fs to access S3")

    monkeypatch.setattr("fsspec.core.url_to_fs", missing)
    with pytest.raises(UsageError, match="need another package: Install s3fs to access S3"):
        open_place("s3://bucket/x")


def test_without_fsspec_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "fsspec", None)
    with pytest.raises(UsageError, match="need the package fsspec") as error:
        open_place("s3://bucket/x")
    assert error.value.hint == "pip install 'runner[remote]'"
