"""Which component classes may stand at a setting, and by which names a spec chooses them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, get_args, get_origin

from pydantic import BaseModel

SHOWN = 16
"""Names of components that a message lists at most."""


def model_options(annotation: Any) -> list[type[BaseModel]]:
    """Return the pydantic classes in an annotation, through unions and Annotated."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    if get_origin(annotation) is None and not get_args(annotation):
        return []
    return [found for part in get_args(annotation) for found in model_options(part)]


def tags_of(model: type[BaseModel]) -> list[str]:
    """Return the names by which a spec chooses ``model``, none where there is no choice."""
    for key in ("name", "dataset"):
        field = model.model_fields.get(key)
        if field is not None and get_args(field.annotation):
            return [str(tag) for tag in get_args(field.annotation)]
    return []


def called(model: type[BaseModel]) -> str:
    """Return what a message calls a component class."""
    tags = tags_of(model)
    return f"{tags[0]} and others like it" if len(tags) > 1 else "".join(tags)


def shortened(tags: Sequence[str]) -> str:
    """Return names in a line; of very many, the first and how many more there are."""
    if len(tags) <= SHOWN:
        return ", ".join(tags)
    return f"{', '.join(tags[:SHOWN])} and {len(tags) - SHOWN} more (docs/reference.md)"
