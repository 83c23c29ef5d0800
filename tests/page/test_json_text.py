"""JSON that a browser can read, also of what no sound database holds."""

from __future__ import annotations

import json
import math
from typing import Any

import pytest

from runner.page.json_text import json_text


def refused(name: str) -> None:
    raise AssertionError(f"{name} is no JSON")


@pytest.mark.parametrize(
    ("value", "read"),
    [
        ({"a": [1, 0.5, None, True]}, {"a": [1, 0.5, None, True]}),
        ({"a": (math.inf, [-math.inf])}, {"a": ["inf", ["-inf"]]}),
        ([{"a": math.nan, "b": 1.5}], [{"a": "nan", "b": 1.5}]),
        ({"a": "\ud800", "</script>": "\0"}, {"a": "\ud800", "</script>": "\0"}),
    ],
)
def test_json_text_is_read_as_written_and_can_be_sent(value: Any, read: Any) -> None:
    text = json_text(value)
    text.encode("ascii")
    assert json.loads(text, parse_constant=refused) == read
