"""Which values a setting may have, in words."""

from typing import Literal

import pytest
from pydantic import Field

from runner.components.component import Component
from runner.spec.value_words import setting_in_words


class Solarize(Component):
    threshold: int = Field(ge=0, le=255, description="values from this one on are inverted")
    share: float = Field(gt=0, lt=1)
    sides: tuple[int, int] | None = Field(description="of a window")
    edge: Literal["cut", "keep"] | bool = Field(description="what becomes of it")


@pytest.mark.parametrize(
    ("name", "words"),
    [
        (
            "threshold",
            "a whole number at least 0, at most 255 (values from this one on are inverted)",
        ),
        ("share", "a number above 0, below 1"),
        ("sides", "a list of 2: whole number, or null (of a window)"),
        ("edge", "cut, keep, or true or false (what becomes of it)"),
    ],
)
def test_setting_is_told_with_its_type_limits_and_description(name: str, words: str) -> None:
    assert setting_in_words(Solarize, name) == words
