"""Which databases lie on a file system that machines share."""

from pathlib import Path
from types import SimpleNamespace

import psutil
import pytest

from runner.store.network_files import network_file_system, notes_of_place


@pytest.fixture
def mounts(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, str]]:
    """What is mounted: folder and file system; a test adds to it."""
    mounted = [("/", "ext4")]
    monkeypatch.setattr(
        psutil,
        "disk_partitions",
        lambda all: [SimpleNamespace(mountpoint=at, fstype=kind) for at, kind in mounted],
    )
    return mounted


@pytest.mark.parametrize("kind", ["nfs", "nfs4", "lustre", "gpfs", "beegfs", "ceph", "fuse.sshfs"])
def test_file_on_a_network_file_system_is_found(
    kind: str, tmp_path: Path, mounts: list[tuple[str, str]]
) -> None:
    mounts.append((str(tmp_path), kind))
    assert network_file_system(tmp_path / "results.db") == kind
    assert network_file_system(f"sqlite:///{tmp_path}/deep/down/results.db") == kind
    (note,) = notes_of_place(tmp_path / "results.db")
    assert f"{tmp_path}/results.db lies on a network file system ({kind})" in note
    assert "postgresql://" in note


@pytest.mark.parametrize("kind", ["ext4", "xfs", "btrfs", "zfs", "tmpfs", "overlay", "fuseblk"])
def test_file_on_a_disk_of_this_machine_is_none(
    kind: str, tmp_path: Path, mounts: list[tuple[str, str]]
) -> None:
    mounts[:] = [("/", "nfs"), (str(tmp_path), kind)]
    assert network_file_system(tmp_path / "results.db") == ""
    assert notes_of_place(tmp_path / "results.db") == []
    assert network_file_system(f"{tmp_path}-beside/results.db") == "nfs"


def test_the_last_of_two_mounts_counts_and_links_are_followed(
    tmp_path: Path, mounts: list[tuple[str, str]]
) -> None:
    shared = tmp_path / "shared"
    shared.mkdir()
    (tmp_path / "link").symlink_to(shared)
    mounts += [(str(shared), "autofs"), (str(shared), "nfs4")]
    assert network_file_system(tmp_path / "link" / "results.db") == "nfs4"


def test_database_of_a_server_lies_nowhere(mounts: list[tuple[str, str]]) -> None:
    mounts[:] = [("/", "nfs")]
    assert network_file_system("postgresql://me@there/results") == ""
