"""The x axis of a setting: linear, logarithmic or categories."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Literal, assert_never

from matplotlib.axes import Axes
from matplotlib.ticker import NullLocator

from runner.report.figures.page import shorten

NARROWEST = 0.075
"""Ticks of numbers are at least this part of the axis apart."""

CHARACTERS = 50
"""Of tick labels beside each other below one panel."""

DECADES = 50.0
"""An axis whose greatest value is this many times its least is logarithmic."""


@dataclass(frozen=True)
class Scale:
    """Positions of values on the x axis.

    Attributes:
        kind: ``symlog`` is logarithmic and includes 0.
        values: distinct; numbers ascending, others in the order of the spec.
    """

    kind: Literal["linear", "log", "symlog", "categories"]
    values: tuple[Any, ...]

    @classmethod
    def of(cls, values: Iterable[Any]) -> Scale:
        """Return the scale that suits the values."""
        distinct = list(dict.fromkeys(values))
        if not all(is_number(value) for value in distinct):
            return cls("categories", tuple(distinct))
        ordered = tuple(sorted(distinct))
        positive = [value for value in ordered if value > 0]
        if not ordered or ordered[0] < 0 or not positive or positive[-1] / positive[0] < DECADES:
            return cls("linear", ordered)
        return cls("symlog" if len(positive) < len(ordered) else "log", ordered)

    @property
    def is_categorical(self) -> bool:
        """Whether its values are names, or numbers that stand for names."""
        return self.kind not in ("linear", "log", "symlog")

    def x_of(self, value: Any, shift: float) -> float:
        """Return the x of a value; categories are 1 apart, and moved by ``shift``."""
        if self.is_categorical:
            return self.values.index(value) + shift
        return float(value)

    def finish(self, axes: Axes) -> None:
        """Scale the axis, with ticks at the values unless they would overlap."""
        if self.is_categorical:
            texts = [value_text(value) for value in self.values]
            width = CHARACTERS // len(texts)
            is_narrow = max(len(word) for text in texts for word in f"{text} ".split(" ")) > width
            labels = [shorten(text, 24 if is_narrow else width) for text in texts]
            turned: dict[str, Any] = {"rotation": 40, "ha": "right", "rotation_mode": "anchor"}
            axes.set_xticks(range(len(labels)), labels, **(turned if is_narrow else {}))
            axes.set_xlim(-0.6, len(labels) - 0.4)
            return
        match self.kind:
            case "log":
                axes.set_xscale("log")
            case "symlog":
                least = min(value for value in self.values if value > 0)
                axes.set_xscale("symlog", linthresh=least, linscale=0.6)
            case "linear" | "categories":
                pass
            case _:
                assert_never(self.kind)
        axes.margins(x=0.06)
        positions = self._fractions()
        gaps = [after - before for before, after in itertools.pairwise(positions)]
        if min(gaps, default=1.0) >= NARROWEST:
            axes.set_xticks(self.values, [value_text(value) for value in self.values])
            axes.xaxis.set_minor_locator(NullLocator())

    def _fractions(self) -> list[float]:
        """Return the numbers' positions on the axis, from 0 to 1."""
        least = min((value for value in self.values if value > 0), default=1)
        positions = {
            "linear": [float(value) for value in self.values],
            "log": [math.log10(value) for value in self.values if value > 0],
            "symlog": [1 + math.log10(value / least) if value else 0.0 for value in self.values],
        }[self.kind]
        length = positions[-1] - positions[0] or 1.0
        return [(position - positions[0]) / length for position in positions]


def is_number(value: Any) -> bool:
    """Return whether a value is a number; booleans are not."""
    return isinstance(value, int | float) and not isinstance(value, bool)


def value_text(value: Any) -> str:
    """Return the tick label of a value."""
    if value is None:
        return "none"
    return f"{value:g}" if is_number(value) else str(value)
