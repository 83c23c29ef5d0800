"""Which values a setting may have, in words: for the reference and for messages.

Reads the JSON Schema of its class. Knows no setting by name.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from pydantic import BaseModel

from runner.components.component import MAX_NUMBER
from runner.components.own.limits import MAX_INT

WORDS = {"integer": "whole number", "number": "number", "string": "text"}
LIMITS = {
    "minimum": "at least",
    "exclusiveMinimum": "above",
    "maximum": "at most",
    "exclusiveMaximum": "below",
}


def setting_in_words(model: type[BaseModel], name: str) -> str:
    """Return which values a setting of a class may have, with its description in parentheses."""
    schema = model.model_json_schema()
    own = schema["properties"][name]
    values = value_in_words(own, schema.get("$defs", {}), "a ").replace("`", "")
    values = values.replace(", see below", "")  # that is for the reference
    about = model.model_fields[name].description
    return f"{values} ({about})" if about else values


def value_in_words(
    schema: Mapping[str, Any], definitions: Mapping[str, Any], article: str = ""
) -> str:
    """Return a JSON Schema's type and limits in words.

    Args:
        schema: of the setting.
        definitions: what its references refer to.
        article: stands before a number or a list, as "a " in a sentence.
    """
    if "$ref" in schema:
        target = definitions[schema["$ref"].rpartition("/")[2]]
        return "a component" if "name" in target["properties"] else "a mapping, see below"
    if "oneOf" in schema or "discriminator" in schema:
        return "a component"
    if "anyOf" in schema:
        kinds = [value_in_words(each, definitions, article) for each in schema["anyOf"]]
        return ", or ".join(dict.fromkeys(kinds))
    if "enum" in schema or "const" in schema:
        return ", ".join(f"`{value}`" for value in schema.get("enum", [schema.get("const")]))
    kind = str(schema.get("type"))
    if kind == "array":
        return article + _list_in_words(schema, definitions)
    if kind == "object":
        return f"{article}mapping"
    if kind == "null":
        return "`null`"
    if kind == "boolean":
        return "true or false"
    limits = ", ".join(_limits(schema))
    return f"{'' if kind == 'string' else article}{WORDS[kind]} {limits}".rstrip()


def _list_in_words(schema: Mapping[str, Any], definitions: Mapping[str, Any]) -> str:
    items = schema.get("prefixItems")
    if items:
        return f"list of {len(items)}: {value_in_words(items[0], definitions)}"
    least = f"{schema.get('minItems', 0):,}"
    kind = value_in_words(schema["items"], definitions)
    return f"list of {least} to {schema['maxItems']:,}: {kind}"


def _limits(schema: Mapping[str, Any]) -> Iterable[str]:
    none = (MAX_NUMBER, MAX_INT)  # of settings that have no other
    told = {key: schema[key] for key in LIMITS if abs(schema.get(key, MAX_INT)) not in none}
    words = [f"{LIMITS[key]} {_number(number)}" for key, number in told.items()]
    if "multipleOf" in schema:
        words.append(f"a multiple of {_number(schema['multipleOf'])}")
    return words


def _number(number: float) -> str:
    whole = isinstance(number, int) or (number.is_integer() and abs(number) >= 1000)
    return f"{int(number):,}" if whole else str(number)
