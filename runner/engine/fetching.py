"""Bringing artifacts that are not at hand from the store that several machines share.

Owns that room is made for them, and that a person hears what is wrong there. Where no store is
shared, nothing is fetched.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from runner.artifacts.cache import EVICTED
from runner.artifacts.exchange import fetch
from runner.core.artifacts import kind_of
from runner.engine.context import Context
from runner.engine.training.retention import with_room

T = TypeVar("T")


def fetched(context: Context, name: str, accept: Callable[[str], bool] = lambda text: True) -> bool:
    """Bring an artifact here, in place of what is here; return whether that was done.

    On a full disk, changed images and states that the plan does not need give way first.

    Args:
        context: of the stage.
        name: of the artifact.
        accept: whether it will do, by what it says of itself; "" where that is not known before.

    Raises:
        OSError: when it does not fit even then.
    """
    if context.shared is None:
        return False
    path, cache = context.artifact_path(name), context.cache

    def room(num_bytes: int) -> None:
        if cache is not None and kind_of(name) in EVICTED:
            cache.make_room(path, num_bytes)

    try:
        return with_room(context, lambda: fetch(context.artifacts, name, accept, room), path)
    finally:
        for note in context.shared.notes():
            context.on_note(note)


def read_fetched(context: Context, name: str, read: Callable[[Path], T]) -> T:
    """Return what reading an artifact gives, of the shared store's where it gives nothing here.

    Args:
        context: of the stage.
        name: of the artifact.
        read: reads it where it lies; returns what is false where it is not there or not whole.

    Raises:
        OSError: when the disk is full.
    """
    path = context.artifact_path(name)
    found = read(path)
    return read(path) if not found and fetched(context, name) else found
