"""Checks every written value, also those that another layer replaces.

A sweep replaces the spec's own value; a mistake in it would otherwise go unnoticed. Owns this check
of incomplete settings; knows nothing of whole cells.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from functools import lru_cache

from pydantic import BaseModel, ValidationError

from runner.components.settings import Settings
from runner.core.errors import Problem
from runner.spec.names import COMPONENT_PATHS, spell_out
from runner.spec.nodes import Node, find, plain, put
from runner.spec.options import is_named, models_at, own_option, tags_of
from runner.spec.problems import translate

Named = tuple[type[BaseModel], str]
"""The class of a component, and one of its names."""


def written_problems(base: Node, layers: Iterable[Mapping[str, Node]]) -> Iterator[Problem]:
    """Yield problems of the spec's own settings and of each value of the layers.

    Each is checked alone: settings that another layer may add, and contradictions between
    settings, are no problems here.

    Args:
        base: the spec's own settings, spelled out.
        layers: settings by dotted path: of combinations and of profiles.
    """
    yield from _tree_problems(base, base, frozenset())
    layers = list(layers)
    fixed = _never_renamed({path for layer in layers for path in layer})
    seen: set[tuple[str, int]] = set()
    for layer in layers:
        for path, node in layer.items():
            if (path, id(node)) not in seen:
                seen.add((path, id(node)))
                yield from _tree_problems(_alone(path, node), base, fixed)


def _never_renamed(paths: Collection[str]) -> frozenset[str]:
    """Return the components whose name none of these settings can change."""
    return frozenset(
        dotted
        for dotted, key in COMPONENT_PATHS.items()
        if not any(f"{dotted}.{key}.".startswith(f"{path}.") for path in paths)
    )


def _alone(path: str, node: Node) -> Node:
    tree = spell_out(path, node)
    for key in reversed(path.split(".")):
        tree = Node({key: tree}, node.position)
    return tree


def at_new_positions(problems: Iterable[Problem], known: Iterable[Problem]) -> list[Problem]:
    """Return the problems at positions where no known problem is."""
    positions = {problem.position for problem in known}
    return [problem for problem in problems if problem.position not in positions]


def _tree_problems(tree: Node, context: Node, fixed: Collection[str]) -> list[Problem]:
    return list(_complaints(Settings, _named(tree, context, fixed)))


def _complaints(model: type[BaseModel], tree: Node) -> Iterator[Problem]:
    try:
        model.model_validate(plain(tree))
    except ValidationError as error:
        yield from translate(error, model, tree, unfinished=True)


def _named(tree: Node, context: Node, fixed: Collection[str]) -> Node:
    """Return the tree with a name for each component that is written without one.

    It is the name in ``context`` if that component has the written settings, else another that has.
    Of those in ``fixed``, whose name is the context's in every cell, no other is tried for values
    that it alone would take.
    """
    for dotted, key in COMPONENT_PATHS.items():
        path = dotted.split(".")
        node = find(tree, path)
        if node is None or not node.is_mapping or key in node.value:
            continue
        above = find(context, [*path, key])
        name = above.value if above is not None and isinstance(above.value, str) else ""
        own = own_option(Settings, path, name)
        choices: tuple[Named, ...] = ()
        if own is not None and node.value.keys() <= own.model_fields.keys():
            choices = ((own, name),)
        choices = choices or _takers(dotted, frozenset(node.value), name)
        if not choices:  # of own code, whose name is not known here
            continue
        tag = choices[0][1]
        if dotted in fixed and is_named(choices[0][0], name):
            choices = choices[:1]
        for option, other in choices if len(choices) > 1 else ():
            if not any(_complaints(option, Node({**node.value, key: Node(other)}, node.position))):
                tag = other
                break
        tree = put(tree, [*path, key], Node(tag))
    return tree


@lru_cache(maxsize=1024)
def _takers(dotted: str, keys: frozenset[str], name: str) -> tuple[Named, ...]:
    """Return the components that have all of these settings, each with one of its names.

    The component ``name`` comes first; if none has all settings, it is the only one.
    """
    _, options = models_at(Settings, Node({}), dotted.split("."))
    options.sort(key=lambda option: not is_named(option, name))
    has_all = [option for option in options if keys <= set(option.model_fields)]
    named = [(option, tags_of(option)) for option in has_all or options[:1]]
    return tuple((option, name if is_named(option, name) else tags[0]) for option, tags in named)
