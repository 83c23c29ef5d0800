"""Public archives of data sets: fetched and unpacked atomically.

Work is done in a partial folder, which is then renamed. If two processes fetch the same archive,
the second finds the folder there and drops its own.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from runner.artifacts.atomic import partial_path, put_folder, remove_partial
from runner.components.download import (
    Checksum,
    DownloadFailed,
    Downloading,
    OnProgress,
    download,
    file_name,
    show_bytes,
)

if TYPE_CHECKING:
    import tarfile

SPACE = 2.5
"""Disk space that fetching takes, in sizes of the archive: itself and its content."""


@dataclass(frozen=True, slots=True)
class Archive:
    """A public archive of a data set.

    Attributes:
        md5: of the file, in hexadecimal.
        num_bytes: size of the file.
        inner: path in a .zip of the .tar.gz that holds the images, "" for a plain .tar.gz.
        folder: target of its only folder, relative to the folder of data sets; ends with the
            folder's name in the archive.
    """

    url: str
    md5: str
    num_bytes: int
    inner: str
    folder: str

    @property
    def name(self) -> str:
        """Name of the file."""
        return file_name(self.url)

    def how_to_get(self) -> str:
        """Return the hint for a missing data set."""
        return (
            f"`runner run` downloads it ({show_bytes(self.num_bytes)}) unless --no-download is"
            f" given; or fetch {self.url} by hand and {self._unpack()} {self.folder} under --data"
            " (RUNNER_DATA) or ./data"
        )

    def to_do(self, root: Path) -> str:
        """Return the hint after a failed download."""
        again = "run the same command again, or fetch the file by hand and"
        return f"{again} {self._unpack()} {root / self.folder}"

    def _unpack(self) -> str:
        return f"unpack {self.inner} in it to" if self.inner else "unpack it to"


Fetch = Callable[[Archive, Path], None]
"""Fetches an archive to a folder of data sets."""


def fetch_archive(archive: Archive, root: Path, on_progress: OnProgress) -> None:
    """Download an archive and unpack it under ``root``; the archive is deleted.

    Raises:
        DownloadFailed: when it cannot be fetched, unpacked or stored; nothing is left behind.
    """
    final = root / archive.folder
    made = [folder for folder in final.parents if not folder.exists()]
    work: Path | None = None

    def tell(progress: Downloading) -> None:
        on_progress(replace(progress, target=final))

    try:
        root.mkdir(parents=True, exist_ok=True)
        _check_space(archive, root)
        work = partial_path(root / archive.name)
        work.mkdir(parents=True)
        download(archive.url, work / archive.name, Checksum("md5", archive.md5), tell)
        unpacked = work / "unpacked"
        _unpack(archive, work / archive.name, unpacked)
        _move(unpacked / final.name, final)
    except DownloadFailed as error:
        raise DownloadFailed(archive.url, error.what, archive.to_do(root)) from error.__cause__
    except OSError as error:
        what = f"it cannot be stored: {error}"
        raise DownloadFailed(archive.url, what, archive.to_do(root)) from error
    finally:
        if work is not None:
            remove_partial(work)
        _remove_empty(made)


def _check_space(archive: Archive, root: Path) -> None:
    free, needed = shutil.disk_usage(root).free, round(SPACE * archive.num_bytes)
    if free < needed:
        raise OSError(f"{show_bytes(needed)} are needed under {root}, {show_bytes(free)} are free")


def _unpack(archive: Archive, path: Path, target: Path) -> None:
    """Unpack the archive at ``path`` to ``target``.

    Raises:
        DownloadFailed: when its contents are not as expected.
        OSError: when it cannot be stored.
    """
    import tarfile
    import zipfile
    import zlib

    broken = (tarfile.TarError, zipfile.BadZipFile, KeyError, EOFError, zlib.error)
    try:
        if not archive.inner:
            with tarfile.open(path, "r:gz") as tar:
                _extract(tar, target)
        else:
            # the inner archive is read as a stream, so that it takes no space of its own
            with (
                zipfile.ZipFile(path) as outer,
                outer.open(archive.inner) as inner,
                tarfile.open(fileobj=inner, mode="r|gz") as tar,
            ):
                _extract(tar, target)
    except broken as error:
        raise DownloadFailed(archive.url, f"it cannot be unpacked: {error}", "") from error
    name = Path(archive.folder).name
    if not (target / name).is_dir():
        raise DownloadFailed(archive.url, f"it holds no folder {name}", "")


def _extract(tar: tarfile.TarFile, target: Path) -> None:
    # the filter refuses what would be written outside of target, and special files
    tar.extractall(target, filter="data")


def _move(unpacked: Path, final: Path) -> None:
    """Rename a complete folder to its final path, unless another process was faster."""
    final.parent.mkdir(parents=True, exist_ok=True)
    put_folder(unpacked, final, replacing=False)


def _remove_empty(folders: list[Path]) -> None:
    """Remove empty folders, deepest first."""
    for folder in folders:
        try:
            folder.rmdir()
        except OSError:
            return
