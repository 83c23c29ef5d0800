"""The seeds of a spec: from `seeds`, of the spec or a profile, or from the one `seed`.

Owns the form of the list.
"""

from __future__ import annotations

from runner.core.errors import Problem, SpecError
from runner.spec.nodes import Node
from runner.spec.variants import Variant

ONE = "give one of them"
SEEDS = "a list of different whole numbers, as [0, 1, 2]; for one seed write seed: 0"


def seeds_of(document: Node, variant: Variant) -> list[Node | None]:
    """Return the seeds of each combination; [None] where the settings hold the seed.

    Raises:
        SpecError: for a wrong list, also in an unused profile, and for `seed` with `seeds`.
    """
    own = document.get("seeds")
    lists = {id(node): _seed_list(node) for node in written_seeds(document)}
    node = variant.seeds or own
    if node is None or any("seed" in layer for layer in variant.layers):
        return [None]
    if document.get("seed") is not None and node is own:
        raise SpecError([Problem(node.key_position, "both seed and seeds are given", hint=ONE)])
    return list(lists[id(node)])


def written_seeds(document: Node) -> list[Node]:
    """Return the `seeds` of a spec and of all its profiles, chosen or not."""
    profiles = document.get("profiles")
    holders = [document, *(profiles.value.values() if profiles is not None else ())]
    return [node for each in holders if (node := each.get("seeds")) is not None]


def _seed_list(node: Node) -> list[Node]:
    if not node.is_sequence or not node.value:
        raise SpecError([Problem(node.position, f"seeds is {node.describe()}", SEEDS)])
    seen: set[int] = set()
    for item in node.value:
        if type(item.value) is not int:
            raise SpecError([Problem(item.position, f"a seed is {item.describe()}", SEEDS)])
        if item.value in seen:
            raise SpecError([Problem(item.position, f"the seed {item.value} stands twice", SEEDS)])
        seen.add(item.value)
    return list(node.value)
