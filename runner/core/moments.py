"""Named moments of a run at which tests kill it, stop it or disturb it.

Owns nothing else: a moment's name stands once, where it is reached, in ordinary words. Nothing
happens there unless a test has planted a hook in its own process; no setting, variable or file can.
"""

from __future__ import annotations

from collections.abc import Callable

hook: Callable[[str], None] | None = None
"""Told of each moment; tests set it."""


def reached(moment: str) -> None:
    """Say that a moment has been reached."""
    if hook is not None:
        hook(moment)
