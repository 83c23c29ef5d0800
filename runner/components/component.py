"""The settings class of every component.

Owns strict validation and the canonical form of settings. Knows no component.
"""

from collections.abc import Iterator
from functools import lru_cache
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar

from pydantic import BaseModel, ConfigDict
from pydantic.config import JsonDict

from runner.core.keys import canonical_json, canonical_object

C = TypeVar("C", bound=BaseModel)

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


class NamedComponent(Component):
    """A component that a spec chooses by its `name`: each subclass declares its own, a Literal."""

    if TYPE_CHECKING:  # a field here would come before those of the subclasses' bases
        name: str


def canonical_settings(component: BaseModel) -> dict[str, Any]:
    """Return every setting by name, defaults included, as JSON values.

    Components that are equal share what is returned of them: it is not to be changed.
    """
    values: dict[str, Any] = {}
    others: set[str] = set()
    for name in type(component).model_fields:
        value = values[name] = getattr(component, name)
        if isinstance(value, BaseModel):
            values[name] = _part_values(value)
        elif not isinstance(value, str | int | float | None):
            others.add(name)
    return values | component.model_dump(mode="json", include=others) if others else values


@lru_cache(maxsize=1 << 14)
def _part_values(component: BaseModel) -> dict[str, Any]:
    """Cached JSON values, since thousands of cells have equal components."""
    return canonical_settings(component)


def with_shared_parts(component: C) -> C:
    """Return an equal component whose parts are the same objects as those of others before it.

    Thousands of cells differ in a few of their parts: equal ones then take their memory once, and
    are found in caches at once.
    """
    parts = {
        name: _first_equal(value)
        for name in type(component).model_fields
        if isinstance(value := getattr(component, name), BaseModel)
    }
    return component.model_copy(update=parts) if parts else component


@lru_cache(maxsize=1 << 14)
def _first_equal(component: BaseModel) -> BaseModel:
    return with_shared_parts(component)


def keyed_text(component: BaseModel) -> str:
    """Return the canonical JSON of :func:`keyed_settings`, put together from that of its parts."""
    texts: dict[str, str] = {}
    if isinstance(component, Component):
        texts["semantics"] = str(type(component).semantics)
    for name, value in _keyed_fields(component):
        is_part = isinstance(value, BaseModel)
        texts[name] = _part_text(value) if is_part else canonical_json(_keyed_value(value))
    return canonical_object(texts)


@lru_cache(maxsize=1 << 14)
def _part_text(component: BaseModel) -> str:
    return keyed_text(component)


def keyed_settings(component: BaseModel) -> dict[str, Any]:
    """Return the settings that enter keys: without paths and neutral values, with ``semantics``.

    Nested components are treated alike.
    """
    keyed: dict[str, Any] = {}
    if isinstance(component, Component):
        keyed["semantics"] = type(component).semantics
    for name, value in _keyed_fields(component):
        keyed[name] = _keyed_value(value)
    return keyed


def _keyed_fields(component: BaseModel) -> Iterator[tuple[str, Any]]:
    """Yield the settings that enter keys, as they are."""
    for name, info in type(component).model_fields.items():
        extra = info.json_schema_extra if isinstance(info.json_schema_extra, dict) else {}
        if extra.get("keyed") is False:
            continue
        value = getattr(component, name)
        if "neutral" not in extra or _keyed_value(value) != extra["neutral"]:
            yield name, value


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
