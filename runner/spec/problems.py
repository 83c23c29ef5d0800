"""Translates pydantic's validation errors into problems.

Each says what was found, its position, what is allowed and the nearest spelling. Knows the shape
of component classes, no component by name.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails

from runner.components.own.problems import KIND, CodeProblem
from runner.core.errors import Problem, Subject, nearest
from runner.spec.names import COMPONENT_PATHS, SHORT_NAMES, as_mapping
from runner.spec.nodes import Node, plain
from runner.spec.options import (
    component_name,
    model_options,
    models_at,
    node_at,
    setting_paths,
    shorten_list,
    tags_of,
)
from runner.spec.problem_words import spelling_of, wanted, words_of
from runner.spec.value_words import setting_in_words

Path = tuple[str, ...]


def translate(
    error: ValidationError,
    model: type[BaseModel],
    tree: Node,
    within: str = "",
    unfinished: bool = False,
) -> Iterator[Problem]:
    """Yield the problems behind ``error``, each once, with its position in ``tree``.

    Args:
        error: what pydantic raised.
        model: the class that was validated.
        tree: what it was validated from.
        within: what the tree is, unless it is a whole spec.
        unfinished: whether more may be put into the mappings of ``tree``: what they lack, and
            what their settings are together, is no problem then.
    """
    grouped: dict[Path, list[ErrorDetails]] = {}
    for detail in error.errors(include_url=False):
        grouped.setdefault(_node_path(detail, tree), []).append(detail)
    translator = _Translator(model, tree, within)
    above = {path[:end] for path in grouped for end in range(len(path))}
    for path, details in grouped.items():
        if unfinished and _may_change(path, _leading(details), tree):
            continue
        if path not in above or any(detail["type"] == "value_error" for detail in details):
            yield translator.problem(path, details)


def _node_path(detail: ErrorDetails, tree: Node) -> Path:
    """Return the error's path in the tree: pydantic's location without the tags of unions."""
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


def _leading(details: Sequence[ErrorDetails]) -> ErrorDetails:
    """Return the most telling of several branches' errors."""
    return next((item for item in details if item["type"] == "value_error"), details[0])


def _is_missing(path: Path, detail: ErrorDetails) -> bool:
    return detail["type"] == "missing" and detail["loc"][-1] == path[-1]


def _may_change(path: Path, detail: ErrorDetails, tree: Node) -> bool:
    """Return whether another layer may still correct the error.

    Lists are replaced whole, so errors inside them stay.
    """
    if any(step.isdigit() for step in path):
        return False
    if detail["type"] == "value_error":
        return node_at(tree, path).is_mapping
    return _is_missing(path, detail)


class _Translator:
    """Translates the errors of one validation."""

    def __init__(self, model: type[BaseModel], tree: Node, within: str) -> None:
        self._model = model
        self._tree = tree
        self._within = within

    def problem(self, path: Path, details: Sequence[ErrorDetails]) -> Problem:
        """Return the problem at ``path``; several ``details`` are the branches of one union."""
        detail = _leading(details)
        kind, node = detail["type"], node_at(self._tree, path)
        if _is_missing(path, detail):
            return self._missing(path)
        if kind == "extra_forbidden":
            return self._unknown(path, node)
        if kind == "union_tag_invalid":
            return self._unknown_component(path, node, detail)
        if kind == "union_tag_not_found":
            found = f"{self._name(path)} lacks '{_kind_key(path)}'"
            return Problem(node.key_position or node.position, found, self._about(path))
        if kind == KIND:
            return of_code(detail["ctx"]["problem"], node.get(_kind_key(path)) or node)
        if kind == "value_error":
            message = str(detail["msg"]).removeprefix("Value error, ")
            name = self._name(path)
            return Problem(node.position, f"{name}: {message}" if name else message)
        found = f"{self._name(path)} is {node.describe()}"
        allowed, spelling = self._allowed(path, details), spelling_of(details, node)
        return Problem(
            node.position, found, allowed, suggestion=spelling, subject=self._subject(path)
        )

    def _subject(self, path: Path) -> Subject:
        beside = node_at(self._tree, path[:-1])
        return Subject(".".join(path), plain(beside) if beside.is_mapping else {})

    def _name(self, path: Path) -> str:
        return ": ".join(part for part in (self._within, ".".join(path)) if part)

    def _inside(self, path: Path) -> str:
        return self._name(path[:-1]) or "the spec"

    def _missing(self, path: Path) -> Problem:
        parent = node_at(self._tree, path[:-1])
        position = parent.key_position or parent.position
        allowed = self._about(path)
        owner, _ = models_at(self._model, self._tree, path[:-1])
        if owner is not None and not self._options(path):
            allowed = setting_in_words(owner, path[-1])
        elif ".".join(path) in COMPONENT_PATHS:
            allowed = f"{path[-1]}: {{{_kind_key(path)}: …}} with one of {allowed}"
        found = f"{self._inside(path)} lacks '{path[-1]}'"
        return Problem(position, found, allowed, subject=self._subject(path))

    def _unknown(self, path: Path, node: Node) -> Problem:
        key = path[-1]
        chosen, siblings = models_at(self._model, self._tree, path[:-1])
        names = list(chosen.model_fields) if chosen else []
        position, allowed = node.key_position or node.position, ", ".join(names)
        owners = [
            component_name(other)
            for other in siblings
            if other is not chosen and key in other.model_fields
        ]
        if owners and chosen is not None:
            named = self._tag_at(path[:-1], chosen)
            found = f"'{key}' is a setting of {', '.join(owners)}, not of {named}"
            found += f" ({self._inside(path)})"
            return Problem(position, found, allowed)
        found = f"unknown setting '{key}' in {self._inside(path)}"
        suggestion = "" if self._within else _elsewhere(path) or self._deeper(path)
        return Problem(position, found, allowed, suggestion=suggestion or nearest(key, names))

    def _deeper(self, path: Path) -> str:
        """Return the only setting of that name deeper in its mapping, or ""."""
        above = "".join(f"{step}." for step in path[:-1])
        paths = [
            path_below.removeprefix(above)
            for path_below in setting_paths(self._model)
            if path_below.startswith(above) and path_below.endswith(f".{path[-1]}")
        ]
        return as_mapping(paths[0].split(".")) if len(paths) == 1 else ""

    def _unknown_component(self, path: Path, node: Node, detail: ErrorDetails) -> Problem:
        tags = words_of(detail, "expected_tags")
        tags += [tag for tag in self._options(path) if tag not in tags]
        key = _kind_key(path)
        named = node.get(key) or node
        found = f"unknown {self._name(path)} {named.describe()}"
        if named.is_mapping or named.is_sequence:
            found = f"{self._name(path)}.{key} is {named.describe()}"
        return Problem(
            named.position, found, shorten_list(tags), suggestion=nearest(named.text, tags)
        )

    def _tag_at(self, path: Path, model: type[BaseModel]) -> str:
        """Return the name by which a component was chosen."""
        named = node_at(self._tree, path).get(_kind_key(path))
        return component_name(model) if named is None else str(named.value)

    def _allowed(self, path: Path, details: Sequence[ErrorDetails]) -> str:
        about = self._about(path)
        if details[0]["type"].startswith("model_") and len(self._options(path)) > 1:
            return f"one of {about}, or a mapping with '{_kind_key(path)}'"
        lengths = [int(item["loc"][-1]) + 1 for item in details if item["type"] == "missing"]
        alternatives = [wanted(item) for item in details if item["type"] != "missing"]
        alternatives += [f"a list of {max(lengths)}"] if lengths else []
        joined = ", or ".join(dict.fromkeys(alternatives))
        plain = all(item["type"] == "literal_error" for item in details)
        return joined if plain or not about else f"{joined} ({about})"

    def _options(self, path: Path) -> list[str]:
        field = self._field(path)
        models = model_options(field.annotation) if field is not None else []
        return [tag for model in models for tag in tags_of(model)]

    def _about(self, path: Path) -> str:
        """Return the components allowed at ``path``, or the description of the setting."""
        options, field = self._options(path), self._field(path)
        if len(options) > 1:
            return shorten_list(options)
        return (field.description or "") if field is not None else ""

    def _field(self, path: Path) -> FieldInfo | None:
        end = len(path)
        while end and path[end - 1].isdigit():
            end -= 1
        if not end:
            return None
        chosen, _ = models_at(self._model, self._tree, path[: end - 1])
        return chosen.model_fields.get(path[end - 1]) if chosen else None


def of_code(problem: CodeProblem, named: Node) -> Problem:
    """Return a problem of own code: at its name, or in its file with a hint at who named it."""
    hint = problem.hint
    if problem.position is not None and named.position is not None:
        hint = f"{hint}; " if hint else ""
        hint += f"it is named at {named.position}"
    return Problem(
        problem.position or named.position,
        problem.found,
        problem.allowed,
        hint=hint,
        suggestion=problem.suggestion,
    )


def _elsewhere(path: Path) -> str:
    """Return the right mapping for a misplaced short name, or ""."""
    full = tuple(SHORT_NAMES.get(path[-1], "").split("."))
    above = path[:-1]
    if len(full) < 2 or full == path:
        return ""
    below = full[len(above) :] if full[: len(above)] == above else ()
    return as_mapping(below or full)


def _kind_key(path: Path) -> str:
    return COMPONENT_PATHS.get(".".join(path), "name")
