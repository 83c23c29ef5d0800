from typing import ClassVar, Literal

import pytest
from pydantic import Field, ValidationError

from runner.components.component import (
    PATH_FIELD,
    Component,
    canonical_settings,
    keyed_settings,
    keyed_text,
)
from runner.core.keys import canonical_json, content_key


class Inner(Component):
    rate: float = 0.5
    added_later: int = Field(3, json_schema_extra={"neutral": 0})


class Outer(Component):
    semantics: ClassVar[int] = 4

    name: Literal["outer"]
    count: int = 2
    sizes: tuple[int, ...] = (1, 2)
    where: str = Field("/data", json_schema_extra=PATH_FIELD)
    added_later: bool = Field(False, json_schema_extra={"neutral": False})
    inner: Inner = Inner()
    several: tuple[Inner, ...] = ()
    perhaps: Inner | None = None


def key(component: Component) -> str:
    return content_key("test", keyed_settings(component))


def test_canonical_settings_hold_every_setting() -> None:
    assert canonical_settings(Outer(name="outer")) == {
        "name": "outer",
        "count": 2,
        "sizes": [1, 2],
        "where": "/data",
        "added_later": False,
        "inner": {"rate": 0.5, "added_later": 3},
        "several": [],
        "perhaps": None,
    }


def test_keyed_settings_leave_out_paths_and_neutral_values() -> None:
    outer = Outer(name="outer", inner=Inner(added_later=0))
    assert keyed_text(outer) == canonical_json(keyed_settings(outer))
    assert keyed_settings(outer) == {
        "semantics": 4,
        "name": "outer",
        "count": 2,
        "sizes": [1, 2],
        "inner": {"semantics": 1, "rate": 0.5},
        "several": [],
        "perhaps": None,
    }


def test_field_added_with_a_neutral_value_keeps_old_keys() -> None:
    class Before(Component):
        rate: float = 0.5

    assert key(Before()) == key(Inner(added_later=0))


def test_new_default_other_than_the_neutral_value_is_another_key() -> None:
    assert key(Inner()) == key(Inner(added_later=3)) != key(Inner(added_later=0))


def test_paths_do_not_change_keys() -> None:
    assert key(Outer(name="outer", where="/elsewhere")) == key(Outer(name="outer"))


@pytest.mark.parametrize(
    "changed",
    [
        {"count": 3},
        {"sizes": (2, 1)},
        {"added_later": True},
        {"inner": Inner(rate=0.25)},
        {"several": (Inner(),)},
        {"perhaps": Inner()},
    ],
    ids=str,
)
def test_every_other_setting_changes_keys(changed: dict[str, object]) -> None:
    assert key(Outer(name="outer", **changed)) != key(Outer(name="outer"))


def test_raised_semantics_change_keys() -> None:
    class Raised(Inner):
        semantics: ClassVar[int] = 2

    assert key(Raised()) != key(Inner())


def test_whole_number_for_a_float_is_the_same_setting() -> None:
    assert key(Inner.model_validate({"rate": 1})) == key(Inner.model_validate({"rate": 1.0}))


@pytest.mark.parametrize(
    "values",
    [{"rate": "0.5"}, {"rate": True}, {"rate": float("nan")}, {"added_later": 1.0}, {"rte": 0.5}],
    ids=str,
)
def test_components_refuse_lax_values_and_unknown_keys(values: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        Inner.model_validate(values)


def test_components_are_frozen() -> None:
    with pytest.raises(ValidationError, match="frozen"):
        Inner().rate = 1.0
