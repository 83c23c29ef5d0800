"""pydantic's complaints in our words: what was found, where, what is allowed, nearest spelling.

Owns the translation of one validation error into problems with places. Knows the shape of
component classes, no component by name.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, get_args, get_origin

from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails

from runner.core.errors import Problem, nearest
from runner.spec.names import COMPONENT_PATHS, SHORT_NAMES
from runner.spec.nodes import Node, describe_scalar

WANTED = {
    "int_type": "a whole number",
    "int_from_float": "a whole number",
    "float_type": "a number",
    "string_type": "text",
    "bool_type": "true or false",
    "tuple_type": "a list",
    "model_type": "a mapping",
    "model_attributes_type": "a mapping",
    "dict_type": "a mapping",
    "none_required": "null",
}
LIMITS = {
    "greater_than": ("gt", "above"),
    "greater_than_equal": ("ge", "at least"),
    "less_than": ("lt", "below"),
    "less_than_equal": ("le", "at most"),
}


def translate(error: ValidationError, model: type[BaseModel], tree: Node) -> Iterator[Problem]:
    """Yield the problems behind ``error``, each once, at its place in ``tree``."""
    grouped: dict[tuple[str, ...], list[ErrorDetails]] = {}
    for detail in error.errors(include_url=False):
        path = _node_path(detail, model, tree)
        grouped.setdefault(path, []).append(detail)
    for path, details in grouped.items():
        yield _problem(path, details, model, tree)


def _node_path(detail: ErrorDetails, model: type[BaseModel], tree: Node) -> tuple[str, ...]:
    """Return the error's path in the tree: pydantic's, without tags of unions."""
    path: list[str] = []
    node: Node | None = tree
    for step in detail["loc"]:
        if isinstance(step, int):
            inside = node.value if node is not None and node.is_sequence else ()
            if step < len(inside):
                path.append(str(step))
                node = inside[step]
            continue
        child = node.get(step) if node is not None else None
        if child is not None:
            path.append(step)
            node = child
        elif detail["type"] == "missing" and step == detail["loc"][-1]:
            path.append(step)
    return tuple(path)


def _problem(
    path: tuple[str, ...], details: Sequence[ErrorDetails], model: type[BaseModel], tree: Node
) -> Problem:
    detail = details[0]
    node, parent = _at(tree, path), _at(tree, path[:-1])
    dotted = ".".join(path)
    kind = detail["type"]
    if kind == "missing":
        place = parent.place if parent.key_place is None else parent.key_place
        inside = ".".join(path[:-1]) or "the spec"
        return Problem(place, f"{inside} lacks '{path[-1]}'", _field_text(model, tree, path))
    if kind == "extra_forbidden":
        return _unknown(path, model, tree)
    if kind == "union_tag_invalid":
        return _unknown_component(dotted, node, detail)
    if kind == "union_tag_not_found":
        wanted = COMPONENT_PATHS.get(dotted, "name")
        place = node.key_place or node.place
        return Problem(place, f"{dotted} lacks '{wanted}'", _field_text(model, tree, path))
    if kind == "value_error":
        message = str(detail["msg"]).removeprefix("Value error, ")
        return Problem(node.place, f"{dotted}: {message}" if dotted else message)
    found = f"{dotted} is {node.describe()}"
    if len(details) > 1:
        return Problem(node.place, found, _field_text(model, tree, path))
    return Problem(node.place, found, _allowed(detail, model, tree, path), _spelling(detail, node))


def _allowed(
    detail: ErrorDetails, model: type[BaseModel], tree: Node, path: tuple[str, ...]
) -> str:
    kind, context = detail["type"], detail.get("ctx", {})
    if kind in LIMITS:
        name, word = LIMITS[kind]
        return _with_text(f"{word} {context[name]}", model, tree, path)
    if kind == "literal_error":
        return str(context["expected"]).replace("'", "").replace(" or ", ", ")
    if kind == "finite_number":
        return "a finite number"
    if kind in WANTED:
        return _with_text(WANTED[kind], model, tree, path)
    if kind in ("too_short", "string_too_short"):
        return f"at least {context.get('min_length')} entries"
    if kind in ("missing_positional_only_argument", "too_long"):
        return f"at most {context.get('max_length')} entries"
    return str(detail["msg"])


def _with_text(wanted: str, model: type[BaseModel], tree: Node, path: tuple[str, ...]) -> str:
    text = _field_text(model, tree, path)
    return f"{wanted} ({text})" if text else wanted


def _spelling(detail: ErrorDetails, node: Node) -> str:
    if detail["type"] != "literal_error" or not isinstance(node.value, str):
        return ""
    expected = str(detail.get("ctx", {}).get("expected", ""))
    return nearest(node.value, expected.replace("'", "").replace(" or ", ", ").split(", "))


def _unknown(path: tuple[str, ...], model: type[BaseModel], tree: Node) -> Problem:
    node, key = _at(tree, path), path[-1]
    inside = ".".join(path[:-1]) or "the spec"
    chosen, siblings = _models_at(model, tree, path[:-1])
    allowed = list(chosen.model_fields) if chosen else []
    place = node.key_place or node.place
    owners = [
        _tag(other) for other in siblings if other is not chosen and key in other.model_fields
    ]
    if owners and chosen is not None:
        found = f"'{key}' is a setting of {', '.join(owners)}, not of {_tag(chosen)} ({inside})"
        return Problem(place, found, ", ".join(allowed))
    found = f"unknown setting '{key}' in {inside}"
    suggestion = SHORT_NAMES.get(key) or nearest(key, allowed)
    return Problem(place, found, ", ".join(allowed), suggestion)


def _unknown_component(dotted: str, node: Node, detail: ErrorDetails) -> Problem:
    context = detail.get("ctx", {})
    tags = str(context.get("expected_tags", "")).replace("'", "").split(", ")
    named = node.get(COMPONENT_PATHS.get(dotted, "name")) or node
    found = f"unknown {dotted} {describe_scalar(named.value)}"
    spelling = nearest(str(named.value), tags)
    return Problem(named.place, found, ", ".join(tags), spelling)


def _at(tree: Node, path: Sequence[str]) -> Node:
    """Return the deepest node along ``path``."""
    node = tree
    for step in path:
        if node.is_sequence:
            node = node.value[int(step)]
            continue
        child = node.get(step)
        if child is None:
            return node
        node = child
    return node


def _models_at(
    model: type[BaseModel], tree: Node, path: Sequence[str]
) -> tuple[type[BaseModel] | None, list[type[BaseModel]]]:
    """Return the component class that stands at ``path``, and all that may stand there."""
    chosen: type[BaseModel] | None = model
    siblings: list[type[BaseModel]] = [model]
    for depth, step in enumerate(path, start=1):
        if chosen is None or step not in chosen.model_fields:
            return None, []
        siblings = model_options(chosen.model_fields[step].annotation)
        node = _at(tree, path[:depth])
        chosen = _chosen(siblings, node)
    return chosen, siblings


def _chosen(options: list[type[BaseModel]], node: Node) -> type[BaseModel] | None:
    if len(options) == 1:
        return options[0]
    named = node.get("name") or node.get("dataset")
    tag = named.value if named is not None else None
    return next((option for option in options if _tag(option) == tag), None)


def model_options(annotation: Any) -> list[type[BaseModel]]:
    """Return the pydantic classes in an annotation, through unions and Annotated."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    if get_origin(annotation) is None and not get_args(annotation):
        return []
    return [found for part in get_args(annotation) for found in model_options(part)]


def _tag(model: type[BaseModel]) -> str:
    """Return the name by which a spec chooses ``model``, or "" where there is no choice."""
    for key in ("name", "dataset"):
        field = model.model_fields.get(key)
        if field is not None and get_args(field.annotation):
            return str(get_args(field.annotation)[0])
    return ""


def _field_text(model: type[BaseModel], tree: Node, path: tuple[str, ...]) -> str:
    names = [step for step in path if not step.isdigit()]
    if not names:
        return ""
    chosen, _ = _models_at(model, tree, names[:-1])
    field: FieldInfo | None = chosen.model_fields.get(names[-1]) if chosen else None
    if field is None:
        return ""
    options = [tag for option in model_options(field.annotation) if (tag := _tag(option))]
    if options and len(options) > 1:
        return ", ".join(options)
    return field.description or ""
