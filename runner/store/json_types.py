"""Columns of JSON that say what they hold, so that a damaged one is an error when it is read."""

from __future__ import annotations

import json
from typing import Any

import sqlalchemy as sa


class WrongShape(ValueError):
    """A JSON value is of another kind than its column holds."""


def decoded(value: Any) -> Any:
    """Return what a column of JSON holds, of a row that the driver gives: SQLite gives its text."""
    return json.loads(value) if isinstance(value, str) else value


class _Json(sa.TypeDecorator[Any]):
    impl = sa.JSON
    cache_ok = True
    kind: type = object

    def process_result_value(self, value: Any, dialect: sa.Dialect) -> Any:
        """Return the value; null stands for none where a column may be empty.

        Raises:
            WrongShape: for a value of another kind.
        """
        if value is not None and not isinstance(value, self.kind):
            raise WrongShape(f"{self.kind.__name__} expected, not {str(value)[:40]!r}")
        return value


class JsonObject(_Json):
    """A column whose values are JSON objects."""

    cache_ok = True
    kind = dict


class JsonList(_Json):
    """A column whose values are JSON lists."""

    cache_ok = True
    kind = list
