"""Resolved settings as JSON values, as their own class, and their key.

Owns that settings are validated once: those of a planned run carry their class, and those that came
back from a database get it when somebody first asks.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from pydantic import TypeAdapter, ValidationError

from runner.components.component import keyed_text
from runner.components.data import Data
from runner.components.own.problems import KIND, CodeProblem
from runner.components.own.union import checked_class
from runner.components.own_metric import OwnMetric
from runner.components.settings import Settings
from runner.core.errors import UsageError
from runner.core.keys import canonical_json, text_key
from runner.core.run import ResolvedSettings


def settings_key(settings: Settings) -> str:
    """Return the key of resolved settings: no names, labels or paths in it."""
    return text_key("settings", keyed_text(settings))


def typed_settings(resolved: ResolvedSettings) -> Settings:
    """Return the settings of a run as their own class."""
    settings: Settings = _typed(resolved, Settings)
    return settings


def typed_data(resolved: ResolvedSettings) -> Data:
    """Return the settings of a run's data as their own class."""
    settings: Data = _typed(resolved, Data)
    return settings


def typed_metric(resolved: ResolvedSettings) -> OwnMetric:
    """Return the settings of an own metric as the class that its code has.

    Raises:
        UsageError: when the code is not allowed, or is other code than it was.
    """
    if resolved.typed is None:
        try:
            chosen = checked_class(OwnMetric, resolved.json)
        except CodeProblem as problem:
            raise _refused(problem) from None
        resolved.typed = chosen.model_validate_json(canonical_json(resolved.json))
    metric: OwnMetric = resolved.typed
    return metric


def _typed(resolved: ResolvedSettings, kind: Any) -> Any:
    if resolved.typed is None:
        text = canonical_json(resolved.json)
        # what own code may be run belongs to the invocation, not to the process
        is_own = ".py:" in text or '"code":' in text
        resolved.typed = _of_own_code(kind, text) if is_own else _validated(kind, text)
    return resolved.typed


def _of_own_code(kind: Any, text: str) -> Any:
    """Return settings in which own code may be named.

    Raises:
        UsageError: when it is not allowed, or is other code than it was.
    """
    try:
        return TypeAdapter(kind).validate_json(text)
    except ValidationError as error:
        refuse_code(error)
        raise


def refuse_code(error: ValidationError) -> None:
    """Raise what is wrong with own code as an error of the request; return where nothing is.

    Raises:
        UsageError: when it is not allowed, not there, or is other code than it was.
    """
    for detail in error.errors(include_url=False):
        if detail["type"] == KIND:
            raise _refused(detail["ctx"]["problem"]) from None


def _refused(problem: CodeProblem) -> UsageError:
    where = f"{problem.position}: " if problem.position else ""
    return UsageError(
        f"{where}{problem.found}",
        allowed=problem.allowed,
        hint=problem.hint,
        suggestion=problem.suggestion,
    )


@lru_cache(maxsize=1 << 8)
def _validated(kind: Any, text: str) -> Any:
    """Return settings from JSON; a run's stages come one by one from another process."""
    return TypeAdapter(kind).validate_json(text)
