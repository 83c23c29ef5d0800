"""The git commit of a work tree, asked for without running what the work tree's settings name.

A folder may be a stranger's, and its `.git/config` may name programs: a monitor of the file system,
hooks, filters of contents, ways to fetch. Git runs them when it is asked what has changed.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping
from pathlib import Path

SECONDS = 10
SAID = {"core.fsmonitor": "false", "core.hooksPath": os.devnull}
"""What stands in the place of settings that name programs, besides filters."""
OFF = {"clean": "", "process": "", "smudge": "", "required": "false"}
"""A filter that does nothing."""
ALONE = {"GIT_OPTIONAL_LOCKS": "0", "GIT_NO_LAZY_FETCH": "1", "GIT_ALLOW_PROTOCOL": ""}
"""Nothing is written, and nothing is fetched."""
SCOPES = ("--local", "--worktree")
COUNT = "GIT_CONFIG_COUNT"


def commit_of(folder: Path) -> str:
    """Return the git commit of the work tree at ``folder``, with + when it has changes, or "".

    What has changed within submodules is not looked for. Filters of the user's own settings work,
    those of the work tree's settings do not.
    """
    commit = _git(folder, SAID, "rev-parse", "--verify", "--quiet", "HEAD")
    if not commit:
        return ""
    words = "status --porcelain --untracked-files=no --ignore-submodules=dirty --no-renames"
    changes = _git(folder, {**SAID, **_no_filters(folder)}, *words.split())
    if changes is None:
        return ""
    return f"{commit.strip()}+" if changes else commit.strip()


def _no_filters(folder: Path) -> dict[str, str]:
    """Return what is said in the place of the filters of the work tree's own settings."""
    words = ("--includes", "--null", "--name-only", "--get-regexp", r"^filter\.")
    names = {
        name.rpartition(".")[0]
        for scope in SCOPES
        for name in (_git(folder, SAID, "config", scope, *words) or "").split("\0")
        if name
    }
    return {f"{name}.{key}": value for name in sorted(names) for key, value in OFF.items()}


def _git(folder: Path, said: Mapping[str, str], *words: str) -> str | None:
    """Return what git prints, None where it fails or is not there; ``said`` goes before settings.

    Settings are given by the environment, for on the command line no name may hold an equals sign.
    """
    try:
        first = int(os.environ.get(COUNT) or 0)
        environment = {**os.environ, **ALONE, COUNT: str(first + len(said))}
        for number, (name, value) in enumerate(said.items(), first):
            environment |= {f"GIT_CONFIG_KEY_{number}": name, f"GIT_CONFIG_VALUE_{number}": value}
        ended = subprocess.run(
            ["git", *words],
            cwd=folder,
            env=environment,
            capture_output=True,
            text=True,
            errors="surrogateescape",
            timeout=SECONDS,
            check=False,
        )
    except (OSError, ValueError, subprocess.TimeoutExpired):
        return None
    return ended.stdout if ended.returncode == 0 else None
