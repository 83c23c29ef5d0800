"""Shared stores for tests: places that fail, and stores that do not wait."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from runner.artifacts.folder import Artifacts
from runner.artifacts.patience import Patience
from runner.artifacts.places import FolderPlace, Place
from runner.artifacts.shared import Shared
from runner.artifacts.shared_store import SharedStore


class FailingPlace:
    """A place whose methods fail while ``fails`` returns an error for them."""

    def __init__(self, place: Place, fails: Callable[[str, str], Exception | None]) -> None:
        self._place, self._fails = place, fails
        self.asked: list[str] = []

    def __getattr__(self, method: str) -> Any:
        real = getattr(self._place, method)

        def asked(*values: Any) -> Any:
            name = next(str(each) for each in reversed(values) if isinstance(each, str))
            self.asked.append(f"{method} {name}")
            if (error := self._fails(method, name)) is not None:
                raise error
            return real(*values)

        return asked


def store_at(root: Path, place: Place | None = None) -> SharedStore:
    """Return the store in a folder, or at another place; it waits for nothing."""
    found = FolderPlace(root) if place is None else place
    return SharedStore(found, Patience("the-store", lambda seconds: None))


def machine(folder: Path, root: Path, place: Place | None = None) -> Artifacts:
    """Return the artifacts of a machine with a `.runner/` of its own and a shared store."""
    folder.mkdir(parents=True, exist_ok=True)
    return Artifacts(folder, "db", Shared(store_at(root, place)))
