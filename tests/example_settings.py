"""Settings with which a component can be made, where it has required ones."""

from typing import Any, Literal, get_args, get_origin

import pytest

from runner.components.component import Component


def tag_of(component: type[Component]) -> tuple[str, str]:
    """Return the setting that names a component, ``dataset`` or ``name``, and what it is called."""
    for key in ("dataset", "name"):
        if key in component.model_fields:
            field = component.model_fields[key]
            if field.annotation is str and field.examples:
                return key, field.examples[0]  # of names of which only the form is known
            is_literal = get_origin(field.annotation) is Literal
            assert is_literal, f"{component.__name__}.{key} is no Literal"
            return key, get_args(field.annotation)[0]
    pytest.fail(f'{component.__name__} has no name: give it `name: Literal["…"]`')


def example_settings(component: type[Component], where: str) -> dict[str, Any]:
    """Return the required settings of a component with the first of each one's ``examples``.

    Args:
        component: its class.
        where: a test could be given other settings, for the message of a failure.
    """
    key, tag = tag_of(component)
    required = {name for name, field in component.model_fields.items() if field.is_required()}
    found: dict[str, Any] = {}
    for name in sorted(required - {key}):
        examples = component.model_fields[name].examples
        if not examples:
            pytest.fail(
                f"{component.__name__} ({tag}) has a required setting `{name}` without an example:"
                f" write Field(…, examples=[…]) in its class, or add a case to {where}"
            )
        found[name] = examples[0]
    return found
