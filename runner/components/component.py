"""The settings class of every component.

Owns strict validation and the canonical form of settings. Knows no component.
"""

from functools import lru_cache
from typing import Any, ClassVar

from pydantic import BaseModel, ConfigDict
from pydantic.config import JsonDict

PATH_FIELD: JsonDict = {"keyed": False}
"""``json_schema_extra`` of a field that says where something lies, not what it is."""

MAX_NUMBER = 1e36
"""Limit of settings that have no other: the engine's numbers have 32 bits and end at 3.4e38."""


class Component(BaseModel):
    """Frozen settings: unknown keys, lax conversions and non-finite numbers are refused.

    A field added after a release declares, in ``json_schema_extra``, the ``neutral`` value that
    reproduces the earlier behaviour, as JSON; at that value it is left out of keys.
    """

    model_config = ConfigDict(
        strict=True, extra="forbid", frozen=True, allow_inf_nan=False, validate_default=True
    )

    semantics: ClassVar[int] = 1


def canonical_settings(component: BaseModel) -> dict[str, Any]:
    """Return every setting by name, defaults included, as JSON values."""
    return component.model_dump(mode="json")


def keyed_settings(component: BaseModel) -> dict[str, Any]:
    """Return the settings that enter keys: without paths and neutral values, with ``semantics``.

    Nested components are treated alike.
    """
    keyed: dict[str, Any] = {}
    if isinstance(component, Component):
        keyed["semantics"] = type(component).semantics
    for name, info in type(component).model_fields.items():
        extra = info.json_schema_extra if isinstance(info.json_schema_extra, dict) else {}
        if extra.get("keyed") is False:
            continue
        value = _keyed_value(getattr(component, name))
        if "neutral" not in extra or value != extra["neutral"]:
            keyed[name] = value
    return keyed


@lru_cache(maxsize=1 << 14)
def _keyed_component(component: BaseModel) -> dict[str, Any]:
    """Cached :func:`keyed_settings`, since thousands of cells have equal components."""
    return keyed_settings(component)


def _keyed_value(value: Any) -> Any:
    if isinstance(value, BaseModel):
        return _keyed_component(value)
    if isinstance(value, tuple):
        return [_keyed_value(item) for item in value]
    return value
