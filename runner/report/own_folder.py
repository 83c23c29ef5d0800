"""A folder that the program writes as a whole, and what may be replaced there.

Only what an earlier one has written, which its manifest lists. Knows no content.
"""

from __future__ import annotations

import json
import os
from pathlib import Path

from runner.core.errors import UsageError

SHOWN = 3


def refuse_folder(folder: Path) -> Path:
    """Refuse a folder in which nothing can be written, before any work; it need not be there.

    Raises:
        UsageError: which says why.
    """
    above = next(each for each in (folder.resolve(), *folder.resolve().parents) if each.exists())
    if not above.is_dir():
        raise UsageError(f"{above} is a file", hint="give another folder")
    if not os.access(above, os.W_OK):
        raise UsageError(f"{folder} cannot be written: no right to write in {above}")
    return folder


def check_place(folder: Path, manifest: str, what: str) -> Path:
    """Return where a folder may be written: a new one, an empty one, or what an earlier one is.

    Args:
        folder: as given.
        manifest: the file in it that lists what was written there.
        what: is written, in words.

    Raises:
        UsageError: when something else is there, which would be lost.
    """
    place = folder.resolve()
    if place == Path.cwd().resolve():
        raise UsageError(f"{folder} is the current folder", hint="give a new one")
    if place.exists() and not place.is_dir():
        raise UsageError(f"{folder} is a file", hint="give a new folder")
    refuse_folder(place.parent)
    if place.is_dir():
        foreign = sorted(_files(place) - _written(place, manifest))
        if foreign:
            more = f" and {len(foreign) - SHOWN} more" if len(foreign) > SHOWN else ""
            listed = f"{', '.join(foreign[:SHOWN])}{more}"
            found = f"{folder} holds what no {what} has written: {listed}"
            raise UsageError(found, hint="give a new folder")
    return place


def _files(place: Path) -> set[str]:
    return {
        (Path(home) / name).relative_to(place).as_posix()
        for home, folders, names in os.walk(place)
        for name in (*names, *(each for each in folders if _is_empty(Path(home) / each)))
    }


def _is_empty(folder: Path) -> bool:
    """Return whether a folder is there and empty: another process may just have removed it."""
    try:
        return not os.listdir(folder)
    except FileNotFoundError:
        return False


def _written(place: Path, manifest: str) -> set[str]:
    """Return what the manifest that lies there says was written."""
    try:
        content = json.loads((place / manifest).read_text(encoding="utf-8"))
        return {manifest, *content["files"]}
    except (OSError, ValueError, KeyError, TypeError):
        return set()
