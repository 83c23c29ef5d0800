"""What the pyproject.toml of the current folder says of the program: its section `[tool.runner]`.

Owns how the file is found and read; what a setting may hold is said by whoever asks for it.
"""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

from runner.core.errors import UsageError

PROJECT = Path("pyproject.toml")
SECTION = "[tool.runner]"


def project_setting(name: str) -> Any | None:
    """Return a setting of the section, None where there is none.

    Raises:
        UsageError: for a file that has such a section and cannot be read.
    """
    try:
        text = PROJECT.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        return None
    if "runner" not in text:
        return None
    try:
        tool = tomllib.loads(text).get("tool")
    except tomllib.TOMLDecodeError as error:
        if SECTION not in text:
            return None
        raise UsageError(f"{PROJECT} is no TOML: {error}") from None
    section = tool.get("runner") if isinstance(tool, dict) else None
    return section.get(name) if isinstance(section, dict) else None
