"""The folds of a spec: `folds: 5` gives each combination and seed five values of `data.fold`.

They are those of the spec, or those of a profile.

Owns the form of `folds`. What a fold is, and which images it holds, is the data's.
"""

from __future__ import annotations

from collections.abc import Sequence

from runner.components.data.folds import MAX_FOLDS
from runner.core.errors import Problem, SpecError, nearest
from runner.spec.nodes import Node, find
from runner.spec.variants import Variant

FOLD = ("data", "fold")
FOLD_PATH = ".".join(FOLD)
FOLD_INDEX = f"{FOLD_PATH}.index"
KEYS = ("of", "held_out")
ALLOWED = (
    f"a whole number from 2 to {MAX_FOLDS}, as folds: 5, or {{of: 5, held_out: test}} where each"
    " fold is the test images"
)
ONE = "give one of them"


def folds_of(document: Node, variant: Variant) -> Sequence[Node | None]:
    """Return `data.fold` of each fold; [None] where there are no folds, or a variant gives one.

    Raises:
        SpecError: for wrong folds, also in an unused profile.
    """
    written_folds(document)
    node = variant.folds or document.get("folds")
    if node is None or node.value is None:
        return [None]
    if any(_is_fold(path) for layer in variant.layers for path in layer):
        return [None]
    return _each(node)


def written_folds(document: Node) -> list[Node]:
    """Return `data.fold` of the first fold of a spec and of each of its profiles, chosen or not.

    Raises:
        SpecError: for wrong folds.
    """
    profiles = document.get("profiles")
    holders = [document, *(profiles.value.values() if profiles is not None else ())]
    folds = (each.get("folds") for each in holders)
    return [_each(node)[0] for node in folds if node is not None and node.value is not None]


def _each(node: Node) -> list[Node]:
    """Return `data.fold` of each fold."""
    count = _count(node)
    beside = {"of": Node(count, node.position, node.key_position)}
    held_out = node.get("held_out")
    if held_out is not None:
        beside["held_out"] = held_out
    position = node.position
    return [
        Node({"index": Node(index, position), **beside}, position, node.key_position)
        for index in range(1, count + 1)
    ]


def refuse_both(tree: Node) -> None:
    """Refuse settings of a combination that have a fold of their own, beside `folds`.

    Raises:
        SpecError: at the fold.
    """
    node = find(tree, FOLD)
    if node is not None and node.value is not None:
        raise SpecError([Problem(node.position, "both data.fold and folds are given", hint=ONE)])


def _count(node: Node) -> int:
    """Return how many folds there are."""
    written = node
    if node.is_mapping:
        for key, child in node.value.items():
            if key not in KEYS:
                found = f"unknown key '{key}' in folds"
                position = child.key_position or child.position
                near = nearest(key, KEYS)
                raise SpecError([Problem(position, found, ", ".join(KEYS), suggestion=near)])
        of = node.get("of")
        if of is None:
            raise SpecError([Problem(node.position, "folds lacks 'of'", ALLOWED)])
        written = of
    if type(written.value) is not int or not 2 <= written.value <= MAX_FOLDS:
        found = f"folds is {written.describe()}"
        raise SpecError([Problem(written.position, found, ALLOWED)])
    return written.value


def _is_fold(path: str) -> bool:
    return path == FOLD_PATH or path.startswith(f"{FOLD_PATH}.")
