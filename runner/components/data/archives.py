"""Public files of data sets: fetched and unpacked atomically.

Work is done in a partial folder, which is then renamed. If two processes fetch the same data set,
the second finds the folder there and drops its own.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

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
"""Disk space that fetching takes, in sizes of the files: themselves and their content."""

TAR, ZIP = (".tar.gz", ".tgz"), ".zip"


@dataclass(frozen=True, slots=True)
class PublicFile:
    """A public file: an archive (.tar.gz, .tgz, .zip), or a file that is kept as it is.

    Attributes:
        md5: of the file, in hexadecimal.
        num_bytes: size of the file.
        inner: path in a .zip of the .tar.gz that holds the images, "" where it is not in one.
    """

    url: str
    md5: str
    num_bytes: int
    inner: str = ""

    @property
    def name(self) -> str:
        """Name of the file."""
        return file_name(self.url)

    @property
    def is_packed(self) -> bool:
        """Whether it is an archive."""
        return self.name.endswith((*TAR, ZIP))


@dataclass(frozen=True, slots=True)
class Archive:
    """The public files of a data set.

    Attributes:
        files: one archive of the folder itself, or several files, which are its content: archives
            are unpacked, others kept as they are.
        folder: target, relative to the folder of data sets; of a single archive it ends with the
            folder's name in it.
    """

    files: tuple[PublicFile, ...]
    folder: str

    @property
    def name(self) -> str:
        """Name of the only file, or of the folder."""
        return self.files[0].name if len(self.files) == 1 else self.folder

    @property
    def num_bytes(self) -> int:
        """Size of all files."""
        return sum(file.num_bytes for file in self.files)

    def how_to_get(self) -> str:
        """Return the hint for a missing data set."""
        where = "" if len(self.files) == 1 else f" from {self.files[0].url.rpartition('/')[0]}"
        named = self.files[0].url if not where else _listed(file.name for file in self.files)
        return (
            f"`runner run` downloads it ({show_bytes(self.num_bytes)}) unless --no-download is"
            f" given; or fetch {named}{where} by hand and {self._unpack()} {self.folder} under"
            " --data (RUNNER_DATA) or ./data"
        )

    def to_do(self, root: Path) -> str:
        """Return the hint after a failed download."""
        what = "file" if len(self.files) == 1 else "files"
        again = f"run the same command again, or fetch the {what} by hand and"
        return f"{again} {self._unpack()} {root / self.folder}"

    def fetch(self, root: Path, on_progress: OnProgress) -> None:
        """Download and unpack the files; see :func:`fetch_archive`."""
        fetch_archive(self, root, on_progress)

    def _unpack(self) -> str:
        inner = self.files[0].inner
        if inner:
            return f"unpack {inner} in it to"
        if len(self.files) == 1:
            return "unpack it to"
        packed = _listed(file.name for file in self.files if file.is_packed)
        plain = _listed(file.name for file in self.files if not file.is_packed)
        if not packed:
            return "put them, as they are, into"
        return f"unpack {packed}{f' and put {plain}' if plain else ''} into"


def _listed(names: Iterable[str]) -> str:
    *most, last = names = list(names) or [""]
    return f"{', '.join(most)} and {last}" if most else last


class Fetchable(Protocol):
    """A public data set that can be fetched: an :class:`Archive`, or a set on a hub."""

    @property
    def name(self) -> str:
        """What it is called in messages."""

    @property
    def num_bytes(self) -> int:
        """Size of its files, 0 where it is not known before."""

    def fetch(self, root: Path, on_progress: OnProgress) -> None:
        """Fetch it to a folder of data sets; it appears whole or not at all."""


Fetch = Callable[[Fetchable, Path], None]
"""Fetches a data set to a folder of data sets."""


def fetch_archive(archive: Archive, root: Path, on_progress: OnProgress) -> None:
    """Download the files of a data set and unpack them under ``root``; archives are deleted.

    Raises:
        DownloadFailed: when one cannot be fetched, unpacked or stored; nothing is left behind.
    """
    final = root / archive.folder
    made = [folder for folder in final.parents if not folder.exists()]
    work: Path | None = None
    file = archive.files[0]

    def tell(progress: Downloading) -> None:
        on_progress(replace(progress, target=final))

    try:
        root.mkdir(parents=True, exist_ok=True)
        check_space(round(SPACE * archive.num_bytes), root)
        work = partial_path(root / Path(archive.name).name)
        unpacked = work / "unpacked"
        unpacked.mkdir(parents=True)
        for file in archive.files:
            target = work / file.name if file.is_packed else unpacked / file.name
            download(file.url, target, Checksum("md5", file.md5), tell)
            if file.is_packed:
                _unpack(file, target, unpacked)
                target.unlink()
        _move(unpacked if len(archive.files) > 1 else _only_folder(archive, unpacked), final)
    except DownloadFailed as error:
        raise DownloadFailed(error.url, error.what, archive.to_do(root)) from error.__cause__
    except OSError as error:
        what = f"it cannot be stored: {error}"
        raise DownloadFailed(file.url, what, archive.to_do(root)) from error
    finally:
        if work is not None:
            remove_partial(work)
        _remove_empty(made)


def check_space(needed: int, root: Path) -> None:
    """Check that so many bytes are free.

    Raises:
        OSError: when they are not.
    """
    free = shutil.disk_usage(root).free
    if free < needed:
        raise OSError(f"{show_bytes(needed)} are needed under {root}, {show_bytes(free)} are free")


def _unpack(file: PublicFile, path: Path, target: Path) -> None:
    """Unpack the archive at ``path`` to ``target``.

    Raises:
        DownloadFailed: when it is none.
        OSError: when it cannot be stored.
    """
    import tarfile
    import zipfile
    import zlib

    broken = (tarfile.TarError, zipfile.BadZipFile, KeyError, EOFError, zlib.error)
    try:
        if file.inner:
            # the inner archive is read as a stream, so that it takes no space of its own
            with (
                zipfile.ZipFile(path) as outer,
                outer.open(file.inner) as inner,
                tarfile.open(fileobj=inner, mode="r|gz") as tar,
            ):
                _extract(tar, target)
        elif file.name.endswith(ZIP):
            with zipfile.ZipFile(path) as packed:
                packed.extractall(target)  # it drops what would lead outside of target
        else:
            with tarfile.open(path, "r:gz") as tar:
                _extract(tar, target)
    except broken as error:
        raise DownloadFailed(file.url, f"it cannot be unpacked: {error}", "") from error


def _only_folder(archive: Archive, unpacked: Path) -> Path:
    """Return the folder that a single archive holds.

    Raises:
        DownloadFailed: when it holds another.
    """
    found = unpacked / Path(archive.folder).name
    if not found.is_dir():
        raise DownloadFailed(archive.files[0].url, f"it holds no folder {found.name}", "")
    return found


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
        except FileNotFoundError:  # the download failed before it was made
            continue
        except OSError:
            return
