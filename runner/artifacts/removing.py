"""Removing an artifact from a shared store: its manifest first, so that nobody finds half of it."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from runner.artifacts.manifest import Manifest, manifest_place
from runner.artifacts.places import Place


def removal(
    place: Place,
    name: str,
    look: Callable[[], Manifest | None],
    check: Callable[[], None],
    stays: Callable[[Manifest], bool] | None,
) -> Callable[[], None]:
    """Return what removes an artifact, to be called again where it was cut off.

    Between two calls another process may have put its own under the same name: each looks and
    checks anew, and takes away no file of another artifact.

    Args:
        place: the store.
        name: where the artifact lies in it.
        look: returns its manifest, None of none or of a damaged one.
        check: called before the manifest goes; raises ClaimLost where it must not.
        stays: whether it is left, by its manifest. None removes all that lies there, named or not.
    """
    files: set[str] = set()

    def remove() -> None:
        there = None if stays is None else look()
        if stays is None or (there is not None and not stays(there)):
            check()
            files.update(() if there is None else there.places())
            place.remove(manifest_place(name))
            there = None
        if stays is None:
            files.update(f"{name}/{each}" for each in place.names(name))
        drop(place, files - (set() if there is None else there.places()))

    return remove


def drop(place: Place, files: Iterable[str]) -> None:
    """Remove files, in the order of their names."""
    for each in sorted(files):
        place.remove(each)
