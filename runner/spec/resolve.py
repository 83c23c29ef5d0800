"""From a settings tree to resolved settings, with every value's origin.

Owns precedence (defaults < extends < spec < cell < profile < --set) once the layers are trees, and
validation of one cell's settings.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from pydantic import BaseModel, ValidationError

from runner.components.component import canonical_settings, keyed_settings
from runner.core.errors import Place, Problem, SpecError
from runner.core.keys import content_key
from runner.spec.names import spell_out
from runner.spec.nodes import Node, find, merge, plain, put, to_node
from runner.spec.problems import models_at, translate
from runner.spec.settings import Settings, contradictions

DEFAULTS = to_node(
    {
        "train": {
            "optimizer": {"name": "adam"},
            "schedule": {"name": "constant"},
            "loss": {"name": "cross_entropy"},
        }
    }
)
"""The components that are chosen when a spec names none."""


def layered(
    base: Node, layers: Sequence[Mapping[str, Node]], above: Sequence[Mapping[str, Node]] = ()
) -> Node:
    """Return ``base`` with each layer's settings put at their dotted paths, later layers on top.

    Within a layer a whole component is put before its single settings, whatever the order of keys.

    Args:
        base: the spec's own settings, spelled out.
        layers: of one cell.
        above: of all cells, on top of the others. A null there for what only other components of
            its kind have, as pretrained weights, says what is so already: it is left out.
    """
    tree = base
    for layer, is_above in [*((each, False) for each in layers), *((each, True) for each in above)]:
        for path in sorted(layer, key=lambda dotted: (dotted.count("."), dotted)):
            if is_above and layer[path].value is None and _is_of_others(tree, path.split(".")):
                continue
            tree = put(tree, path.split("."), spell_out(path, layer[path]))
    return merge(DEFAULTS, tree)


def _is_of_others(tree: Node, path: Sequence[str]) -> bool:
    """Return whether a component lacks the setting at ``path``, and one that may stand there not.

    A tree of which the component cannot be told is left to validation.
    """
    chosen, options = models_at(Settings, merge(DEFAULTS, tree), path[:-1])
    if chosen is None or path[-1] in chosen.model_fields:
        return False
    return any(path[-1] in option.model_fields for option in options)


def resolve(tree: Node) -> Settings:
    """Return the validated settings of one cell.

    Raises:
        SpecError: with every problem found, each at its place.
    """
    try:
        settings = Settings.model_validate(plain(tree))
    except ValidationError as error:
        raise SpecError(translate(error, Settings, tree)) from None
    problems = [
        Problem(_place(tree, paths), found, allowed)
        for paths, found, allowed in contradictions(settings)
    ]
    if problems:
        raise SpecError(problems)
    return settings


def settings_key(settings: Settings) -> str:
    """Return the key of resolved settings: no names, labels or paths in it."""
    return content_key("settings", keyed_settings(settings))


def origins(settings: Settings, tree: Node) -> Iterator[tuple[str, Any, str]]:
    """Yield (dotted path, resolved value, origin) for each setting.

    The origin is ``file:line:column``, ``--set …``, or ``default``.
    """
    yield from _origins(settings, tree, ())


def _origins(
    component: BaseModel, tree: Node, path: tuple[str, ...]
) -> Iterator[tuple[str, Any, str]]:
    values = canonical_settings(component)
    for name in type(component).model_fields:
        value = getattr(component, name)
        here = (*path, name)
        if isinstance(value, BaseModel):
            yield from _origins(value, tree, here)
            continue
        node = find(tree, here)
        place = str(node.place) if node is not None and node.place is not None else "default"
        yield ".".join(here), values[name], place


def _place(tree: Node, paths: Sequence[str]) -> Place | None:
    """Return where the first written of ``paths`` stands, or what is nearest to the first."""
    for path in paths:
        node = find(tree, path.split("."))
        if node is not None and node.place is not None:
            return node.place
    steps = paths[0].split(".")
    above = (find(tree, steps[:end]) for end in range(len(steps) - 1, -1, -1))
    return next((node.place for node in above if node is not None and node.place), None)
