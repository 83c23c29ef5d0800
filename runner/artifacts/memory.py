"""Small JSON files that remember what was found out before, so that it is not found out again.

Owns how they are read and written: what is damaged or of another format counts as nothing, and a
folder that cannot be written is no error. Losing one costs time only.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from runner.artifacts.atomic import whole_file


def recall(path: Path, file_format: int) -> Mapping[str, Any]:
    """Return what a file remembers; nothing where it is gone, damaged or of another format."""
    try:
        content = json.loads(path.read_text())
    except (OSError, ValueError):
        return {}
    is_known = isinstance(content, dict) and content.get("format") == file_format
    return content if is_known else {}


def remember(path: Path, file_format: int, content: Mapping[str, Any]) -> bool:
    """Write a file that remembers; return whether that was possible."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with whole_file(path, durable=False) as partial:
            partial.write_text(json.dumps({"format": file_format, **content}))
    except OSError:
        return False
    return True


class LayoutCache:
    """What was found out before, by key, so that planning is quick.

    Image shapes, networks' layouts and digests of weights; or other things, in a file of their own.
    """

    FORMAT = 6
    """Raised when what is remembered changes; files of another format are not read."""

    def __init__(self, path: Path) -> None:
        """Read the file, if it is there."""
        self._path = path
        known = recall(path, self.FORMAT).get("known")
        self._known: dict[str, Any] = dict(known) if isinstance(known, dict) else {}

    def get(self, key: str) -> Any | None:
        """Return what is known under a key, or None."""
        return self._known.get(key)

    def recall(self, key: str, find_out: Callable[[], Any]) -> Any:
        """Return what is known under a key; where nothing is, find it out and remember it."""
        known = self.get(key)
        if known is None:
            known = find_out()
            self.put(key, known)
        return known

    def put(self, key: str, value: Any) -> None:
        """Remember a JSON value; a folder that cannot be written is not an error."""
        self._known[key] = value
        remember(self._path, self.FORMAT, {"known": self._known})
