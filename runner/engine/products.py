"""What stages leave in `.runner/` for later ones: whether it is there, and whole.

Pixels, features, changed images and states are verified by whoever opens them; weights and logits
are compared with the digests that the database recorded. Knows nothing of the database, and imports
torch only to read weights.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import assert_never

from runner.artifacts.arrays import look_whole as look_whole_arrays
from runner.artifacts.exchange import elsewhere, read_whole
from runner.artifacts.folder import Artifacts
from runner.core.artifacts import ArtifactName, kind_of, weights_name
from runner.engine.data.pixels_index import look_whole
from runner.engine.job import DigestOf
from runner.engine.kept_logits import whole_logits


def lies_there(artifacts: Artifacts, name: str) -> bool:
    """Return whether an artifact lies in ``.runner/`` or is shared, as far as can be told."""
    return lies_here(artifacts, name) or name in elsewhere(artifacts, [name])


def lies_here(artifacts: Artifacts, name: str) -> bool:
    """Return whether an artifact lies in ``.runner/``, as far as can be told without reading it."""
    parsed = ArtifactName.parse(name)
    match parsed.kind:
        case "pixels":
            return look_whole(artifacts.path(name), parsed.key)
        case "features" | "changed" | "states" | "checkpoints" | "weights" | "logits" | "analyses":
            return artifacts.lies_there(name)
        case _:
            assert_never(parsed.kind)


def is_there(artifacts: Artifacts, name: str, digest_of: DigestOf) -> bool:
    """Return the same, of weights and logits after reading them, of analyses by their sizes.

    Of these, what is shared and not here, or not whole here, is brought here.
    """
    match kind_of(name):
        case "weights":
            from runner.engine.network.whole_weights import whole_weights

            digest = digest_of(name)
            return bool(read_whole(artifacts, name, lambda path: whole_weights(path, digest)))
        case "logits":
            digests = digest_of(name), digest_of(_weights_of(name))
            kept = read_whole(artifacts, name, lambda path: whole_logits(path, *digests))
            return kept is not None
        case "analyses":
            digest = digest_of(name)
            return read_whole(artifacts, name, lambda path: look_whole_arrays(path, digest))
        case _:
            return lies_there(artifacts, name)


def needed_to_check(names: Iterable[str]) -> set[str]:
    """Return the artifacts whose recorded digests :func:`is_there` asks for."""
    every = set(names)
    return every | {_weights_of(name) for name in every if kind_of(name) == "logits"}


def _weights_of(logits: str) -> str:
    """Return the name of the weights that logits were computed with."""
    parsed = ArtifactName.parse(logits)
    return weights_name(parsed.key, parsed.part.partition("-")[0])
