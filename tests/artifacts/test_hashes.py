"""Hashes of files: remembered while nothing speaks against it, and looked at all the same."""

import json
import os
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from rewritten import rewrite

from runner.artifacts import hashes
from runner.artifacts.hashes import HashCache

Hash = Callable[[Sequence[str]], list[str]]


@pytest.fixture(autouse=True)
def _files_are_old(monkeypatch: pytest.MonkeyPatch) -> None:
    """Take files that were written just now for old ones."""
    monkeypatch.setattr(hashes, "RACY_NS", -(10**12))


@pytest.fixture
def digested(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    names: list[str] = []
    digest = hashes.file_digest

    def counting(path: Path) -> str:
        names.append(path.name)
        return digest(path)

    monkeypatch.setattr(hashes, "file_digest", counting)
    return names


@pytest.fixture
def unsampled(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hashes, "SAMPLE_FILES", 0)


@pytest.fixture
def texts(tmp_path: Path) -> Path:
    root = tmp_path / "texts"
    root.mkdir()
    for name in ("a", "b", "c"):
        (root / name).write_text(f"text {name}")
    return root


@pytest.fixture
def cache(tmp_path: Path) -> HashCache:
    return HashCache(tmp_path / "cache")


@pytest.mark.usefixtures("unsampled")
def test_only_changed_files_are_read_again(texts: Path, tmp_path: Path, digested) -> None:
    names = ["a", "b", "c"]
    first = HashCache(tmp_path / "cache").hash_files(texts, names)
    assert sorted(digested) == names
    digested.clear()
    assert HashCache(tmp_path / "cache").hash_files(texts, names) == first
    assert digested == []
    (texts / "b").write_text("other text")
    second = HashCache(tmp_path / "cache").hash_files(texts, names)
    assert digested == ["b"]
    assert [one == two for one, two in zip(first, second, strict=True)] == [True, False, True]


@pytest.mark.usefixtures("unsampled")
def test_a_new_time_at_the_same_size_is_noticed(texts: Path, cache: HashCache, digested) -> None:
    cache.hash_files(texts, ["a"])
    os.utime(texts / "a", ns=(1, 1))
    cache.hash_files(texts, ["a"])
    assert digested == ["a", "a"]


@pytest.mark.usefixtures("unsampled")
def test_other_content_of_the_same_size_and_time_is_noticed(texts: Path, cache: HashCache) -> None:
    before = cache.hash_files(texts, ["a", "b"])
    rewrite(texts / "a", b"text A")
    after = cache.hash_files(texts, ["a", "b"])
    assert after[0] != before[0]
    assert after[1] == before[1]


@pytest.mark.usefixtures("unsampled")
def test_another_file_of_the_same_size_and_time_is_noticed(texts: Path, cache: HashCache) -> None:
    other = texts / "other"
    other.write_text("text A")
    stat = (texts / "a").stat()
    os.utime(other, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    (before,) = cache.hash_files(texts, ["a"])
    other.replace(texts / "a")
    assert cache.hash_files(texts, ["a"]) != [before]


@pytest.mark.usefixtures("unsampled")
def test_a_link_that_points_elsewhere_is_noticed(texts: Path, cache: HashCache) -> None:
    stat = (texts / "a").stat()
    os.utime(texts / "b", ns=(stat.st_atime_ns, stat.st_mtime_ns))
    link = texts / "link"
    link.symlink_to("a")
    (before,) = cache.hash_files(texts, ["link"])
    link.unlink()
    link.symlink_to("b")
    assert cache.hash_files(texts, ["link"]) != [before]


def deceive(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the file system say nothing that `rewrite` changes."""
    monkeypatch.setattr(hashes, "stamp_of", lambda stat: f"{stat.st_size}:{stat.st_mtime_ns}")


def test_when_one_in_the_sample_differs_everything_is_hashed_again(
    texts: Path, tmp_path: Path, digested, monkeypatch: pytest.MonkeyPatch
) -> None:
    deceive(monkeypatch)
    monkeypatch.setattr(hashes, "SAMPLE_FILES", 1)
    names = ["a", "b", "c"]
    before = HashCache(tmp_path / "cache").hash_files(texts, names)
    for name in ("a", "b"):
        rewrite(texts / name, f"TEXT {name}".encode())
    found: list[bool] = []
    for draw in range(20):
        digested.clear()
        after = HashCache(tmp_path / "cache", lambda draw=draw: draw).hash_files(texts, names)
        found.append(after != before)
        if found[-1]:
            assert sorted(digested[1:]) == names
            assert [one == two for one, two in zip(before, after, strict=True)] == [
                *(False, False),
                True,
            ]
            break
        assert digested == ["c"]
    assert found[-1]
    digested.clear()
    assert HashCache(tmp_path / "cache").hash_files(texts, names) == after
    assert len(digested) == 1


def test_what_is_doubted_is_doubted_of_files_that_are_not_asked_for_too(
    texts: Path, cache: HashCache, monkeypatch: pytest.MonkeyPatch
) -> None:
    deceive(monkeypatch)
    before = cache.hash_files(texts, ["a", "b"])
    rewrite(texts / "a", b"TEXT a")
    rewrite(texts / "b", b"TEXT b")
    cache.hash_files(texts, ["a"])
    monkeypatch.setattr(hashes, "SAMPLE_FILES", 0)
    assert cache.hash_files(texts, ["b"]) != before[1:]


def test_the_sample_is_small_and_another_one_each_time(tmp_path: Path, digested) -> None:
    names = [f"{number:03d}" for number in range(200)]
    for name in names:
        (tmp_path / name).write_text(name)
    HashCache(tmp_path / "cache").hash_files(tmp_path, names)
    samples = []
    for _ in range(2):
        digested.clear()
        HashCache(tmp_path / "cache").hash_files(tmp_path, names)
        samples.append(set(digested))
        assert len(digested) == hashes.SAMPLE_FILES
    assert samples[0] != samples[1]


def test_large_files_are_in_the_sample_as_far_as_their_share_goes(
    tmp_path: Path, digested, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hashes, "SAMPLE_BYTES", 100)
    names = [f"{number:03d}" for number in range(100)]
    for name in names:
        (tmp_path / name).write_bytes(b"\0" * 300)
    HashCache(tmp_path / "cache").hash_files(tmp_path, names)
    digested.clear()
    HashCache(tmp_path / "cache").hash_files(tmp_path, names)
    assert len(digested) == 1  # 300 of 30,000 bytes


def test_what_was_written_just_now_is_hashed_again(
    texts: Path, cache: HashCache, digested, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hashes, "RACY_NS", 10**12)
    cache.hash_files(texts, ["a"])
    cache.hash_files(texts, ["a"])
    assert digested == ["a", "a"]


@pytest.mark.usefixtures("unsampled")
def test_a_file_that_changes_while_it_is_hashed_is_not_remembered(
    texts: Path, cache: HashCache, monkeypatch: pytest.MonkeyPatch
) -> None:
    digest = hashes.file_digest

    def changing(path: Path) -> str:
        found = digest(path)
        rewrite(path, b"TEXT a")
        return found

    with monkeypatch.context() as patch:
        patch.setattr(hashes, "file_digest", changing)
        (before,) = cache.hash_files(texts, ["a"])
    assert cache.hash_files(texts, ["a"]) != [before]


@pytest.mark.usefixtures("unsampled")
def test_files_that_one_call_does_not_name_are_kept(
    texts: Path, cache: HashCache, digested
) -> None:
    cache.hash_files(texts, ["a"])
    cache.hash_files(texts, ["b"])
    cache.hash_files(texts, ["b", "a"])
    assert digested == ["a", "b"]


@pytest.mark.usefixtures("unsampled")
def test_two_that_hash_at_once_keep_what_both_have_learnt(
    texts: Path, cache: HashCache, digested, monkeypatch: pytest.MonkeyPatch
) -> None:
    counting = hashes.file_digest

    def meanwhile(path: Path) -> str:
        monkeypatch.setattr(hashes, "file_digest", counting)
        cache.hash_files(texts, ["b"])  # by another process
        return counting(path)

    monkeypatch.setattr(hashes, "file_digest", meanwhile)
    cache.hash_files(texts, ["a"])
    cache.hash_files(texts, ["a", "b"])
    assert sorted(digested) == ["a", "b"]
    assert [each.suffix for each in (texts.parent / "cache").iterdir()] == [".json"]


@pytest.mark.usefixtures("unsampled")
def test_what_one_forgets_another_does_not_bring_back(
    texts: Path, cache: HashCache, digested, monkeypatch: pytest.MonkeyPatch
) -> None:
    cache.hash_files(texts, ["a"])
    counting = hashes.file_digest

    def meanwhile(path: Path) -> str:
        cache.forget(texts)  # by another process
        return counting(path)

    with monkeypatch.context() as patch:
        patch.setattr(hashes, "file_digest", meanwhile)
        cache.hash_files(texts, ["a", "b"])
    digested.clear()
    cache.hash_files(texts, ["a", "b"])
    assert digested == ["a"]


def test_to_forget_what_was_never_remembered_is_no_error(texts: Path, cache: HashCache) -> None:
    cache.forget(texts)


@pytest.mark.usefixtures("unsampled")
def test_memories_of_an_earlier_version_are_not_trusted(
    texts: Path, cache: HashCache, digested
) -> None:
    (right,) = cache.hash_files(texts, ["a"])
    (memory,) = (texts.parent / "cache").iterdir()
    stat = (texts / "a").stat()
    memory.write_text(json.dumps({"a": [f"{stat.st_size}:{stat.st_mtime_ns}", "0" * 64]}))
    assert cache.hash_files(texts, ["a"]) == [right]
    assert digested == ["a", "a"]
    assert cache.hash_files(texts, ["a"]) == [right]
    assert digested == ["a", "a"]


@pytest.mark.parametrize(
    "broken",
    [
        *("", "{", "[1]", '{"a": 3}', '{"format": 2}', '{"format": 2, "files": 3}'),
        *('{"format": 2, "files": {"a": ["x"]}}', '{"format": 2, "files": {"a": [1, 2]}}'),
    ],
)
def test_a_broken_memory_costs_time_only(
    texts: Path, tmp_path: Path, digested, broken: str
) -> None:
    first = HashCache(tmp_path / "cache").hash_files(texts, ["a"])
    (memory,) = (tmp_path / "cache").iterdir()
    memory.write_text(broken)
    assert HashCache(tmp_path / "cache").hash_files(texts, ["a"]) == first
    assert digested == ["a", "a"]


def test_where_nothing_can_be_remembered_files_are_hashed_all_the_same(
    texts: Path, tmp_path: Path
) -> None:
    (tmp_path / "cache").write_text("a file")
    (digest,) = HashCache(tmp_path / "cache").hash_files(texts, ["a"])
    assert len(digest) == 64


def test_hashes_are_those_of_sha256sum(texts: Path, cache: HashCache) -> None:
    (texts / "a").write_bytes(b"abc")
    (digest,) = cache.hash_files(texts, ["a"])
    assert digest == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"


def test_a_missing_file_is_an_oserror(texts: Path, cache: HashCache) -> None:
    with pytest.raises(FileNotFoundError):
        cache.hash_files(texts, ["nothing"])
