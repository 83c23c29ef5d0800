"""What the units of a tensor see of an image, and how operations change that.

Owns the arithmetic: windows, mixing, branches that join, dimensions that move. Weights do not
matter, only shapes. Knows no layer and no function by name.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

from torch import Tensor


class UnknownOperation(Exception):
    """An operation of which no rule says what its output depends on."""


@dataclass(frozen=True, slots=True)
class Axis:
    """What units see along one side of the image, in pixels; those beyond its edge are padding.

    Unit p, counted from 0, sees the pixels from ``first + step * p`` to ``last + step * p``. Where
    ``step`` is 0 the position plays no part: all units see the same.

    No unit sees a pixel before ``low`` or behind ``high``. Only where the distance of units is a
    mean, as behind an uneven pooling, does that say more than the other three.
    """

    first: float
    last: float
    step: float
    low: float = -math.inf
    high: float = math.inf

    def window(self, size: int, stride: float, padding: int, dilation: int) -> Axis:
        """Return what units see that look at ``size`` units of this."""
        first = self.first - self.step * padding
        last = self.last + self.step * (dilation * (size - 1) - padding)
        return replace(self, first=first, last=last, step=self.step * stride)

    def whole(self, units: int) -> Axis:
        """Return what a unit sees that looks at all these units."""
        last = self.last + self.step * (units - 1)
        return replace(self, first=max(self.first, self.low), last=min(last, self.high), step=0)

    def shared(self, units: int, wanted: int) -> Axis:
        """Return what so many units see that share these units evenly, at their mean distance."""
        whole = self.whole(units)
        if wanted == 1:
            return whole
        ends = [-(-(n + 1) * units // wanted) - n * units // wanted for n in range(wanted)]
        windows = self.window(max(ends), units / wanted, 0, 1)
        return replace(windows, low=whole.first, high=whole.last)

    def joined(self, other: Axis, units: int) -> Axis:
        """Return what a unit sees that looks at the same place of both.

        Raises:
            UnknownOperation: when that depends on the place.
        """
        if self.step == other.step:
            return Axis(
                min(self.first, other.first),
                max(self.last, other.last),
                self.step,
                min(self.low, other.low),
                max(self.high, other.high),
            )
        fixed, moving = (other, self.whole(units)) if self.step else (self, other.whole(units))
        if fixed.step or fixed.first > moving.first or fixed.last < moving.last:
            raise UnknownOperation("branches of different strides")
        return fixed

    def size(self, pixels: int) -> int:
        """Return how many pixels a unit sees of a side of ``pixels``.

        A unit of a moving window is taken far from the edges; one that looks at everything sees
        no more than there is.
        """
        if self.step:
            return round(self.last - self.first) + 1
        return round(min(self.last, pixels - 1) - max(self.first, 0)) + 1


@dataclass(frozen=True, slots=True)
class ReceptiveWindow:
    """What the units of a tensor see.

    Attributes:
        rows: along the image's height.
        columns: along its width.
        axes: which dimensions of the tensor are rows and columns; None once they are flattened.
        units: how many rows and columns of units there are, or were before they were flattened.
    """

    rows: Axis
    columns: Axis
    axes: tuple[int, int] | None
    units: tuple[int, int]

    def whole(self) -> ReceptiveWindow:
        """Return what a unit sees that looks at all units."""
        return replace(
            self, rows=self.rows.whole(self.units[0]), columns=self.columns.whole(self.units[1])
        )

    def at(self, axes: tuple[int, int], output: Tensor) -> ReceptiveWindow:
        """Return the same with rows and columns in these dimensions of ``output``."""
        sizes = output.shape[axes[0]], output.shape[axes[1]]
        return replace(self, axes=axes, units=sizes)


Window = tuple[int, float, int, int]
"""Size, stride, padding before the first unit, dilation."""


def windowed(
    seen: ReceptiveWindow, output: Tensor, windows: tuple[Window, Window]
) -> ReceptiveWindow:
    """Return what units see that look through windows at rows and columns."""
    axes = _maps(seen, output)
    rows, columns = seen.rows.window(*windows[0]), seen.columns.window(*windows[1])
    return replace(seen, rows=rows, columns=columns).at(axes, output)


def _maps(seen: ReceptiveWindow, output: Tensor) -> tuple[int, int]:
    """Return where rows and columns are, which must be the last dimensions."""
    if seen.axes is None or seen.axes != (output.ndim - 2, output.ndim - 1):
        raise UnknownOperation("rows and columns are not the last dimensions")
    return seen.axes


def adaptively_pooled(seen: ReceptiveWindow, output: Tensor) -> ReceptiveWindow:
    """Return what units see that share rows and columns evenly among them."""
    axes = _maps(seen, output)
    rows, columns = output.shape[-2:]
    return replace(
        seen,
        rows=seen.rows.shared(seen.units[0], rows),
        columns=seen.columns.shared(seen.units[1], columns),
    ).at(axes, output)


def normalised(seen: ReceptiveWindow, source: Tensor, last: int) -> ReceptiveWindow:
    """Return what a normalisation over the last dimensions sees."""
    if seen.axes is None:
        return seen.whole()
    return mixed(seen, set(range(source.ndim - last, source.ndim)))


def mixed(seen: ReceptiveWindow, dimensions: set[int]) -> ReceptiveWindow:
    """Return what a unit sees that looks at everything along these dimensions."""
    axes = seen.axes or (-1, -1)
    rows = seen.rows.whole(seen.units[0]) if axes[0] in dimensions else seen.rows
    columns = seen.columns.whole(seen.units[1]) if axes[1] in dimensions else seen.columns
    return replace(seen, rows=rows, columns=columns)


def permuted(seen: ReceptiveWindow, order: tuple[int, ...], output: Tensor) -> ReceptiveWindow:
    """Return what the units of a tensor with its dimensions in another order see."""
    if seen.axes is None:
        raise UnknownOperation("flattened images are transposed")
    order = tuple(each % output.ndim for each in order)
    return seen.at((order.index(seen.axes[0]), order.index(seen.axes[1])), output)


def reshaped(seen: ReceptiveWindow, source: Tensor, output: Tensor) -> ReceptiveWindow:
    """Return what a tensor of another shape sees: maps that stay maps, or are flattened."""
    if seen.axes is None:
        if output.ndim == 2:
            return seen
        raise UnknownOperation("flattened images are reshaped")
    before = source.ndim - 2, source.ndim - 1
    if seen.axes == before and output.ndim > 2 and source.shape[-2:] == output.shape[-2:]:
        return seen.at((output.ndim - 2, output.ndim - 1), output)
    if output.ndim == 2 and output.shape[0] == source.shape[0]:
        return replace(seen, axes=None)
    raise UnknownOperation(f"{tuple(source.shape)} becomes {tuple(output.shape)}")


def joined(seen: list[ReceptiveWindow]) -> ReceptiveWindow:
    """Return what a unit sees that looks at the same place of several tensors."""
    largest = max(seen, key=lambda each: each.units)
    for each in seen:
        if each.axes != largest.axes:
            raise UnknownOperation("branches whose rows and columns are in other dimensions")
        largest = replace(
            largest,
            rows=largest.rows.joined(each.rows, largest.units[0]),
            columns=largest.columns.joined(each.columns, largest.units[1]),
        )
    return largest
