"""Artifacts of a database between `.runner/` and the store that several machines share.

Owns which kinds are shared, and under which names; `.runner/` stays the place where they are used.
Where no store is shared, all of this does nothing. How a store works is said beside.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TypeVar

from runner.artifacts.folder import (
    CHECKPOINT,
    INDEX,
    MARKERS,
    OF_ONE_DATABASE,
    SUFFIXES,
    Artifacts,
)
from runner.artifacts.manifest import Manifest
from runner.artifacts.putting import LocalFiles
from runner.core.artifacts import KINDS, ArtifactKind, ArtifactName, kind_of
from runner.core.errors import Interrupted

NOT_SHARED: tuple[ArtifactKind, ...] = ("changed",)
"""Changed images are made in seconds."""
SHARED: tuple[ArtifactKind, ...] = tuple(kind for kind in KINDS if kind not in NOT_SHARED)
DESCRIBING: dict[ArtifactKind, str] = {
    "states": CHECKPOINT,
    "checkpoints": CHECKPOINT,
    "features": INDEX,
}
"""Files whose content is wanted before the others are fetched."""
KEEPING: tuple[ArtifactKind, ...] = ("pixels", "features")
"""Kinds of which the first that is there stays: others may be made elsewhere, by other numerics."""

T = TypeVar("T")


def look_again(artifacts: Artifacts) -> None:
    """Let what is asked from now on be as it is now in the shared store."""
    if artifacts.shared is not None:
        artifacts.shared.store.look_again()


def elsewhere(artifacts: Artifacts, names: Iterable[str], fresh: bool = False) -> set[str]:
    """Return those of many artifacts that the shared store has; folders are listed once each.

    Args:
        artifacts: of the database.
        names: of artifacts.
        fresh: as it is now, and not as it was some seconds ago.
    """
    if artifacts.shared is None:
        return set()
    by_kind: dict[ArtifactKind, list[str]] = {}
    for name in names:
        by_kind.setdefault(kind_of(name), []).append(name)
    found: set[str] = set()
    for kind, wanted in by_kind.items():
        home = _home(artifacts, kind)
        if home is not None:
            there = artifacts.shared.store.listed(home, fresh)
            found.update(each for each in wanted if ArtifactName.parse(each).file in there)
    return found


def names_elsewhere(artifacts: Artifacts, kind: ArtifactKind, fresh: bool = False) -> set[str]:
    """Return the names of the artifacts of a kind that the shared store has."""
    home = _home(artifacts, kind)
    if artifacts.shared is None or home is None:
        return set()
    return {f"{kind}/{each}" for each in artifacts.shared.store.listed(home, fresh)}


def described_elsewhere(artifacts: Artifacts, names: Iterable[str]) -> dict[str, str]:
    """Return what those of some artifacts say of themselves that the shared store has, by name."""
    if artifacts.shared is None:
        return {}
    places = {place_of(artifacts, name): name for name in names}
    found = artifacts.shared.store.manifests(place for place in places if place is not None)
    texts = {places[each.name]: each.texts for each in found}
    return {
        name: files[DESCRIBING[kind_of(name)]]
        for name, files in texts.items()
        if DESCRIBING[kind_of(name)] in files
    }


def fetch(
    artifacts: Artifacts,
    name: str,
    accept: Callable[[str], bool] = lambda text: True,
    room: Callable[[int], object] = lambda num_bytes: None,
) -> bool:
    """Bring an artifact here from the shared store, in place of what is here.

    Args:
        artifacts: of the database.
        name: of the artifact.
        accept: whether it will do, by what it says of itself; "" where that is not known before.
        room: told, before, how many bytes come.

    Returns:
        Whether it is here now; else what was here stays.

    Raises:
        OSError: when the disk here is full.
    """
    place = place_of(artifacts, name)
    if artifacts.shared is None or place is None:
        return False

    def will_do(manifest: Manifest) -> bool:
        if not accept(_text_of(name, manifest)):
            return False
        room(manifest.num_bytes)
        return True

    is_file = kind_of(name) in SUFFIXES
    return artifacts.shared.store.fetch(place, artifacts.path(name), is_file, will_do)


def read_whole(artifacts: Artifacts, name: str, read: Callable[[Path], T]) -> T:
    """Return what reading an artifact gives, of the shared store's where it gives nothing here.

    Args:
        artifacts: of the database.
        name: of the artifact.
        read: reads it where it lies; returns what is false where it is not there or not whole.
    """
    path = artifacts.path(name)
    found = read(path)
    return read(path) if not found and fetch(artifacts, name) else found


def share(
    artifacts: Artifacts,
    name: str,
    check: Callable[[], None] = lambda: None,
    stays: Callable[[str], bool] = lambda text: False,
) -> None:
    """Have an artifact put to the shared store, beside the work, unless it is there.

    Args:
        artifacts: of the database.
        name: of an artifact that lies here; one that does not is left out.
        check: called before it takes its place; raises ClaimLost where it must not.
        stays: whether what is there under its name stays, by what that says of itself.
    """
    shared, place = artifacts.shared, place_of(artifacts, name)
    if shared is None or place is None:
        return
    store, uploads, keeping = shared.store, shared.uploads, kind_of(name) in KEEPING

    def may_be_named() -> None:
        uploads.check()
        check()

    def others_stay(manifest: Manifest) -> bool:
        return keeping or stays(_text_of(name, manifest))

    uploads.add(
        place,
        lambda: store.put(place, lambda: _local_files(artifacts, name), may_be_named, others_stay),
    )


def settle(
    artifacts: Artifacts, names: Iterable[str], should_stop: Callable[[], bool] = lambda: False
) -> None:
    """Wait until artifacts are in the shared store, as far as that can be reached.

    Args:
        artifacts: of the database.
        names: of artifacts.
        should_stop: asked meanwhile; once it is true, they are waited for a moment only.

    Raises:
        StoreError: when the database could not be asked whether one of them may be put there.
    """
    if artifacts.shared is not None:
        artifacts.shared.uploads.settle(_places(artifacts, names), should_stop)


def drop(artifacts: Artifacts, names: Iterable[str]) -> None:
    """Put artifacts to the shared store no more: from now on others may put theirs."""
    if artifacts.shared is not None:
        artifacts.shared.uploads.drop(_places(artifacts, names))


def hurry(artifacts: Artifacts, error: BaseException) -> None:
    """Let nothing be waited for that what ends the work leaves no time for.

    Args:
        artifacts: of the database.
        error: where the work is asked to stop, there is a moment left; after what ends it at once,
            as a second Ctrl-C, there is none; other errors leave what time it takes.
    """
    if artifacts.shared is None:
        return
    if isinstance(error, Interrupted):
        artifacts.shared.uploads.hurry()
    elif not isinstance(error, Exception):
        artifacts.shared.uploads.hurry(0)


def forget(
    artifacts: Artifacts,
    name: str,
    check: Callable[[], None] = lambda: None,
    stays: Callable[[str], bool] | None = None,
) -> None:
    """Have an artifact removed from the shared store, beside the work.

    Args:
        artifacts: of the database.
        name: of the artifact.
        check: called before; raises ClaimLost where it must not be removed.
        stays: whether it stays, by what it says of itself. None removes also what is no whole one.
    """
    shared, place = artifacts.shared, place_of(artifacts, name)
    if shared is None or place is None:
        return
    store, uploads = shared.store, shared.uploads

    def may_be_removed() -> None:
        uploads.check()
        check()

    def others_stay(manifest: Manifest) -> bool:
        return stays is not None and stays(_text_of(name, manifest))

    def remove() -> bool:
        store.remove(place, may_be_removed, None if stays is None else others_stay)
        return True

    uploads.add(place, remove)


def _text_of(name: str, manifest: Manifest) -> str:
    """Return what an artifact says of itself, "" where that is not known before it is fetched."""
    return manifest.texts.get(DESCRIBING.get(kind_of(name), ""), "")


def _home(artifacts: Artifacts, kind: ArtifactKind) -> str | None:
    """Return the folder of a kind in the shared store, None where it has none."""
    if kind not in SHARED or (kind in OF_ONE_DATABASE and not artifacts.database):
        return None
    return artifacts.home(kind).relative_to(artifacts.folder).as_posix()


def place_of(artifacts: Artifacts, name: str) -> str | None:
    """Return where an artifact lies in the shared store, None where it has no place there."""
    try:
        parsed = ArtifactName.parse(name)
    except ValueError:  # what others have put there
        return None
    home = _home(artifacts, parsed.kind)
    return None if home is None else f"{home}/{parsed.file}"


def _places(artifacts: Artifacts, names: Iterable[str]) -> list[str]:
    places = (place_of(artifacts, name) for name in names)
    return [place for place in places if place is not None]


def _local_files(artifacts: Artifacts, name: str) -> LocalFiles | None:
    """Return an artifact as it lies here, None where it does not."""
    kind, path = kind_of(name), artifacts.path(name)
    if kind not in MARKERS:
        return LocalFiles({path.name: path}) if path.is_file() else None
    marker = path / MARKERS[kind]
    try:
        if kind in ("states", "checkpoints"):
            tensors = str(json.loads(marker.read_text())["file"])
            if tensors != Path(tensors).name:  # it lies beside, whatever others have put there
                return None
            paths = [marker, path / tensors]
        else:
            paths = sorted(path.iterdir())
    except (OSError, ValueError, KeyError, TypeError):
        return None
    if not all(each.is_file() for each in paths) or marker not in paths:
        return None
    texts = frozenset({DESCRIBING[kind]} if kind in DESCRIBING else ())
    return LocalFiles({each.name: each for each in paths}, texts)
