"""Where the files of a data set lie: looked for in several folders, or fetched to the first."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from runner.components.data.archives import Fetchable
from runner.components.data.dataset import DataAccess


class MissingData(Exception):
    """A data set was not found.

    Attributes:
        looked: paths that were tried, in order.
        how_to_get: hint for the user.
        archive: what `run` would fetch, or None.
        setting: that names it, below ``data``.
    """

    setting = "path"

    def __init__(
        self, what: str, looked: Sequence[Path], how_to_get: str, archive: Fetchable | None = None
    ) -> None:
        super().__init__(what)
        self.what = what
        self.looked = tuple(looked)
        self.how_to_get = how_to_get
        self.archive = archive


def find_root(
    access: DataAccess,
    folder: str,
    how_to_get: str,
    archive: Fetchable | None = None,
    also: Sequence[str] = (),
) -> Path:
    """Return the first existing ``folder`` under the roots of ``access``.

    Where there is none, its archive is fetched to the first root, if that is allowed.

    Args:
        access: says where to look.
        folder: absolute, or relative to the roots.
        how_to_get: hint for a missing folder.
        archive: what becomes the folder.
        also: other names of the folder, tried where it is in none of the roots.

    Raises:
        MissingData: when there is none, and none is fetched; also for a home folder of nobody.
        DownloadFailed: when it cannot be fetched.
    """
    candidates = [
        path for name in (folder, *also) for path in _candidates(access, name, how_to_get)
    ]
    for candidate in filter(Path.is_dir, candidates):
        return candidate
    if archive is not None and access.fetch is not None and access.roots:
        access.fetch(archive, access.roots[0])
        return candidates[0]
    raise MissingData(f"no folder {folder}", candidates, how_to_get, archive)


def find_any(access: DataAccess, path: str, how_to_get: str) -> Path:
    """Return the first existing file or folder ``path`` under the roots of ``access``.

    Raises:
        MissingData: when there is none; also for a home folder of nobody.
    """
    candidates = _candidates(access, path, how_to_get)
    for candidate in filter(Path.exists, candidates):
        return candidate
    raise MissingData(f"no file or folder {path}", candidates, how_to_get)


def _candidates(access: DataAccess, path: str, how_to_get: str) -> list[Path]:
    try:
        given = Path(path).expanduser()
    except RuntimeError as error:
        raise MissingData(f"no folder {path}: {error}", [], how_to_get) from None
    return [given] if given.is_absolute() else [root / given for root in access.roots]
