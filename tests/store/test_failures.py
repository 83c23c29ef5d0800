"""Errors of SQLite in words."""

import sqlite3
from pathlib import Path

import pytest

from runner.core.errors import UsageError
from runner.store.failures import in_words


def test_a_question_that_is_too_large_is_no_damage() -> None:
    columns = ", ".join(str(number) for number in range(3000))
    connection = sqlite3.connect(":memory:")
    with (
        pytest.raises(UsageError, match=r"asked of a\.db is too much for SQLite: too many columns"),
        in_words(Path("a.db")),
    ):
        connection.execute(f"SELECT {columns}")
