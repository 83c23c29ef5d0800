"""The tools by name, and whether the packages that one needs are there."""

from __future__ import annotations

from importlib.util import find_spec

from runner.core.errors import UsageError, nearest
from runner.report.trackers.csv_files import CsvTracker
from runner.report.trackers.mlflow_store import MlflowTracker
from runner.report.trackers.tensorboard_events import TensorboardTracker
from runner.report.trackers.tracker import Tracker
from runner.report.trackers.trackio_projects import TrackioTracker
from runner.report.trackers.wandb_offline import WandbTracker

TRACKERS: dict[str, type[Tracker]] = {
    each.kind: each
    for each in (TensorboardTracker, MlflowTracker, WandbTracker, TrackioTracker, CsvTracker)
}


def find_tracker(kind: str) -> type[Tracker]:
    """Return the tool of a name.

    Raises:
        UsageError: when there is none, or packages are missing that it needs.
    """
    if kind not in TRACKERS:
        raise UsageError(
            f"nothing is exported to '{kind}'",
            allowed=", ".join(TRACKERS),
            suggestion=nearest(kind, list(TRACKERS)),
        )
    found = TRACKERS[kind]
    missing = [name for name in found.needs if find_spec(name) is None]
    if missing:
        raise UsageError(
            f"an export to {kind} needs {', '.join(missing)}, which is not installed",
            hint=f"pip install 'runner[{found.extra}]'",
        )
    return found
