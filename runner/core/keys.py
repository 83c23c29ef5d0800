"""Content keys and keyed randomness: the one hash behind both.

Equal content has an equal key on every machine; a key never depends on the order of a mapping,
on names, paths or time. Knows nothing of what it hashes.
"""

import hashlib
import json
from collections.abc import Iterable, Mapping
from typing import Any

KEY_SCHEMA = 1
"""Raised by hand when the meaning of every key changes."""

KEY_LENGTH = 32

_CANONICAL = json.JSONEncoder(
    sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False
)


def canonical_json(value: Any) -> str:
    """Return the one JSON text of ``value``.

    Mappings are sorted, floats are written by ``repr`` (``1.0`` is not ``1``), booleans are not
    integers, and nothing is escaped that need not be.

    Raises:
        ValueError: for a float that is not finite.
        TypeError: for a value that JSON cannot hold.
    """
    return _CANONICAL.encode(value)


def content_key(kind: str, value: Any) -> str:
    """Return the key of ``value`` among things of one ``kind``: 32 hexadecimal digits."""
    return text_key(kind, canonical_json(value))


def text_key(kind: str, text: str) -> str:
    """Return the key of the value whose canonical JSON is ``text``."""
    # file names need not be UTF-8
    encoded = f"{KEY_SCHEMA}\n{kind}\n{text}".encode("utf-8", "surrogateescape")
    return hashlib.sha256(encoded).hexdigest()[:KEY_LENGTH]


def canonical_object(texts: Mapping[str, str]) -> str:
    """Return the canonical JSON of an object whose values are given as such; names are ASCII."""
    return "{" + ",".join(f'"{name}":{texts[name]}' for name in sorted(texts)) + "}"


def canonical_array(texts: Iterable[str]) -> str:
    """Return the canonical JSON of an array whose values are given as such."""
    return "[" + ",".join(texts) + "]"


def epoch_key(segment_key: str, epoch: int) -> str:
    """Return the key of the state after ``epoch`` of a segment."""
    return content_key("epoch", [segment_key, epoch])


def keyed_seed(seed: int, purpose: str, epoch: int = 0, step: int = 0) -> int:
    """Return the generator seed for one random draw, in [0, 2**63).

    Every draw of the program comes from a generator seeded so: a resumed or shared training draws
    what an undisturbed one draws, because there is no stream whose position could be lost.
    """
    text = f"{seed}\n{purpose}\n{epoch}\n{step}"
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") >> 1
