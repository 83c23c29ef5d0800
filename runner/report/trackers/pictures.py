"""The pictures of an earlier `report --figures`, for other tools. Nothing is drawn."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

from runner.bind.exported_cells import group_name
from runner.core.errors import UsageError
from runner.report.folder_names import FIGURES, MANIFEST

SUFFIX = ".png"


@dataclass(frozen=True, slots=True)
class TrackedPicture:
    """A picture of an experiment.

    Attributes:
        group: the experiment with its variant.
        name: of the figure and its page.
        path: a PNG file.
    """

    group: str
    name: str
    path: Path

    def digest(self) -> str:
        """Return the hash of the file."""
        return hashlib.sha256(self.path.read_bytes()).hexdigest()[:16]


def report_pictures(folder: Path, groups: Collection[str]) -> list[TrackedPicture]:
    """Return the pictures in a folder that `report --figures` has written.

    Args:
        folder: with its manifest.
        groups: experiments, with their variants, of which one must be the report's.

    Raises:
        UsageError: when it is no such folder, is of something else, or a picture is gone.
    """
    try:
        content = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
        title, files = str(content["report"]), [str(file) for file in content["files"]]
    except (OSError, ValueError, KeyError, TypeError):
        raise UsageError(
            f"{folder} is no folder of a report", hint="runner report SPEC --figures FOLDER"
        ) from None
    name, _, variant = title.removesuffix("]").partition(" [")
    group = group_name(name, variant)
    if group not in groups:
        raise UsageError(
            f"{folder} is the report of {group}, whose tables are not exported here",
            allowed=", ".join(groups),
        )
    names = [Path(file).name for file in files if file.startswith(f"{FIGURES}/")]
    paths = [folder / FIGURES / each for each in names if each.endswith(SUFFIX)]
    if gone := [path for path in paths if not path.is_file()]:
        raise UsageError(f"{gone[0]} is gone", hint="write the report again")
    return [TrackedPicture(group, path.stem, path) for path in paths]
