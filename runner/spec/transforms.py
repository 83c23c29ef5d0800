"""Short forms of the `transforms` of an analysis: steps alone, corruptions, and all of them.

Owns what they stand for, and which words are one; what else is wrong with them is said when they
are validated.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from runner.components.augmentations import AnyAugmentation
from runner.components.corruptions.constants import KINDS, SEVERITIES
from runner.core.errors import Problem, SpecError, nearest
from runner.spec.entries import kinds_of
from runner.spec.names import spell_out_steps
from runner.spec.nodes import Node

CORRUPTION = "corruption"
ALL_CORRUPTIONS = "cifar10_c"
"""Stands for every corruption at every severity."""

STEPS = list(kinds_of(AnyAugmentation))


def spell_out_transforms(node: Node) -> Node:
    """Return transforms, each with its label and severities; what is none stays as it is.

    Raises:
        SpecError: for a word that is neither a step nor a corruption.
    """
    if node.value == ALL_CORRUPTIONS:
        node = replace(node, value=(node,))
    if not node.is_sequence:
        return node
    return replace(node, value=tuple(each for one in node.value for each in _transforms(one)))


def _transforms(node: Node) -> Iterator[Node]:
    """Yield the transforms that an entry stands for."""
    if node.value == ALL_CORRUPTIONS:
        for kind in KINDS:
            yield _corruption(node, {"kind": replace(node, value=kind)})
        return
    if isinstance(node.value, str):
        _check_word(node)
        if node.value in KINDS:
            yield _corruption(node, {"kind": node})
            return
    name = node.get("name") if node.is_mapping else None
    if name is None or name.value != CORRUPTION or {"severity", "severities"} <= set(node.value):
        yield _transform(node)
        return
    yield _corruption(node, {key: each for key, each in node.value.items() if key != "name"})


def _check_word(node: Node) -> None:
    """Refuse a word that stands for no transform."""
    words = [*STEPS, ALL_CORRUPTIONS, *KINDS]
    if node.value not in words:
        found, suggestion = f"unknown transform {node.describe()}", nearest(node.text, words)
        raise SpecError([Problem(node.position, found, ", ".join(words), suggestion=suggestion)])


def _corruption(node: Node, settings: dict[str, Node]) -> Node:
    """Return a corruption at the severities that are named, or all, under its kind."""
    name = replace(node, value=CORRUPTION)
    kind = settings.get("kind", name)
    label = settings.pop("label", kind)
    chosen = settings.pop("severities", None)
    if chosen is None:
        one = settings.pop("severity", None)
        numbers = range(1, SEVERITIES + 1)
        every = tuple(replace(node, value=number) for number in numbers) if one is None else (one,)
        chosen = replace(node, value=every)
    if not chosen.is_sequence:
        return replace(node, value={"label": label, "severities": chosen})
    settings["name"] = name
    severities = tuple(
        replace(each, value=(replace(each, value={**settings, "severity": each}),))
        for each in chosen.value
    )
    if not isinstance(kind.value, str) or kind.value not in KINDS:
        severities = severities[:1]  # one mistake is told once
    return replace(node, value={"label": label, "severities": replace(chosen, value=severities)})


def _transform(node: Node) -> Node:
    """Return a transform with its label and severities; a step has its own name as label."""
    if isinstance(node.value, str) or node.get("name") is not None:
        label = node if node.get("name") is None else node.get("name")
        assert label is not None
        steps = replace(node, value=(node,))
        severities = replace(node, value=(spell_out_steps(steps),))
        return replace(node, value={"label": label, "severities": severities})
    severities = node.get("severities") or Node(None)
    if not severities.is_sequence:
        return node
    lists = tuple(
        spell_out_steps(each if each.is_sequence else replace(each, value=(each,)))
        for each in severities.value
    )
    return replace(node, value={**node.value, "severities": replace(severities, value=lists)})
