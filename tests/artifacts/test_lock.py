"""Locks on a folder: many share it, one has it alone."""

import fcntl
import threading
from pathlib import Path

import pytest

from runner.artifacts.lock import exclusive, shared, waited_for
from runner.core.errors import UsageError


def test_lock_is_shared_by_many(tmp_path: Path) -> None:
    folder = tmp_path / "made"
    with shared(folder), shared(folder):
        assert folder.is_dir()


def test_lock_is_not_exclusive_while_it_is_shared(tmp_path: Path) -> None:
    refused = pytest.raises(UsageError, match="a run is at work in")
    with shared(tmp_path), refused, exclusive(tmp_path):
        pass
    with exclusive(tmp_path):
        pass


def test_lock_waits_to_be_shared_while_it_is_exclusive(tmp_path: Path) -> None:
    order: list[str] = []

    def share() -> None:
        with shared(tmp_path):
            order.append("shared")

    thread = threading.Thread(target=share)
    with exclusive(tmp_path):
        thread.start()
        thread.join(0.05)
        order.append("alone")
    thread.join()
    assert order == ["alone", "shared"]


def test_lock_of_no_folder_makes_none(tmp_path: Path) -> None:
    with exclusive(tmp_path / "none"):
        assert not (tmp_path / "none").exists()


def test_lock_is_skipped_on_a_file_system_without_locks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(handle: int, how: int) -> None:
        raise OSError(95, "Operation not supported")

    monkeypatch.setattr(fcntl, "flock", refuse)
    for hold in (shared, exclusive, waited_for):
        with hold(tmp_path):
            pass
