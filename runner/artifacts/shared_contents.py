"""What lies in the store that machines share, by kind, and how it is cleared.

Of kinds that belong to a database, only what is that of one is looked at.
"""

from __future__ import annotations

from collections.abc import Iterable

from runner.artifacts.contents import KINDS, Contents
from runner.artifacts.exchange import SHARED, names_elsewhere, place_of
from runner.artifacts.folder import Artifacts
from runner.core.artifacts import ArtifactKind


def shared_contents(artifacts: Artifacts) -> list[Contents]:
    """Return what lies in the shared store, by kind; damaged artifacts are not counted."""
    return [_contents(artifacts, kind) for kind in SHARED]


def clear_shared(artifacts: Artifacts, kinds: Iterable[str]) -> list[Contents]:
    """Remove kinds of things from the shared store; return what was removed.

    Args:
        artifacts: of the database, with a shared store.
        kinds: of them; those that are never shared are passed over.
    """
    assert artifacts.shared is not None
    store, removed = artifacts.shared.store, list[Contents]()
    wanted = set(kinds)
    for kind in SHARED:
        if kind in wanted:
            taken = _contents(artifacts, kind)
            for name in sorted(names_elsewhere(artifacts, kind, fresh=True)):
                if (place := place_of(artifacts, name)) is not None:
                    store.remove(place)
            if taken.count:
                removed.append(taken)
    return removed


def _contents(artifacts: Artifacts, kind: ArtifactKind) -> Contents:
    assert artifacts.shared is not None
    names = names_elsewhere(artifacts, kind, fresh=True)
    places = [place for name in sorted(names) if (place := place_of(artifacts, name)) is not None]
    found = artifacts.shared.store.manifests(places)
    count = sum(len(each.files) for each in found)
    return Contents(kind, KINDS[kind], count, sum(each.num_bytes for each in found))
