import errno
import hashlib
import io
import shutil
import signal
import subprocess
import sys
import tarfile
import zipfile
from collections import namedtuple
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from layouts import pack_caltech101, pack_cifar
from servers import Server
from waiting import PATIENCE, wait_for

from runner.artifacts.hashes import HashCache
from runner.components.data import caltech101, cifar
from runner.components.data.archives import Archive, PublicFile, fetch_archive
from runner.components.data.caltech101 import Caltech101
from runner.components.data.cifar import Cifar10, Cifar100
from runner.components.data.dataset import DataAccess, DatasetSettings, ImageSource
from runner.components.data.finding import MissingData, find_root
from runner.components.download import DownloadFailed, Downloading

FETCH = """
import os, signal, sys
from pathlib import Path
from runner.components.data import archives
from runner.components.data.archives import Archive, PublicFile, fetch_archive

url, md5, num_bytes, inner, folder, root, when = sys.argv[1:]

def die(*arguments):
    os.kill(os.getpid(), signal.SIGKILL)

if when == "before it is moved":
    archives._move = die
told = die if when == "while it comes" else lambda progress: None
files = (PublicFile(url, md5, int(num_bytes), inner),)
fetch_archive(Archive(files, folder), Path(root), told)
"""


def serve(server: Server, archive: Archive, *contents: bytes) -> Archive:
    """Serve the content of an archive's files from this machine; return it as it is served."""
    files = []
    for file, content in zip(archive.files, contents, strict=True):
        server.files[file.name] = content
        md5 = hashlib.md5(content).hexdigest()
        url = f"{server.url}/{file.name}"
        files.append(replace(file, url=url, md5=md5, num_bytes=len(content)))
    return replace(archive, files=tuple(files))


def changed(archive: Archive, **changes: Any) -> Archive:
    """Return an archive of one file with other attributes of that file."""
    (file,) = archive.files
    return replace(archive, files=(replace(file, **changes),))


@pytest.fixture
def cifar10(server: Server) -> Archive:
    return serve(server, cifar.CIFAR10.archive, pack_cifar("cifar10"))


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "data"


def silent(progress: Downloading) -> None:
    pass


def failure(archive: Archive, root: Path) -> str:
    """Return what a fetch that fails says, and check that it leaves nothing behind."""
    with pytest.raises(DownloadFailed) as failed:
        fetch_archive(archive, root, silent)
    (file,) = archive.files
    unpack = f"unpack {file.inner} in it to" if file.inner else "unpack it to"
    to_do = (
        f"run the same command again, or fetch the file by hand and {unpack} {root}/"
        f"{archive.folder}"
    )
    what = failed.value.what
    assert str(failed.value) == f"cannot download {file.url}: {what}\n    hint: {to_do}"
    assert not root.exists()
    return what


def fetching(archive: Archive, root: Path, when: str = "") -> list[str]:
    """Return the command of a process that fetches, and kills itself at some time."""
    (file,) = archive.files
    sizes = [file.url, file.md5, str(file.num_bytes), file.inner, archive.folder]
    return [sys.executable, "-c", FETCH, *sizes, str(root), when]


def build(data: DatasetSettings, root: Path, fetch: bool = True) -> ImageSource:
    def fetched(archive: Archive, to: Path) -> None:
        fetch_archive(archive, to, silent)

    hash_files = HashCache(root.parent / "cache").hash_files
    roots = (root, root.parent)
    return data.build(DataAccess(roots, hash_files, fetched if fetch else None))


def test_folder_of_an_archive_appears_and_nothing_else(cifar10: Archive, root: Path) -> None:
    fetch_archive(cifar10, root, silent)
    assert [entry.name for entry in root.iterdir()] == ["cifar-10-batches-py"]
    names = sorted(entry.name for entry in (root / "cifar-10-batches-py").iterdir())
    assert names == ["batches.meta", *(f"data_batch_{i}" for i in range(1, 6)), "test_batch"]


def test_progress_names_the_final_folder(cifar10: Archive, root: Path) -> None:
    told: list[Downloading] = []
    fetch_archive(cifar10, root, told.append)
    total, final = cifar10.num_bytes, root / "cifar-10-batches-py"
    assert told[0] == Downloading("cifar-10-python.tar.gz", 0, total, final)
    assert told[-1] == Downloading("cifar-10-python.tar.gz", total, total, final)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("data", "layout", "kind"),
    [
        (Cifar10(dataset="cifar10"), "CIFAR10", "cifar10"),
        (Cifar100(dataset="cifar100"), "CIFAR100", "cifar100"),
    ],
)
def test_cifar_is_fetched_to_the_first_place_once(
    server: Server,
    root: Path,
    monkeypatch: pytest.MonkeyPatch,
    data: DatasetSettings,
    layout: str,
    kind: str,
) -> None:
    served = serve(server, getattr(cifar, layout).archive, pack_cifar(kind))
    monkeypatch.setattr(cifar, layout, replace(getattr(cifar, layout), archive=served))
    first = build(data, root)
    assert first.root == root / served.folder
    assert build(data, root).fingerprint == first.fingerprint
    assert server.asked == [served.name]


def test_caltech101_is_unpacked_from_the_archive_in_the_archive(
    server: Server, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    archive = caltech101.ARCHIVE
    served = serve(server, archive, pack_caltech101(archive.files[0].inner))
    monkeypatch.setattr(caltech101, "ARCHIVE", served)
    source = build(Caltech101(dataset="caltech101"), root)
    assert (source.classes, len(source.names)) == (("Bass", "ant"), 18)
    assert source.root == root / "caltech101" / "101_ObjectCategories"
    assert [entry.name for entry in root.iterdir()] == ["caltech101"]
    assert [entry.name for entry in (root / "caltech101").iterdir()] == ["101_ObjectCategories"]


def test_folder_in_a_later_place_is_found_and_nothing_is_fetched(
    server: Server, cifar10: Archive, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fetch_archive(cifar10, root.parent, silent)
    server.asked.clear()
    monkeypatch.setattr(cifar, "CIFAR10", replace(cifar.CIFAR10, archive=cifar10))
    assert build(Cifar10(dataset="cifar10"), root).root == root.parent / "cifar-10-batches-py"
    assert server.asked == []


@pytest.mark.parametrize(
    ("data", "how_to_get"),
    [
        (
            Cifar10(dataset="cifar10"),
            "`runner run` downloads it (170.5 MB) unless --no-download is given; or fetch"
            " https://www.cs.toronto.edu/~kriz/cifar-10-python.tar.gz by hand and unpack it to"
            " cifar-10-batches-py under --data (RUNNER_DATA) or ./data",
        ),
        (
            Cifar100(dataset="cifar100"),
            "`runner run` downloads it (169.0 MB) unless --no-download is given; or fetch"
            " https://www.cs.toronto.edu/~kriz/cifar-100-python.tar.gz by hand and unpack it to"
            " cifar-100-python under --data (RUNNER_DATA) or ./data",
        ),
        (
            Caltech101(dataset="caltech101"),
            "`runner run` downloads it (137.4 MB) unless --no-download is given; or fetch"
            " https://data.caltech.edu/records/mzrjq-6wc02/files/caltech-101.zip by hand and unpack"
            " caltech-101/101_ObjectCategories.tar.gz in it to caltech101/101_ObjectCategories"
            " under --data (RUNNER_DATA) or ./data",
        ),
    ],
    ids=["cifar10", "cifar100", "caltech101"],
)
def test_missing_archive_says_how_to_get_it_where_nothing_may_be_fetched(
    root: Path, data: DatasetSettings, how_to_get: str
) -> None:
    with pytest.raises(MissingData) as missing:
        build(data, root, fetch=False)
    assert missing.value.how_to_get == how_to_get
    assert missing.value.archive is not None
    assert missing.value.looked == tuple(
        root_folder / missing.value.archive.folder for root_folder in (root, root.parent)
    )
    assert not root.exists()


def test_wrong_checksum_is_refused(server: Server, cifar10: Archive, root: Path) -> None:
    right = cifar10.files[0].md5
    wrong = "0" * 32
    what = f"the file that came has another checksum: {right} instead of md5 {wrong}"
    assert failure(changed(cifar10, md5=wrong), root) == what


def test_archive_that_is_not_there_is_told(server: Server, cifar10: Archive, root: Path) -> None:
    server.files.clear()
    assert failure(cifar10, root) == "the server answers 404 Not Found"


def test_cut_connection_is_told_and_the_next_fetch_begins_again(
    server: Server, cifar10: Archive, root: Path
) -> None:
    server.cut_after = 1000
    total = cifar10.num_bytes
    assert failure(cifar10, root) == f"the connection broke off after 1000 of {total} bytes"
    server.cut_after = None
    fetch_archive(cifar10, root, silent)
    assert (root / "cifar-10-batches-py" / "test_batch").is_file()


def test_space_is_checked_before_anything_is_fetched(
    server: Server, cifar10: Archive, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = namedtuple("usage", "free")
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage(2_000_000))
    needed = "2.5 MB are needed under {root}, 2.0 MB are free"
    what = failure(changed(cifar10, num_bytes=1_000_000), root)
    assert what == f"it cannot be stored: {needed.format(root=root)}"
    assert server.asked == []


def test_disk_that_is_full_while_unpacking_is_told(
    cifar10: Archive, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(tar: tarfile.TarFile, target: Path, **options: object) -> None:
        target.mkdir(exist_ok=True)
        (target / "half").write_text("half")
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(tarfile.TarFile, "extractall", full)
    what = failure(cifar10, root)
    assert what == f"it cannot be stored: [Errno {errno.ENOSPC}] No space left on device"


@pytest.mark.parametrize(
    ("inner", "content", "what"),
    [
        ("", b"no archive", "it cannot be unpacked: not a gzip file"),
        ("x.tar.gz", b"no archive", "it cannot be unpacked: File is not a zip file"),
        (
            "x.tar.gz",
            pack_caltech101("y.tar.gz"),
            "it cannot be unpacked: \"There is no item named 'x.tar.gz' in the archive\"",
        ),
        ("x.tar.gz", pack_caltech101("x.tar.gz"), "it holds no folder cifar-10-batches-py"),
    ],
    ids=["tar", "zip", "inner", "folder"],
)
def test_archive_that_is_not_built_as_expected_is_told(
    server: Server, root: Path, inner: str, content: bytes, what: str
) -> None:
    archive = serve(server, changed(cifar.CIFAR10.archive, inner=inner), content)
    assert failure(archive, root) == what


def test_file_that_would_lie_outside_is_refused(server: Server, root: Path) -> None:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as tar:
        member = tarfile.TarInfo("cifar-10-batches-py/../../../escaped")
        tar.addfile(member)
    archive = serve(server, cifar.CIFAR10.archive, packed.getvalue())
    assert "it cannot be unpacked" in failure(archive, root)
    assert not list(root.parent.rglob("escaped"))


def test_folder_that_was_there_before_stays_when_fetching_fails(
    server: Server, cifar10: Archive, root: Path
) -> None:
    (root / "mine").mkdir(parents=True)
    server.files.clear()
    with pytest.raises(DownloadFailed):
        fetch_archive(cifar10, root, silent)
    assert [entry.name for entry in root.iterdir()] == ["mine"]


def test_ctrl_c_leaves_nothing(cifar10: Archive, root: Path) -> None:
    def stop(progress: Downloading) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fetch_archive(cifar10, root, stop)
    assert not root.exists()


@pytest.mark.slow
@pytest.mark.parametrize(
    "when", ["while it comes", pytest.param("before it is moved", marks=pytest.mark.slow)]
)
def test_kill_leaves_no_folder_and_the_next_fetch_tidies(
    cifar10: Archive, root: Path, when: str
) -> None:
    killed = subprocess.run(fetching(cifar10, root, when))
    assert killed.returncode == -signal.SIGKILL
    (left,) = root.iterdir()
    assert left.name.startswith("cifar-10-python.tar.gz.")
    assert left.name.endswith(".partial")
    fetch_archive(cifar10, root, silent)
    assert [entry.name for entry in root.iterdir()] == ["cifar-10-batches-py"]


def test_second_of_two_fetches_drops_its_own(cifar10: Archive, root: Path) -> None:
    first = root / "cifar-10-batches-py"

    def be_slower(progress: Downloading) -> None:
        first.mkdir(exist_ok=True)
        (first / "first").write_text("was here")

    fetch_archive(cifar10, root, be_slower)
    assert [entry.name for entry in first.iterdir()] == ["first"]
    assert list(root.iterdir()) == [first]


@pytest.mark.slow
def test_fetches_of_two_processes_at_once_both_end_well(
    server: Server, cifar10: Archive, root: Path
) -> None:
    server.pause = 0.05
    both = [subprocess.Popen(fetching(cifar10, root)) for _ in range(2)]
    wait_for(lambda: len(server.asked) == 2)
    assert [process.wait(PATIENCE) for process in both] == [0, 0]
    assert [entry.name for entry in root.iterdir()] == ["cifar-10-batches-py"]
    assert len(list((root / "cifar-10-batches-py").iterdir())) == 7


def several(server: Server) -> Archive:
    """Serve an archive in .zip, one in .tgz and a plain file, which are one folder's content."""
    zipped = io.BytesIO()
    with zipfile.ZipFile(zipped, "w") as writer:
        writer.writestr("text/a.txt", "a")
        writer.writestr("../../escaped", "out")
    tarred = io.BytesIO()
    with tarfile.open(fileobj=tarred, mode="w:gz") as tar:
        tar.addfile(tarfile.TarInfo("more/b.txt"))
    names = ("text.zip", "more.tgz", "labels.gz")
    files = tuple(PublicFile(f"https://example.org/sets/{name}", "0" * 8, 0) for name in names)
    archive = Archive(files, folder="some/set")
    return serve(server, archive, zipped.getvalue(), tarred.getvalue(), b"as it is")


def test_several_files_become_one_folder(server: Server, root: Path) -> None:
    archive = several(server)
    told: list[Downloading] = []
    fetch_archive(archive, root, told.append)
    home = root / "some" / "set"
    found = sorted(str(path.relative_to(home)) for path in home.rglob("*") if path.is_file())
    assert {"labels.gz", "more/b.txt", "text/a.txt"} <= set(found)
    assert (home / "labels.gz").read_bytes() == b"as it is"
    assert not list(root.parent.glob("escaped"))
    assert not list(root.glob("escaped"))
    assert [entry.name for entry in root.iterdir()] == ["some"]
    assert list(dict.fromkeys(progress.name for progress in told)) == [
        *("text.zip", "more.tgz", "labels.gz")
    ]
    assert {progress.target for progress in told} == {home}
    assert archive.num_bytes == sum(map(len, server.files.values()))


@pytest.mark.parametrize("name", ["text.zip", "more.tgz", "labels.gz"])
def test_one_of_several_files_that_fails_leaves_nothing(
    server: Server, root: Path, name: str
) -> None:
    archive = several(server)
    server.files[name] = b"another"
    with pytest.raises(DownloadFailed) as failed:
        fetch_archive(archive, root, silent)
    assert failed.value.url == f"{server.url}/{name}"
    assert failed.value.hint == (
        "run the same command again, or fetch the files by hand and unpack text.zip and more.tgz"
        f" and put labels.gz into {root}/some/set"
    )
    assert not root.exists()


def test_a_zip_that_is_none_is_told(server: Server, root: Path) -> None:
    archive = serve(server, Archive((PublicFile("x/set.zip", "0" * 8, 0),), "set"), b"no archive")
    assert failure(archive, root) == "it cannot be unpacked: File is not a zip file"
    with pytest.raises(MissingData) as missing:
        find_root(DataAccess((root,), lambda folder, names: []), "set", archive.how_to_get())
    assert missing.value.how_to_get.endswith(
        "unpack it to set under --data (RUNNER_DATA) or ./data"
    )
