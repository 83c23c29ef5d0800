"""From a settings tree to resolved settings, with the origin of every value.

Owns precedence (defaults < extends < spec < cell < profile < --set) once the layers are trees, and
validation of one cell's settings.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from pydantic import BaseModel, ValidationError

from runner.components.component import canonical_settings
from runner.components.contradictions import contradictions
from runner.components.settings import FOLLOWS, Settings, with_fitting_defaults
from runner.core.errors import Problem, SourcePosition, SpecError
from runner.spec.names import IMPLIED, spell_out
from runner.spec.nodes import Node, find, merge, plain, put, to_node
from runner.spec.options import models_at
from runner.spec.problems import translate

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
    """Return ``base`` with the settings of all layers merged in, later layers on top.

    Within a layer a whole component is put before its single settings, whatever the order of keys.

    Args:
        base: the spec's own settings, spelled out.
        layers: of one cell.
        above: of all cells, on top of the others. A null there for what only other components of
            its kind have, as pretrained weights, says what is so already: it is left out.

    Raises:
        SpecError: where a layer gives a setting twice, or one inside of what is no mapping.
    """
    tree = base
    problems: list[Problem] = []
    for layer, is_above in [*((each, False) for each in layers), *((each, True) for each in above)]:
        problems += _given_twice(layer)
        for path in sorted(layer, key=lambda dotted: (dotted.count("."), dotted)):
            if is_above and layer[path].value is None and _is_of_others(tree, path.split(".")):
                continue
            try:
                tree = put(tree, path.split("."), spell_out(path, layer[path]))
            except SpecError as error:
                problems += error.problems
    if problems:
        raise SpecError(problems)
    return merge(DEFAULTS, tree)


def _given_twice(layer: Mapping[str, Node]) -> Iterator[Problem]:
    """Yield a problem for each setting that is given alone and within its component too.

    A component that is null has none of its settings.
    """
    for path, inner in layer.items():
        steps = path.split(".")
        for end in range(1, len(steps)):
            whole_path = ".".join(steps[:end])
            whole = layer.get(whole_path)
            if whole is None:
                continue
            position = inner.key_position or inner.position
            if whole.value is None:
                found = f"{path} is set beside {whole_path}, which is null there"
                yield Problem(position, found, hint="give one of them in a combination")
            given = _given_in(whole_path, whole, path)
            if given is not None and _shares_a_setting(given, spell_out(path, inner)):
                also = f"also in {whole_path} at {given.key_position or given.position}"
                yield Problem(
                    position, f"{path} is given twice, {also}", hint="give each setting once"
                )


def _given_in(whole_path: str, whole: Node, path: str) -> Node | None:
    if path == IMPLIED and not whole.is_mapping:
        return None
    return find(spell_out(whole_path, whole), path.removeprefix(f"{whole_path}.").split("."))


def _shares_a_setting(one: Node, other: Node) -> bool:
    if not (one.is_mapping and other.is_mapping):
        return True
    shared = one.value.keys() & other.value.keys()
    return any(_shares_a_setting(one.value[key], other.value[key]) for key in shared)


def _is_of_others(tree: Node, path: Sequence[str]) -> bool:
    """Return whether only other components of the same kind have the setting at ``path``.

    False when the component is unknown; validation reports that.
    """
    chosen, options = models_at(Settings, merge(DEFAULTS, tree), path[:-1])
    if chosen is None or path[-1] in chosen.model_fields:
        return False
    return any(path[-1] in option.model_fields for option in options)


def resolve(tree: Node) -> Settings:
    """Return the validated settings of one cell.

    Raises:
        SpecError: with every problem found.
    """
    try:
        settings = with_fitting_defaults(Settings.model_validate(plain(tree)))
    except ValidationError as error:
        raise SpecError(translate(error, Settings, tree)) from None
    problems = [
        Problem(_position(tree, each.paths), each.found, each.allowed, hint=each.hint)
        for each in contradictions(settings)
    ]
    if problems:
        raise SpecError(problems)
    return settings


def origins(settings: Settings, tree: Node) -> Iterator[tuple[str, Any, str]]:
    """Yield (dotted path, resolved value, origin) for each setting.

    The origin is ``file:line:column``, ``--set …``, or ``default``, with the reason where it is
    another than the usual one.
    """
    yield from _origins(settings, tree, ())


def _origins(
    component: BaseModel, tree: Node, path: tuple[str, ...]
) -> Iterator[tuple[str, Any, str]]:
    values = canonical_settings(component)
    for name in type(component).model_fields:
        value = getattr(component, name)
        here, dotted = (*path, name), ".".join((*path, name))
        if isinstance(value, BaseModel):
            yield from _origins(value, tree, here)
            continue
        node = find(tree, here)
        origin = "default"
        if node is not None and node.position is not None:
            origin = str(node.position)
        elif dotted in FOLLOWS and value != type(component).model_fields[name].default:
            origin = f"default, as {FOLLOWS[dotted]} is 0"
        yield dotted, values[name], origin


def _position(tree: Node, paths: Sequence[str]) -> SourcePosition | None:
    """Return the position of the first written path, or of what encloses the first path."""
    for path in paths:
        node = find(tree, path.split("."))
        if node is not None and node.position is not None:
            return node.position
    steps = paths[0].split(".")
    above = (find(tree, steps[:end]) for end in range(len(steps) - 1, -1, -1))
    return next((node.position for node in above if node is not None and node.position), None)
