"""YAML values with their file positions, and merging of such trees.

A tree is immutable: merging and putting share what they do not change, so that thousands of cells
can differ from one spec in a few leaves, and each leaf still knows its file, line and column.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from runner.core.errors import Problem, SourcePosition, SpecError

KIND_KEYS = ("dataset", "name")
"""Keys that say which component a mapping is of: the first that it has, for a data set may have a
setting `name`."""

PLAIN_TEXT = re.compile(r"[A-Za-z_/][A-Za-z0-9_./-]*")
NOT_TEXT = ("true", "false", "null")


@dataclass(frozen=True, slots=True)
class Node:
    """A YAML value: a scalar, a tuple of nodes, or a dict of nodes by key.

    Attributes:
        value: the value.
        position: in the file, or None for a value that is in no file.
        key_position: of its key, for the value of a mapping.
    """

    value: Any
    position: SourcePosition | None = None
    key_position: SourcePosition | None = None

    @property
    def is_mapping(self) -> bool:
        """Whether this is a mapping."""
        return isinstance(self.value, dict)

    @property
    def is_sequence(self) -> bool:
        """Whether this is a sequence."""
        return isinstance(self.value, tuple)

    @property
    def text(self) -> str:
        """The value if it is text, else ""."""
        return self.value if isinstance(self.value, str) else ""

    def get(self, key: str) -> Node | None:
        """Return the child at ``key`` of a mapping, or None."""
        return self.value.get(key) if isinstance(self.value, dict) else None

    def describe(self) -> str:
        """Return the value in words, for an error message."""
        if self.is_mapping:
            return "a mapping" if self.value else "an empty mapping"
        if self.is_sequence:
            return f"a list of {len(self.value)}" if self.value else "an empty list"
        return describe_scalar(self.value)


def describe_scalar(value: Any) -> str:
    """Return a scalar with its type, for an error message."""
    if value is None:
        return "nothing (null)"
    if isinstance(value, bool):
        return f"{str(value).lower()} (boolean)"
    if isinstance(value, str):
        return f"{value!r} (text)"
    return f"{value!r}"


def plain(node: Node) -> Any:
    """Return the value without positions: dict, tuple or scalar."""
    if isinstance(node.value, dict):
        return {key: plain(child) for key, child in node.value.items()}
    if isinstance(node.value, tuple):
        return tuple(plain(child) for child in node.value)
    return node.value


def identity(node: Node) -> str:
    """Return JSON that is equal for values that mean the same in a spec, as 1 and 1.0."""
    return json.dumps(_normal(plain(node)), sort_keys=True, ensure_ascii=False)


def infinite_numbers(node: Node) -> Iterator[Node]:
    """Yield the numbers in a tree that are not finite: no record holds them."""
    children = node.value.values() if node.is_mapping else node.value if node.is_sequence else ()
    for child in children:
        yield from infinite_numbers(child)
    if isinstance(node.value, float) and not math.isfinite(node.value):
        yield node


def as_yaml(value: Any) -> str:
    """Return a plain value as one-line YAML; a component without settings as its name."""
    if isinstance(value, Mapping):
        if len(value) == 1 and set(value) <= set(KIND_KEYS):
            return as_yaml(next(iter(value.values())))
        return "{" + ", ".join(f"{key}: {as_yaml(child)}" for key, child in value.items()) + "}"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(as_yaml(item) for item in value) + "]"
    if isinstance(value, str) and PLAIN_TEXT.fullmatch(value) and value.lower() not in NOT_TEXT:
        return value
    if isinstance(value, float) and float(f"{value:g}") == value:
        return f"{value:g}"
    return json.dumps(value, ensure_ascii=False)


def _normal(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _normal(child) for key, child in value.items()}
    if isinstance(value, tuple):
        return [_normal(child) for child in value]
    if isinstance(value, float) and value.is_integer() and abs(value) < 2**53:
        return int(value)
    return value


def to_node(value: Any, position: SourcePosition | None = None) -> Node:
    """Return a tree of plain Python values, all at ``position``."""
    if isinstance(value, Mapping):
        return Node(
            {key: to_node(child, position) for key, child in value.items()}, position, position
        )
    if isinstance(value, Sequence) and not isinstance(value, str):
        return Node(tuple(to_node(child, position) for child in value), position, position)
    return Node(value, position, position)


def merge(base: Node, over: Node) -> Node:
    """Return ``base`` with ``over`` on top.

    Mappings merge key by key, unless both name a component and ``over`` another one, which
    replaces the mapping whole. Everything else is replaced.
    """
    if not (base.is_mapping and over.is_mapping) or _other_component(base, over):
        return over
    merged = dict(base.value)
    for key, child in over.value.items():
        merged[key] = merge(merged[key], child) if key in merged else child
    return Node(merged, over.position, over.key_position)


def _other_component(base: Node, over: Node) -> bool:
    for key in KIND_KEYS:
        before, named = base.get(key), over.get(key)
        if before is not None:
            return named is not None and bool(before.value != named.value)
    return False


def find(tree: Node, path: Sequence[str]) -> Node | None:
    """Return the node at ``path``, or None; items of a list are named by their number."""
    node: Node | None = tree
    for key in path:
        if node is None:
            return None
        if node.is_sequence and key.isdecimal():
            node = node.value[int(key)] if int(key) < len(node.value) else None
        else:
            node = node.get(key)
    return node


def put(tree: Node, path: Sequence[str], value: Node) -> Node:
    """Return ``tree`` with ``value`` merged in at ``path``.

    Missing mappings and nulls on the way become mappings.

    Raises:
        SpecError: when another value is on the way.
    """
    return _put(tree, path, 0, value)


def _put(tree: Node, path: Sequence[str], depth: int, value: Node) -> Node:
    if depth == len(path):
        return merge(tree, value)
    if tree.value is not None and not tree.is_mapping:
        raise SpecError([_in_the_way(tree, path, depth, value)])
    children = dict(tree.value) if tree.is_mapping else {}
    key, is_last = path[depth], depth + 1 == len(path)
    below = children.get(key)
    if below is None or (below.value is None and not is_last):
        children[key] = value if is_last else _put(Node({}, value.position), path, depth + 1, value)
    else:
        children[key] = _put(below, path, depth + 1, value)
    return Node(children, tree.position, tree.key_position)


def _in_the_way(node: Node, path: Sequence[str], depth: int, value: Node) -> Problem:
    whole, inner = ".".join(path[:depth]) or "the spec", ".".join(path)
    where = value.key_position or value.position
    found = f"{whole} is {node.describe()}, but {inner} is set" + (f" at {where}" if where else "")
    allowed = "a list that is set whole" if node.is_sequence else f"a mapping, or no {inner}"
    return Problem(node.position, found, allowed)
