"""Prediction against truth: what plans expected of what was done, and what it took."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import astuple, dataclass, fields
from typing import TYPE_CHECKING, Any

from runner.api.frames import Framed
from runner.bind.bound_request import bind_request
from runner.bind.request import Asked, as_request
from runner.store.progress import predictions

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True, slots=True)
class Actual:
    """Prediction against truth, of one kind of stages.

    Attributes:
        kind: of the stages.
        attempts: how many have ended well, each with what was stopped before it.
        predicted_epochs: that their plans expected.
        epochs: that were trained.
        foreseen: attempts whose seconds were predicted.
        predicted_seconds: of those.
        seconds: that those took.
        other_seconds: that the others took.
    """

    kind: str
    attempts: int
    predicted_epochs: int
    epochs: int
    foreseen: int
    predicted_seconds: float
    seconds: float
    other_seconds: float


@dataclass(frozen=True, slots=True, repr=False)
class Predictions(Framed):
    """Prediction against truth of what was done, by kind of stage."""

    kinds: tuple[Actual, ...]

    def frame(self) -> pd.DataFrame:
        """Return a row per kind of stage; columns as in :class:`Actual`."""
        import pandas as pd

        columns = [field.name for field in fields(Actual)]
        return pd.DataFrame([astuple(kind) for kind in self.kinds], columns=columns)


def actual(asked: Asked, **options: Any) -> Predictions:
    """Return prediction against truth of what was done for specs.

    Args:
        asked: spec files, or a request.
        options: as in :class:`runner.api.Request`.

    Raises:
        SpecError: with every problem found, but missing data.
        UsageError: when there is no database.
    """
    bound = bind_request(as_request(asked, options), provisional=True)
    with bound.workspace.open(create=False) as database:
        rows = predictions(database, {cell.run.run_key for cell in bound.cells})
    kinds = dict.fromkeys(row["kind"] for row in rows)
    return Predictions(
        tuple(_actual(kind, [row for row in rows if row["kind"] == kind]) for kind in kinds)
    )


def _actual(kind: str, rows: Sequence[Mapping[str, Any]]) -> Actual:
    foreseen = [row for row in rows if (row["predicted"] or {}).get("seconds") is not None]
    others = [row for row in rows if row not in foreseen]
    return Actual(
        kind=kind,
        attempts=len(rows),
        predicted_epochs=sum((row["predicted"] or {}).get("epochs", 0) for row in rows),
        epochs=sum(row["epochs"] for row in rows),
        foreseen=len(foreseen),
        predicted_seconds=sum(row["predicted"]["seconds"] for row in foreseen),
        seconds=sum(row["seconds"] for row in foreseen),
        other_seconds=sum(row["seconds"] for row in others),
    )
