"""Shared stores for tests: places that fail, stores that do not wait, artifacts to put there."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from state_values import STATE_VALUES

from runner.artifacts.exchange import settle, share
from runner.artifacts.folder import Artifacts
from runner.artifacts.hashes import file_digest
from runner.artifacts.patience import Patience
from runner.artifacts.places import FolderPlace, Place
from runner.artifacts.shared import Shared
from runner.artifacts.shared_store import SharedStore
from runner.artifacts.state_folder import put_state

PIXELS, WEIGHTS, STATE = "pixels/abc", "weights/solo-best", "states/seg-3"


class BusyPlace(FolderPlace):
    """A folder where something else is done once, while the first file is put there."""

    def __init__(self, root: Path, meanwhile: Callable[[], object]) -> None:
        super().__init__(root)
        self._meanwhile = iter([meanwhile])

    def put(self, path: Path, name: str) -> None:
        super().put(path, name)
        for do in self._meanwhile:
            do()


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


def write(artifacts: Artifacts, name: str, content: bytes = b"content") -> Path:
    """Write an artifact; return where it lies."""
    path = artifacts.path(name)
    path.parent.mkdir(parents=True, exist_ok=True)
    if name == WEIGHTS:
        path.write_bytes(content)
        return path
    if name == STATE:

        def tensors(file: Path) -> str:
            file.write_bytes(content)
            return file_digest(file)

        put_state(path, STATE_VALUES, tensors)
        return path
    path.mkdir()
    (path / "pixels.npy").write_bytes(content)
    (path / "index.json").write_text('{"digest": "d"}')
    return path


def files_in(path: Path) -> dict[str, bytes]:
    found = [path] if path.is_file() else sorted(path.iterdir())
    return {each.name: each.read_bytes() for each in found}


def put(artifacts: Artifacts, name: str) -> None:
    share(artifacts, name)
    settle(artifacts, [name])


def blobs(root: Path) -> list[Path]:
    return sorted(each for each in root.rglob("*") if each.is_file() and each.suffix != ".json")


def notes(artifacts: Artifacts) -> list[str]:
    assert artifacts.shared is not None
    return artifacts.shared.notes()
