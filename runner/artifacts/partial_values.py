"""Values that analyses have measured before their end, in folders beside checkpoints of trainings.

Owns the name of their file, and which of them nobody will go on from. Knows no value.
"""

from __future__ import annotations

import contextlib
import time

from runner.artifacts.atomic import ABANDONED_SECONDS
from runner.artifacts.folder import Artifacts, names_in

FILE = "values.json"


def abandoned_values(artifacts: Artifacts) -> set[str]:
    """Return the keys of the analyses whose values were last written a week ago or more.

    Their spec may ask for other settings since, or be gone: the folder does not tell.
    """
    home = artifacts.home("checkpoints")
    oldest = time.time() - ABANDONED_SECONDS
    found: set[str] = set()
    for name in names_in(home):
        with contextlib.suppress(OSError):  # of a training, or another process has removed it
            if (home / name / FILE).stat().st_mtime < oldest:
                found.add(name)
    return found
