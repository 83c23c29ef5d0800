"""The component classes that are allowed at a setting, and their names in specs.

Walks through the settings of such classes; knows none of them by name.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from typing import Any, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from runner.components.own.component import OwnComponent, known_classes, own_class
from runner.components.own.names import is_code_name
from runner.components.own.problems import CodeProblem
from runner.components.own.union import OwnCode
from runner.spec.nodes import KIND_KEYS, Node, find

SHOWN = 16
"""Names of components that a message lists at most."""


def model_options(annotation: Any) -> list[type[BaseModel]]:
    """Return the pydantic classes in an annotation, through unions and Annotated."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    if get_origin(annotation) is None and not get_args(annotation):
        return []
    return [model for part in get_args(annotation) for model in model_options(part)]


def tags_of(model: type[BaseModel]) -> list[str]:
    """Return the names by which a spec chooses ``model``; none where there is no choice.

    Of names that only begin alike, those are returned that its field has as examples.
    """
    for key in KIND_KEYS:
        field = model.model_fields.get(key)
        if field is not None and get_args(field.annotation):
            return [str(tag) for tag in get_args(field.annotation)]
    return _examples(model)


def _examples(model: type[BaseModel]) -> list[str]:
    """Return examples of the names of a component whose names only begin alike."""
    field = model.model_fields.get("name")
    is_open = field is not None and field.is_required() and field.annotation is str
    return [str(each) for each in field.examples or []] if field is not None and is_open else []


def is_named(model: type[BaseModel], tag: object) -> bool:
    """Return whether ``tag`` chooses ``model``, whether or not there is such a component."""
    starts = tuple(each.partition("/")[0] + "/" for each in _examples(model))
    return tag in tags_of(model) or (isinstance(tag, str) and tag.startswith(starts))


def component_name(model: type[BaseModel]) -> str:
    """Return the name of a component class for messages."""
    tags = tags_of(model)
    if tags and tags == _examples(model):
        return f"{tags[0].partition('/')[0]}/…"
    return f"{tags[0]} and others like it" if len(tags) > 1 else "".join(tags)


def shorten_list(tags: Sequence[str]) -> str:
    """Return names in one line, at most ``SHOWN`` of them and the number of the others."""
    if len(tags) <= SHOWN:
        return ", ".join(tags)
    return f"{', '.join(tags[:SHOWN])} and {len(tags) - SHOWN} more (docs/reference.md)"


def setting_paths(model: type[BaseModel]) -> Mapping[str, tuple[type[BaseModel], ...]]:
    """Return the dotted path of every setting below ``model``, with the classes that have it.

    Those of own code are among them once it was read. Items of lists have no path.
    """
    return _setting_paths(model, tuple(known_classes()))


@lru_cache(maxsize=8)
def _setting_paths(
    model: type[BaseModel], own: tuple[type[OwnComponent], ...]
) -> Mapping[str, tuple[type[BaseModel], ...]]:
    paths: dict[str, tuple[type[BaseModel], ...]] = {}
    for path, owner in _walk(model, "", own):
        paths[path] = (*paths.get(path, ()), owner)
    return paths


def _walk(
    model: type[BaseModel], prefix: str, own: tuple[type[OwnComponent], ...]
) -> Iterator[tuple[str, type[BaseModel]]]:
    for name, field in model.model_fields.items():
        yield f"{prefix}{name}", model
        kind = _own_kind(field)
        mine = [each for each in own if kind is not None and issubclass(each, kind)]
        for option in [*_below(field.annotation), *mine]:
            yield from _walk(option, f"{prefix}{name}.", own)


def _own_kind(field: FieldInfo) -> type[OwnComponent] | None:
    """Return what own code is to be at a setting, None where it cannot be named."""
    return next((each.kind for each in field.metadata if isinstance(each, OwnCode)), None)


def own_option(model: type[BaseModel], path: Sequence[str], name: str) -> type[OwnComponent] | None:
    """Return the settings class of own code that is named for the component at ``path``.

    Its file is read; None where that cannot be, which validation reports.
    """
    kind = own_kind_at(model, path)
    if kind is None or not is_code_name(name):
        return None
    try:
        return own_class(kind, name)
    except CodeProblem:
        return None


def own_kind_at(model: type[BaseModel], path: Sequence[str]) -> type[OwnComponent] | None:
    """Return what own code is to be at a component, None where it cannot be named."""
    owner: type[BaseModel] | None = model
    for step in path[:-1]:
        options = model_options(owner.model_fields[step].annotation) if owner else []
        owner = options[0] if options else None
    return _own_kind(owner.model_fields[path[-1]]) if owner else None


def _below(annotation: Any) -> list[type[BaseModel]]:
    """Return :func:`model_options` without those of list items."""
    if get_origin(annotation) is tuple:
        return []
    if isinstance(annotation, type) or not get_args(annotation):
        return model_options(annotation)
    return [model for part in get_args(annotation) for model in _below(part)]


def node_at(tree: Node, path: Sequence[str]) -> Node:
    """Return the deepest node along ``path``."""
    node = tree
    for step in path:
        child = find(node, [step])
        if child is None:
            return node
        node = child
    return node


def models_at(
    model: type[BaseModel], tree: Node, path: Sequence[str]
) -> tuple[type[BaseModel] | None, list[type[BaseModel]]]:
    """Return the component class chosen at ``path`` (or None), and all that are allowed there."""
    chosen: type[BaseModel] | None = model
    siblings: list[type[BaseModel]] = [model]
    for depth, step in enumerate(path, start=1):
        # an item of a list is of the classes that the list may hold
        if not step.isdigit():
            if chosen is None or step not in chosen.model_fields:
                return None, []
            siblings = model_options(chosen.model_fields[step].annotation)
        chosen = _chosen(siblings, node_at(tree, path[:depth]))
    return chosen, siblings


def _chosen(options: list[type[BaseModel]], node: Node) -> type[BaseModel] | None:
    if len(options) == 1:
        return options[0]
    named = node.get("dataset") or node.get("name")
    tag = named.value if named is not None else None
    own = known_classes() if is_code_name(tag) else []
    return next((option for option in [*options, *own] if is_named(option, tag)), None)
