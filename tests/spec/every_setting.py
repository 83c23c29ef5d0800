"""Every setting that a spec may have, read from the classes of its components.

Each comes with a spec in which it may stand, and with values of its own type.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel

from runner.components.settings import Settings
from runner.spec.options import model_options, tags_of

SCHEMA = Settings.model_json_schema()
SPEC: dict[str, Any] = {"name": "every", "data": {"dataset": "digits"}, "model": {"name": "mlp"}}
BESIDES = {
    "model.head": {"cut": "features"},
    "model.pretrained": {"name": "timm/resnet18.a1_in1k"},  # which of the published weights
}
"""What a setting needs beside it, where its class cannot say so."""


@dataclass(frozen=True)
class Setting:
    """One setting of one component.

    Attributes:
        path: dotted.
        owner: the name of the innermost component or class that has it.
        spec: a right spec without it, in which all above it stands.
        values: right ones, the default first where there is one.
    """

    path: str
    owner: str
    spec: dict[str, Any]
    values: tuple[Any, ...]

    def __repr__(self) -> str:
        return f"{self.path} of {self.owner}"


def right_value(schema: dict[str, Any]) -> Any:
    """Return a value that a JSON Schema allows."""
    if "$ref" in schema:
        return right_value(SCHEMA["$defs"][schema["$ref"].rpartition("/")[2]])
    if "const" in schema or "enum" in schema:
        return schema["const"] if "const" in schema else schema["enum"][0]
    for choice in ("oneOf", "anyOf"):
        if choice in schema:
            return right_value(schema[choice][0])
    kind = schema["type"]
    if kind == "object":
        properties = schema["properties"]
        return {name: right_value(properties[name]) for name in schema.get("required", [])}
    if kind == "array":
        items = schema.get("prefixItems") or [schema["items"]] * max(1, schema.get("minItems", 0))
        return [right_value(each) for each in items]
    if kind in ("integer", "number"):
        low = max(schema.get("minimum", 0), schema.get("exclusiveMinimum", 0))
        number = low + 1 if schema.get("maximum", schema.get("exclusiveMaximum", 2)) > 1 else 0.5
        return int(number) if kind == "integer" else number
    if kind == "string":
        tried = (*schema.get("examples", ()), "a" * 64, "a" * 40)
        pattern = schema.get("pattern", "")
        return next((each for each in tried if re.search(pattern, each)), "a" * 64)
    return {"boolean": True, "null": None}[kind]


def _right_values(schema: dict[str, Any]) -> tuple[Any, ...]:
    values = [schema["default"]] if "default" in schema else []
    return tuple(values) if values and values[0] is not None else (*values, right_value(schema))


def _definition(model: type[BaseModel]) -> dict[str, Any]:
    return SCHEMA if model is Settings else SCHEMA["$defs"][model.__name__]


def with_value(spec: dict[str, Any], path: str, value: Any) -> dict[str, Any]:
    """Return a copy of a spec with another value at a dotted path; "" is the whole."""
    if not path:
        return value
    key, _, rest = path.partition(".")
    below = spec.get(key) if isinstance(spec.get(key), dict) else {}
    return {**spec, key: with_value(below, rest, value) if rest else value}


def value_at(spec: dict[str, Any], path: str) -> Any:
    """Return the value at a dotted path, an empty mapping where there is none."""
    for key in path.split(".") if path else ():
        spec = spec.get(key, {})
    return spec


def _walk(model: type[BaseModel], path: str, spec: dict[str, Any]) -> Iterator[Setting]:
    owner = (tags_of(model) or [model.__name__])[0]
    for name, field in model.model_fields.items():
        here = f"{path}.{name}" if path else name
        schema = _definition(model)["properties"][name]
        beside = with_value(spec, path, {**value_at(spec, path), **BESIDES.get(here, {})})
        yield Setting(here, owner, beside, _right_values(schema))
        for option in model_options(field.annotation):
            if option.__name__ in _in_lists(schema):
                continue
            definition = _definition(option)
            written = definition.get("examples", [right_value(definition)])[0]
            yield from _walk(option, here, with_value(beside, here, written))


def _in_lists(schema: dict[str, Any]) -> str:
    """Return the text of those parts of a schema that are items of lists."""
    return str([each.get("items") for each in (schema, *schema.get("anyOf", ()))])


SETTINGS = tuple(_walk(Settings, "", SPEC))
NEEDS_ANOTHER = {
    "huggingface": ("data.name", "data.path"),  # one of them must be given, and not both
    "TableColumns": ("data.columns.group",),  # folds
}
"""Settings of which no spec is right both without and with it, by what has them."""
FREE_SETTINGS = tuple(
    each for each in SETTINGS if each.path not in NEEDS_ANOTHER.get(each.owner, ())
)
