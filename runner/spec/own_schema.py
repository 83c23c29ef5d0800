"""The JSON Schema of own code in a spec.

It accepts any name and any settings; of code that is allowed or installed when the schema is made,
it knows the settings, with their limits and descriptions.
"""

from __future__ import annotations

from typing import Any

from runner.components.own.component import OwnComponent
from runner.components.own.names import PATTERN
from runner.components.own.offered import offered_classes
from runner.spec.options import tags_of


def own_code(kind: type[OwnComponent], definitions: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the schemas of own code of a kind: its name alone, or with settings.

    Args:
        kind: what the code is to be.
        definitions: of the whole schema; what the settings refer to is added.
    """
    key, name = kind.TAG, {"type": "string", "pattern": PATTERN}
    settings: dict[str, Any] = {"type": "object", "required": [key], "properties": {key: name}}
    if known := [_if_named(key, each, definitions) for each in offered_classes(kind)]:
        settings["allOf"] = known
    return [name, settings]


def _if_named(key: str, chosen: type[OwnComponent], definitions: dict[str, Any]) -> dict[str, Any]:
    """Return what the settings must be where one class is named; a sweep may give required ones."""
    schema = chosen.model_json_schema(ref_template="#/$defs/{model}")
    for name, definition in schema.get("$defs", {}).items():
        definitions.setdefault(name, definition)
    (tag,) = tags_of(chosen)
    return {
        "if": {"properties": {key: {"const": tag}}, "required": [key]},
        "then": {"properties": schema["properties"], "additionalProperties": False},
    }
