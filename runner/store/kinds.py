"""Kinds of stages in queries."""

from __future__ import annotations

import sqlalchemy as sa

from runner.core.stages import Stage
from runner.store.schema import stages


def is_of_kind(*kinds: type[Stage]) -> sa.ColumnElement[bool]:
    """Return the condition that a row of ``stages`` is of one of these kinds."""
    return stages.c.kind.in_([kind.kind for kind in kinds])
