"""A recorded run whose kept weights are looked at: which, where it is recorded, on what device."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from runner.bind.named_runs import find_record
from runner.bind.run_images import RunImages
from runner.bind.trained_models import trained_model
from runner.bind.workspace import workspace
from runner.engine.inference.model import TrainedModel


@dataclass(frozen=True)
class KeptRun:
    """A run by name, and how it is looked at.

    Attributes:
        name: the run, as :func:`runner.api.show` takes it.
        weights: ``best`` or ``last``.
        db: the database; results.db when not given.
        data: where the run's data and pretrained weights are looked for first, if they are needed;
            RUNNER_DATA when not given.
        device: where it is computed; the CUDA GPU when there is one.
    """

    name: str
    weights: str = "best"
    db: str | Path | None = None
    data: str | Path | None = None
    device: str | None = None

    def record(self) -> dict[str, Any]:
        """Return all that is recorded of the run; see :func:`find_record`.

        Raises:
            UsageError: when no run is meant.
        """
        with workspace(self.db).open(create=False) as database:
            return find_record(database, self.name)

    def load(self, record: Mapping[str, Any] | None = None) -> tuple[TrainedModel, RunImages]:
        """Return the trained network before it is built, and the images of the run.

        Args:
            record: of the run, where that is known.

        Raises:
            UsageError: when no run is meant, or its weights or the names of its classes are gone.
        """
        home = workspace(self.db, self.data)
        return trained_model(home, self.name, self.weights, self.db, record)


def kept_run(run: str | KeptRun) -> KeptRun:
    """Return a run that may be given by its name alone."""
    return KeptRun(run) if isinstance(run, str) else run
