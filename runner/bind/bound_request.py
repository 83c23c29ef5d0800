"""A request with its cells on their data: the first half of `run`, `plan` and `verify`.

The same request gives the same cells in any process. Owns no plan.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from runner.bind.binder import Binder
from runner.bind.bound_cell import BoundCell
from runner.bind.cell_filter import with_selected_cells
from runner.bind.experiments import load_experiments
from runner.bind.request import Request
from runner.bind.workspace import Workspace, workspace
from runner.components.download import OnProgress
from runner.core.errors import Problem, UsageError, nearest
from runner.planner.rules import SHARING
from runner.spec.experiment import Experiment


@dataclass(frozen=True)
class BoundRequest:
    """A request, bound.

    Attributes:
        request: what was asked for.
        workspace: where things lie.
        experiments: of the specs, with all their cells.
        cells: those that ``only`` admits, on their data.
        disabled: names of the rules that are switched off.
        weights: files of pretrained weights, by `weights_name`.
        missing: what is not there, where keys may be provisional.
        downloads: what `run` would fetch of it: bytes by the name of the file.
        notes: what a person should know of the data sets, each once.
    """

    request: Request
    workspace: Workspace
    experiments: Sequence[Experiment]
    cells: Sequence[BoundCell]
    disabled: frozenset[str] = frozenset()
    weights: Mapping[str, Path] = field(default_factory=dict)
    missing: Sequence[Problem] = ()
    downloads: Mapping[str, int] = field(default_factory=dict)
    notes: Sequence[str] = ()

    @property
    def wanted_cells(self) -> Sequence[BoundCell]:
        """The cells whose runs are wanted now."""
        wanted = set(self.request.runs)
        return [cell for cell in self.cells if not wanted or cell.run.run_key in wanted]


def bind_request(
    request: Request, provisional: bool = False, on_progress: OnProgress | None = None
) -> BoundRequest:
    """Return a request with its cells on their data.

    Args:
        request: what is asked for.
        provisional: missing data is not an error.
        on_progress: hears of downloads; None where nothing may be downloaded.

    Raises:
        SpecError: with every problem found.
        UsageError: when no cell is left, or a rule is switched off that there is not.
        DownloadFailed: when missing data cannot be fetched.
    """
    experiments = load_experiments(request.specs, request.profile, request.sets, request.data)
    disabled = disabled_rules(request.no_share, request.disable)
    home = workspace(request.db, request.data, request.artifacts)
    home.shared()  # that there is such a place is known before any work
    binder = Binder(home, provisional, on_progress)
    cells = binder.bind(with_selected_cells(experiments, request.only))
    return BoundRequest(
        request=request,
        workspace=home,
        experiments=experiments,
        cells=cells,
        disabled=disabled,
        weights=binder.weights(),
        missing=tuple(dict.fromkeys(binder.missing)),
        downloads=binder.downloads,
        notes=tuple(binder.notes),
    )


def disabled_rules(no_share: bool, disable: Iterable[str]) -> frozenset[str]:
    """Return the names of the rules that ``--no-share`` and ``--disable`` switch off.

    Runs that share no trajectory do not go on from each other's states or read each other's epochs
    either.

    Raises:
        UsageError: for a name that is no rule that shares.
    """
    names = frozenset(SHARING if no_share else disable)
    for name in sorted(names):
        if name not in SHARING:
            raise UsageError(
                f"--disable {name} is no rule that shares",
                allowed=", ".join(SHARING),
                suggestion=nearest(name, SHARING),
            )
    if "share_trajectories" not in names:
        return names
    return names | {"go_on_from_states", "read_recorded_epochs"}
