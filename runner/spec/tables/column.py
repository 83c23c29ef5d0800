"""A column of a table: the settings that a spec gives it, and what they become.

Knows neither how columns are read nor tables and cells.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Literal

from pydantic import Field

from runner.components.component import Component
from runner.core.errors import SourcePosition
from runner.core.records import DimensionValue
from runner.spec.nodes import Node
from runner.spec.tables.formula import Formula

PROPERTIES = {
    "best_epoch": "the epoch that `train.best` chose, from 1",
    "last_epoch": "the last epoch that the run read, from 1",
    "parameters": "weights of the network",
    "train_seconds": "measured wall seconds of the epochs, their evaluation included",
    "seconds": "`train_seconds` and those of preparing and testing",
}
"""Numbers of a whole run that a column may name like a metric."""


class ColumnSettings(Component):
    """One column, as a mapping; exactly one of setting, label and metric."""

    setting: str | None = Field(None, description="a short name or dotted path")
    label: str | None = Field(None, description="the name of a label")
    metric: str | None = Field(None, description="a metric, or a formula over metrics")
    analysis: str | None = Field(
        None, description="the name of an analysis, whose value `metric` then is"
    )
    where: dict[str, str | int | float] | None = Field(
        None, description="which of an analysis' values: a place for each dimension but `draw`"
    )
    at: Literal["best", "last", "min", "max"] | Annotated[int, Field(ge=1)] = Field(
        "best", description="the run's best epoch, its last, the extreme over epochs, or an epoch"
    )
    mark: Literal["min", "max"] | None = Field(
        None, description="mark the best value of the column"
    )
    digits: int | None = Field(None, ge=0, le=17, description="decimals shown")


@dataclass(frozen=True, slots=True)
class AnalysisSource:
    """Which values of an analysis a column shows.

    Attributes:
        name: of the analysis in the spec.
        key: of its settings.
        where: the place of the values, by dimension.
        repeated: dimensions over which their mean is shown.
        positions: where the spec says each of ``where``.
    """

    name: str
    key: str
    where: tuple[tuple[str, DimensionValue], ...]
    repeated: tuple[str, ...]
    positions: Mapping[str, SourcePosition | None] = field(default_factory=dict, compare=False)


@dataclass(frozen=True, slots=True)
class Column:
    """One column of a table, resolved.

    Attributes:
        title: as printed.
        kind: what it shows.
        source: dotted path of the setting, or name of the label, or text of the formula.
        formula: the parsed formula of a metric.
        at: epoch rule of a metric.
        mark: mark the best value, or None.
        digits: decimals, or None for the default.
        analysis: whose value it shows, or None.
    """

    title: str
    kind: Literal["setting", "label", "metric"]
    source: str
    formula: Formula | None
    at: str | int
    mark: str | None
    digits: int | None
    position: SourcePosition | None
    analysis: AnalysisSource | None = None

    @property
    def is_metric(self) -> bool:
        """Whether it shows what was measured."""
        return self.kind not in ("setting", "label")

    @property
    def is_setting(self) -> bool:
        """Whether it shows a setting."""
        return self.kind not in ("label", "metric")

    @property
    def is_label(self) -> bool:
        """Whether it shows a label."""
        return self.kind not in ("setting", "metric")


def build_column(
    title: str,
    kind: Literal["setting", "label", "metric"],
    source: str,
    formula: Formula | None,
    settings: ColumnSettings,
    node: Node,
) -> Column:
    """Return a column with the settings that it was given."""
    return Column(
        title, kind, source, formula, settings.at, settings.mark, settings.digits, node.position
    )
