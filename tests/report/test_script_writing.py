"""Values of a run stand in its script as Python literals."""

import ast
from typing import Any

import pytest
from examples import examples
from hypothesis import given, settings
from hypothesis import strategies as st

from runner.report.script.writing import literal


@settings(max_examples=examples(200), deadline=None)
@given(st.text(st.characters(codec=None)))
def test_any_text_is_read_back_as_it_was(text: str) -> None:
    assert ast.literal_eval(literal(text)) == text


@pytest.mark.parametrize(
    ("value", "written"),
    [
        ("photos/cat", '"photos/cat"'),
        ("\U0001f600/é", '"\U0001f600/é"'),
        ("\udc80", "'\\udc80'"),
        ((1, 2.5), "(1, 2.5)"),
    ],
)
def test_text_is_written_as_people_would(value: Any, written: str) -> None:
    assert literal(value) == written
