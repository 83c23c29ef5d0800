"""Prediction against truth: what plans expected of what was done, and what it took."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from runner.bind.binder import Binder, load_experiments
from runner.bind.workspace import workspace
from runner.store.progress import predictions


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


def actual(
    specs: Sequence[str | Path],
    db: str | Path | None,
    data: str | Path | None,
    profile: str | None = None,
    sets: Sequence[str] = (),
) -> list[Actual]:
    """Return prediction against truth of what was done for specs, by kind of stage."""
    place = workspace(db, data)
    cells = Binder(place, provisional=True).bind(load_experiments(specs, profile, sets, data))
    with place.open(create=False) as database:
        rows = predictions(database, {cell.run.run_key for cell in cells})
    kinds = dict.fromkeys(row["kind"] for row in rows)
    return [_actual(kind, [row for row in rows if row["kind"] == kind]) for kind in kinds]


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
