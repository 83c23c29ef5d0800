"""Words that several commands print: durations, counts, what came from the reference."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from runner.store.reference import ReferenceResult


def show_seconds(seconds: float) -> str:
    """Return a duration for people: 8.1 s, 3 min 05 s, 2 h 10 min."""
    if seconds < 60:
        return f"{seconds:.1f} s" if seconds < 10 else f"{seconds:.0f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest:02d} s"
    return f"{minutes // 60} h {minutes % 60:02d} min"


def pluralize(number: int, noun: str) -> str:
    """Return a count in words: 1 run, 2 runs."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


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
