"""Words that several commands print: counts, what came from the reference."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from runner.store.reference import ReferenceResult


def pluralize(number: int, noun: str) -> str:
    """Return a count in words: 1 run, 2 runs."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def failed_analyses_words(number: int, again: str) -> str:
    """Return how many analyses failed, and which command tries them again."""
    few = "1 analysis" if number == 1 else f"{number} analyses"
    return f"{few} failed; {again} tries again"


def imported_words(results: Sequence[ReferenceResult]) -> str:
    """Return how many results were taken from the reference, with their devices and days."""
    if not results:
        return "no result taken from the reference: it has none that the database lacks"
    devices = " and ".join(sorted({each.device for each in results}))
    times = (min(each.recorded for each in results), max(each.recorded for each in results))
    days = [datetime.fromtimestamp(time, UTC).strftime("%Y-%m-%d") for time in times]
    period = " to ".join(dict.fromkeys(days))
    taken = f"{pluralize(len(results), 'result')} taken from the reference"
    return f"{taken}, measured on {devices}, {period}"
