"""The verb `verify`: proof that sharing changed nothing.

Runs a sample of a spec's runs both ways, each side in a fresh temporary store and cache: together,
as `run` would, and each by itself with nothing shared. Then compares what the databases hold.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Collection, Sequence
from dataclasses import asdict, astuple, dataclass, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from runner.api.frames import Framed
from runner.api.planning import make_plan
from runner.api.running import run
from runner.bind.code_digests import Sources, own_modules
from runner.bind.data_locations import image_sources
from runner.bind.plan_runs import PlannedRuns
from runner.bind.request import Asked, Request, as_request
from runner.bind.workspace import REFERENCE, workspace
from runner.core.errors import Interrupted, SpecError, UsageError
from runner.core.stages import ExtractFeatures
from runner.planner.sampling import sample_runs, shared_stages, unshared_runs
from runner.store.dump import run_dump
from runner.store.dump_differences import exact_difference, failure_in, near_difference
from runner.store.verifications import record_verification

if TYPE_CHECKING:
    import pandas as pd

FEATURES_TOLERANCE = 1e-4
"""What features of an image that were computed apart may differ by, relatively to their norm."""

SHARE_NOTHING = "as they may share nothing (plan says why)"

ON_MPS = "mps does not promise to repeat itself: a difference may be the device's, not sharing's"

WITHOUT_RECORDS: dict[str, Any] = {
    "limit": None,
    "retry_failed": False,
    "rerun": False,
    "use_reference": False,
    "artifacts": "",
}
"""Options that speak of recorded results, or of what others made; each side begins with none."""


@dataclass(frozen=True, slots=True)
class Verified:
    """What became of one run of the sample.

    Attributes:
        run: its key.
        name: of its cell.
        exact: whether bytes were compared, or numbers within tolerances (frozen features).
        shared: stages that it shared with others of the sample, or its features.
        difference: "" when both sides are alike, else what differs first, or why there is nothing
            to compare.
        largest: largest difference of a number, 0 where bytes are equal.
    """

    run: str
    name: str
    exact: bool
    shared: int
    difference: str
    largest: float


@dataclass(frozen=True, slots=True, repr=False)
class Verification(Framed):
    """What became of the runs of a sample."""

    runs: tuple[Verified, ...]

    @property
    def is_same(self) -> bool:
        """Whether both sides of every run are alike."""
        return not any(run.difference for run in self.runs)

    @property
    def num_shared(self) -> int:
        """How many runs shared anything; a sample of none says nothing of sharing."""
        return sum(bool(run.shared) for run in self.runs)

    def frame(self) -> pd.DataFrame:
        """Return a row per run; columns as in :class:`Verified`."""
        import pandas as pd

        columns = [field.name for field in fields(Verified)]
        return pd.DataFrame([astuple(run) for run in self.runs], columns=columns)


def verify(
    asked: Asked,
    sample: int = 4,
    *,
    on_step: Callable[[str], None] = lambda text: None,
    should_stop: Callable[[], bool] = lambda: False,
    **options: Any,
) -> Verification:
    """Run a sample of a spec both ways and compare; record the outcome in the database.

    Where all runs are of own code that may share nothing, there is nothing to compare.

    Args:
        asked: spec files, or a request; what it says of recorded results has no meaning here.
        sample: how many runs; whole families of those that share most.
        on_step: told what is being done.
        should_stop: asked after every step.
        options: as in :class:`runner.api.Request`.

    Raises:
        SpecError: with every problem found, missing data too; nothing was started.
        UsageError: for a database that the outcome cannot be recorded in; nothing was started.
        Interrupted: when asked to stop; nothing is recorded or left behind.
    """
    from runner.engine.device import choose_device

    request = replace(as_request(asked, options), deterministic=True)  # bytes are compared
    _check_target(request)
    if choose_device(request.device).type == "mps":
        on_step(ON_MPS)
    with tempfile.TemporaryDirectory(prefix="runner-verify-") as folder:
        home = Path(folder)
        fresh = replace(request, db=home / "nothing" / "results.db", **WITHOUT_RECORDS)
        explained, planned = make_plan(fresh)
        if explained.missing:
            raise SpecError(explained.missing)
        runs = sample_runs(planned.plan, sample)
        if alone := unshared_runs(planned.plan):
            on_step(f"left out, {SHARE_NOTHING}: {len(alone)} of {explained.runs} runs")
        if not runs:
            return Verification(())
        on_step(f"{len(runs)} of {len(planned.plan.stages_by_run)} runs, sharing what they can")
        try:
            compared = _both_ways(home, replace(fresh, runs=runs), runs, on_step, should_stop)
        except Interrupted:
            raise Interrupted("stopped; nothing of a verification is kept") from None
    verified = [replace(run, name=explained.names[run.run]) for run in compared]
    _record(request, verified)
    return Verification(tuple(verified))


def _check_target(request: Request) -> None:
    """Refuse a database that the outcome could not be recorded in, before anything is trained."""
    target = workspace(request.db)
    if target.database_path == REFERENCE:
        raise UsageError(
            "the outcome cannot be recorded in the reference", hint="name another database"
        )
    if target.has_database():
        with target.open(create=False):
            pass


def _both_ways(
    home: Path,
    request: Request,
    runs: Sequence[str],
    on_step: Callable[[str], None],
    should_stop: Callable[[], bool],
) -> list[Verified]:
    """Run the sample together and each of it alone; return what differs, without names."""
    shared = replace(request, db=home / "together" / "results.db")
    together, planned = _side(shared, runs, should_stop)
    ended = [key for key in runs if not failure_in(together[key], "")]
    deviations = _deviations(planned, ended)
    stages = shared_stages(planned.plan)
    verified = []
    for number, key in enumerate(runs, start=1):
        on_step(f"run {number} of {len(runs)}, by itself")
        db = home / f"alone-{number}" / "results.db"
        by_itself = replace(request, db=db, runs=(key,), no_share=True)
        alone, _ = _side(by_itself, (key,), should_stop)
        verified.append(_compared(key, stages[key], together[key], alone[key], deviations.get(key)))
    return verified


def _side(
    request: Request, runs: Sequence[str], should_stop: Callable[[], bool]
) -> tuple[dict[str, list[str]], PlannedRuns]:
    """Do the runs in a fresh store; return what it holds of each, and how they were planned."""
    from runner.execute.listener import NullListener

    assert request.db is not None
    Path(request.db).parent.mkdir(parents=True)
    planned: list[PlannedRuns] = []

    def listen(wanted: PlannedRuns) -> NullListener:
        planned.append(wanted)
        return NullListener()

    run(request, listen=listen, should_stop=should_stop)
    with workspace(request.db).open(create=False) as database:
        return {run: list(run_dump(database, run)) for run in runs}, planned[0]


def _deviations(planned: PlannedRuns, runs: Sequence[str]) -> dict[str, float]:
    """Return how far each run's stored features are from those of an unshared training."""
    from runner.engine.context import Context
    from runner.engine.deviation import features_deviation
    from runner.engine.device import choose_device
    from runner.engine.numerics import begin_numerics, on_threads

    stages = {
        stage.key: stage for stage in planned.plan.stages if isinstance(stage, ExtractFeatures)
    }
    to_check = [
        (run, key) for run in runs for key in planned.plan.stages_by_run[run] if key in stages
    ]
    if not to_check:
        return {}
    bound = planned.bound
    cells = {cell.run.run_key: cell for cell in bound.cells}
    device = choose_device(bound.request.device)
    numerics = begin_numerics(device, bound.request.threads, bound.request.deterministic)
    sources = image_sources(bound.cells)
    folder = bound.workspace.folder
    found: dict[str, float] = {}
    for name, key in to_check:
        made_under = numerics.of(stages[key])
        context = Context(folder, device, made_under, "", sources, bound.weights)
        context = replace(context, deterministic=numerics.deterministic)
        with on_threads(numerics.threads(stages[key])):
            found[name] = features_deviation(context, stages[key], cells[name].resolved.settings)
    return found


def _compared(
    run: str,
    shared: Collection[str],
    together: Sequence[str],
    alone: Sequence[str],
    deviation: float | None,
) -> Verified:
    failure = failure_in(together, "together") or failure_in(alone, "alone")
    if failure:
        difference, largest = failure, float("nan")
    elif deviation is None:
        difference, largest = exact_difference(together, alone)
    elif deviation > FEATURES_TOLERANCE:
        difference, largest = f"features differ by {deviation:.2g} of their norm", deviation
    else:
        difference, largest = near_difference(together, alone)
        largest = max(largest, deviation)
    return Verified(run, "", deviation is None, len(shared), difference, largest)


def _record(request: Request, verified: Sequence[Verified]) -> None:
    from runner.engine.device import choose_device, environment
    from runner.engine.numerics import begin_numerics

    home = workspace(request.db)
    device = choose_device(request.device)
    numerics = begin_numerics(device, request.threads, request.deterministic)
    with home.open() as database:
        record_verification(
            database,
            spec=" ".join(str(spec) for spec in request.specs),
            sets=list(request.sets),
            is_same=all(not run.difference for run in verified),
            runs=[asdict(run) for run in verified],
            environment={
                **environment(),
                "modules": Sources(home.folder).digests(own_modules()),
                "numerics": numerics.of_machine(),
            },
        )
