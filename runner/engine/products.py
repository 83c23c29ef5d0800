"""What stages leave in `.runner/` for later ones: whether it is there, and whole.

Pixels, features and states are verified by whoever opens them; weights are compared with the
digest that the database recorded. Knows nothing of the database, and imports torch only to read
weights.
"""

from __future__ import annotations

from typing import assert_never

from runner.artifacts.folder import Artifacts
from runner.core.artifacts import ArtifactName, kind_of
from runner.engine.data.pixels_index import look_whole
from runner.engine.job import DigestOf


def lies_there(artifacts: Artifacts, name: str) -> bool:
    """Return whether an artifact lies in ``.runner/``, as far as can be told without reading it."""
    parsed = ArtifactName.parse(name)
    match parsed.kind:
        case "pixels":
            return look_whole(artifacts.path(name), parsed.key)
        case "features" | "states" | "checkpoints" | "weights" | "analyses":
            return artifacts.lies_there(name)
        case _:
            assert_never(parsed.kind)


def is_there(artifacts: Artifacts, name: str, digest_of: DigestOf) -> bool:
    """Return the same, of weights after reading them."""
    if not lies_there(artifacts, name):
        return False
    if kind_of(name) != "weights":
        return True
    from runner.engine.network.whole_weights import whole_weights

    return bool(whole_weights(artifacts.path(name), digest_of(name)))
