"""The JSON Schema of a spec, for editors that complete and check YAML.

Made from the settings classes. Settings in a sweep are unchecked, since a schema cannot combine
them; `runner validate` checks everything.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from runner.components.augmentations.own_step import OwnStep
from runner.components.data.folds import MAX_FOLDS
from runner.components.own_metric import OwnMetric
from runner.components.settings import Settings
from runner.spec.analyses import KINDS
from runner.spec.compose import KEPT_WHEN_NAMED
from runner.spec.figures.declared import KINDS as FIGURE_KINDS
from runner.spec.names import COMPONENT_PATHS, SHORT_NAMES
from runner.spec.options import own_kind_at
from runner.spec.own_schema import own_code
from runner.spec.sweep import PUBLISHED_KEYS
from runner.spec.tables.column import ColumnSettings
from runner.spec.tables.melt import MELT_KEYS

DIALECT = "https://json-schema.org/draft/2020-12/schema"

SEEDS: dict[str, Any] = {"type": "array", "items": {"type": "integer"}, "minItems": 1}
_OF: dict[str, Any] = {"type": "integer", "minimum": 2, "maximum": MAX_FOLDS}
FOLDS: dict[str, Any] = {
    "description": "folds of k-fold cross-validation: each combination is done with each",
    "oneOf": [
        _OF,
        {
            "type": "object",
            "properties": {"of": _OF, "held_out": {"enum": ["validation", "test"]}},
            "required": ["of"],
            "additionalProperties": False,
        },
    ],
}


def spec_schema() -> dict[str, Any]:
    """Return the schema of a spec file."""
    settings = Settings.model_json_schema(ref_template="#/$defs/{model}")
    column = ColumnSettings.model_json_schema(ref_template="#/$defs/{model}")
    definitions = settings.pop("$defs") | column.pop("$defs", {})
    definitions["Column"] = column
    definitions["Sweep"] = _sweep()
    own = _own_code(definitions)
    for definition in definitions.values():
        definition.pop("required", None)
        _allow_names(definition.get("properties", {}), definitions, own)
    _allow_short_pipelines(definitions)
    properties = settings["properties"]
    _allow_names(properties, definitions, own)
    return {
        "$schema": DIALECT,
        "title": "runner spec",
        "type": "object",
        "additionalProperties": False,
        "required": ["name"],
        "properties": {
            "name": {"type": "string", "pattern": "^[A-Za-z0-9][A-Za-z0-9_.-]*$"},
            "about": {"type": "string"},
            "extends": _extends(),
            **properties,
            "seeds": SEEDS,
            "folds": FOLDS,
            "sweep": {"$ref": "#/$defs/Sweep"},
            "metrics": _metrics(definitions),
            "analyses": _analyses(),
            "tables": {"type": "object", "additionalProperties": _table()},
            "figures": _figures(),
            "published": _published(),
            "profiles": {"type": "object", "additionalProperties": _profile()},
        },
        "$defs": definitions,
    }


def _profile() -> dict[str, Any]:
    cells = {
        "type": "integer",
        "minimum": 1,
        "description": "positions of the sweep that are kept: the first, the last, evenly between",
    }
    described = "settings by short name or dotted path, for every cell"
    folds = {"anyOf": [{"type": "null"}, FOLDS]}
    return {
        "type": "object",
        "description": described,
        "properties": {"seeds": SEEDS, "folds": folds, "cells": cells},
    }


def _own_code(definitions: dict[str, Any]) -> dict[str, list[dict[str, Any]]]:
    """Return the schemas of own code by the settings at which it can be named."""
    return {
        path.rpartition(".")[2]: own_code(kind, definitions)
        for path in COMPONENT_PATHS
        if (kind := own_kind_at(Settings, path.split("."))) is not None
    }


def _allow_names(
    properties: dict[str, Any],
    definitions: dict[str, Any],
    own: Mapping[str, list[dict[str, Any]]],
) -> None:
    """Let a component be written as its name alone, as in ``optimizer: adam``; or own code."""
    component_keys = {path.rpartition(".")[2] for path in COMPONENT_PATHS}
    for name, schema in properties.items():
        mapping = schema.get("discriminator", {}).get("mapping")
        if name in component_keys and mapping:
            names = {"type": "string", "enum": sorted(mapping)}
            begun = _begun_names(schema["oneOf"], definitions)
            schema["oneOf"] = [names, *begun, *own.get(name, []), *schema["oneOf"]]
        elif name in own and {"type": "null"} in schema.get("anyOf", []):  # own code or nothing
            schema["anyOf"] = [*own[name], {"type": "null"}]


def _begun_names(choices: list[dict[str, Any]], definitions: dict[str, Any]) -> list[Any]:
    """Return the schemas of names of which only the form is known, of components among these."""
    found = [definitions[each["$ref"].rpartition("/")[2]]["properties"] for each in choices]
    return [
        {"type": "string", "pattern": each["name"]["pattern"]}
        for each in found
        if "pattern" in each.get("name", {})
    ]


def _allow_short_pipelines(definitions: dict[str, Any]) -> None:
    """Let a pipeline be written as a list of steps, or as one; and a step as its name."""
    pipeline, choice = definitions["Pipeline"], definitions["OneOf"]
    steps = pipeline["properties"]["steps"]
    steps["items"] = _step(steps["items"], definitions)
    choices = choice["properties"]["choices"]
    choices["items"]["items"] = _step(choices["items"]["items"], definitions)
    choices["items"] = {"oneOf": [choices["items"], choices["items"]["items"]]}
    augment = definitions["Training"]["properties"]["augment"]
    augment["anyOf"] = [steps, steps["items"], *augment["anyOf"]]


def _step(schema: dict[str, Any], definitions: dict[str, Any]) -> dict[str, Any]:
    """Return the schema of a step that may be its name alone."""
    names = {"type": "string", "enum": sorted(schema["discriminator"]["mapping"])}
    return {**schema, "oneOf": [names, *own_code(OwnStep, definitions), *schema["oneOf"]]}


def _extends() -> dict[str, Any]:
    keep = {"type": "array", "items": {"enum": list(KEPT_WHEN_NAMED)}}
    properties = {"file": {"type": "string"}, "keep": keep}
    return {
        "oneOf": [
            {"type": "string"},
            {"type": "object", "properties": properties, "additionalProperties": False},
        ]
    }


def _sweep() -> dict[str, Any]:
    described = "settings by short name (" + ", ".join(SHORT_NAMES) + ") or dotted path"
    lists = {
        "type": "object",
        "description": described,
        "additionalProperties": {"type": "array", "minItems": 1},
    }
    row = {
        "type": "object",
        "description": f"{described}, label, labels, published, or a sweep",
        "properties": {"published": _published_values()},
    }
    return {
        "type": "object",
        "additionalProperties": False,
        "properties": {
            "grid": lists,
            "zip": lists,
            "rows": {"type": "array", "items": row, "minItems": 1},
        },
    }


def _table() -> dict[str, Any]:
    column = {"oneOf": [{"type": "string"}, {"$ref": "#/$defs/Column"}]}
    columns = {"type": "object", "additionalProperties": column}
    pivot = {
        "type": "object",
        "required": ["column"],
        "additionalProperties": False,
        "properties": {
            "column": {"type": "string"},
            "titles": {"type": "object", "additionalProperties": {"type": "string"}},
        },
    }
    options = {
        "type": "object",
        "required": ["columns"],
        "additionalProperties": False,
        "properties": {
            "columns": columns,
            "pivot": {"oneOf": [{"type": "string"}, pivot]},
            "melt": _melt(),
            "order": {"oneOf": [{"type": "string"}, {"type": "array"}]},
            "about": {"type": "string"},
        },
    }
    return {"anyOf": [options, columns]}


def _melt() -> dict[str, Any]:
    titles = {key: {"type": "string"} for key in MELT_KEYS}
    return {
        "type": "object",
        "required": list(MELT_KEYS),
        "additionalProperties": False,
        "properties": titles,
    }


def _analyses() -> dict[str, Any]:
    """Return the schema of `analyses`; their short forms leave its inside open."""
    kind = {"type": "string", "enum": list(KINDS)}
    settings = {"type": "object", "required": ["name"], "properties": {"name": kind}}
    named = {"type": "object", "additionalProperties": {"oneOf": [kind, settings]}}
    return {"oneOf": [{"type": "array", "items": kind}, named]}


def _metrics(definitions: dict[str, Any]) -> dict[str, Any]:
    """Return the schema of `metrics`: own code."""
    return {"type": "object", "additionalProperties": {"oneOf": own_code(OwnMetric, definitions)}}


def _figures() -> dict[str, Any]:
    """Return the schema of `figures`; each kind has its own settings."""
    kind = {"type": "string", "enum": list(FIGURE_KINDS)}
    settings = [
        model.model_json_schema(ref_template="#/$defs/{model}") for model in FIGURE_KINDS.values()
    ]
    named = {"type": "object", "additionalProperties": {"oneOf": [kind, *settings]}}
    return {"oneOf": [{"type": "array", "items": kind}, named]}


def _published() -> dict[str, Any]:
    entry = {
        "type": "object",
        "required": ["where", "values"],
        "additionalProperties": False,
        "properties": {
            "where": {"type": "object"},
            "values": _published_values(),
        },
    }
    return {"type": "array", "items": entry}


def _published_values() -> dict[str, Any]:
    with_tolerance = {
        "type": "object",
        "required": list(PUBLISHED_KEYS),
        "additionalProperties": False,
        "properties": {
            "value": {"type": "number"},
            "within": {
                "type": "number",
                "minimum": 0,
                "description": "the most by which the measured value may differ from it",
            },
        },
    }
    value = {"oneOf": [{"type": "number"}, with_tolerance]}
    return {"type": "object", "additionalProperties": value}
