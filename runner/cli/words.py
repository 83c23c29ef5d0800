"""Words that several commands print: names of cells, durations."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from runner.spec.names import short_name
from runner.spec.nodes import as_yaml


def show_seconds(seconds: float) -> str:
    """Return a duration for people: 8.1 s, 3 min 05 s, 2 h 10 min."""
    if seconds < 60:
        return f"{seconds:.1f} s" if seconds < 10 else f"{seconds:.0f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest:02d} s"
    return f"{minutes // 60} h {minutes % 60:02d} min"


def counted(number: int, noun: str) -> str:
    """Return a count in words: 1 run, 2 runs."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def cell_name(labels: Mapping[str, str], swept: Mapping[str, Any]) -> str:
    """Return a cell's labels, or its swept settings, in one line."""
    if labels:
        return ", ".join(labels.values())
    return " ".join(f"{short_name(path)}={as_yaml(value)}" for path, value in swept.items())
