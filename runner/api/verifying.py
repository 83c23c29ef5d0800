"""The verb `verify`: proof that sharing changed nothing.

Runs a sample of a spec's runs both ways, each side in a fresh temporary store and cache: together,
as `run` would, and each by itself with nothing shared. Then compares what the databases hold.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from runner.api.planning import make_plan
from runner.api.running import run_request
from runner.bind.binder import Binder, load_experiments
from runner.bind.cell_filter import select_cells
from runner.bind.code_digests import Sources, own_modules
from runner.bind.data_locations import image_sources
from runner.bind.plan_runs import PlannedRuns
from runner.bind.request import Request
from runner.bind.workspace import workspace
from runner.core.errors import Interrupted, UsageError
from runner.core.stages import ExtractFeatures
from runner.planner.sampling import sample_runs, shared_stages
from runner.store.dump import run_dump
from runner.store.verifications import record_verification

LOSS_TOLERANCE = 1e-4
ACCURACY_TOLERANCE = 0.005
FEATURES_TOLERANCE = 1e-4
"""What training on frozen features may differ by: the first loss, relatively; accuracies; and the
features of an image, relatively to their norm."""


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


def verify(
    spec: str | Path,
    sample: int = 4,
    sets: Sequence[str] = (),
    db: str | Path | None = None,
    data: str | Path | None = None,
    device: str | None = None,
    on_step: Callable[[str], None] = lambda text: None,
    should_stop: Callable[[], bool] = lambda: False,
    only: Sequence[str] = (),
) -> list[Verified]:
    """Run a sample of a spec both ways and compare; record the outcome in the database.

    Args:
        spec: a spec file.
        sample: how many runs; whole families of those that share most.
        sets: ``setting=value`` in every run, as ``epochs=2``.
        db: the database in which the outcome is recorded.
        data: folder in which data sets are looked for.
        device: name of the device.
        on_step: told what is being done.
        should_stop: asked after every step.
        only: label texts, ``label=text`` or ``setting=value``; the sample is of these cells.

    Raises:
        SpecError: with every problem found; nothing was started.
        UsageError: when the data is not there.
        Interrupted: when asked to stop; nothing is recorded or left behind.
    """
    with tempfile.TemporaryDirectory(prefix="runner-verify-") as folder:
        home = Path(folder)
        nothing = str(home / "nothing" / "results.db")
        explained, wanted = make_plan([spec], only, None, sets, nothing, data, device)
        if explained.missing:
            raise UsageError("\n".join(str(problem) for problem in explained.missing))
        runs = sample_runs(wanted.plan, sample)
        on_step(f"{len(runs)} of {len(wanted.plan.stages_by_run)} runs, sharing what they can")
        request = Request([spec], only=only, sets=sets, data=data, device=device, runs=runs)
        try:
            found = _both_ways(home, request, runs, on_step, should_stop)
        except Interrupted:
            raise Interrupted("stopped; nothing of a verification is kept") from None
    verified = [replace(each, name=explained.names[each.run]) for each in found]
    _record(db, Path(spec), sets, verified, device)
    return verified


def _both_ways(
    home: Path,
    request: Request,
    runs: Sequence[str],
    on_step: Callable[[str], None],
    should_stop: Callable[[], bool],
) -> list[Verified]:
    """Run the sample together and each of it alone; return what differs, without names."""
    db = home / "together" / "results.db"
    together, sharing = _side(replace(request, db=db), runs, should_stop)
    ended = [run for run in runs if not _failure(together[run], "")]
    deviations = _deviations(request, db, sharing, ended)
    shared = shared_stages(sharing.plan)
    verified = []
    for number, run in enumerate(runs, start=1):
        on_step(f"run {number} of {len(runs)}, by itself")
        place = home / f"alone-{number}" / "results.db"
        by_itself = replace(request, db=place, runs=(run,), no_share=True)
        alone, _ = _side(by_itself, (run,), should_stop)
        verified.append(_compared(run, shared[run], together[run], alone[run], deviations.get(run)))
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

    run_request(request, listen, should_stop)
    with workspace(request.db).open(create=False) as database:
        return {run: list(run_dump(database, run)) for run in runs}, planned[0]


def _deviations(
    request: Request, db: Path, wanted: PlannedRuns, runs: Sequence[str]
) -> dict[str, float]:
    """Return how far each run's stored features are from those of an unshared training."""
    from runner.engine.context import Context
    from runner.engine.deviation import features_deviation
    from runner.engine.device import choose_device, numerics

    stages = {
        stage.key: stage for stage in wanted.plan.stages if isinstance(stage, ExtractFeatures)
    }
    found = [(run, key) for run in runs for key in wanted.plan.stages_by_run[run] if key in stages]
    if not found:
        return {}
    place = workspace(db, request.data)
    binder = Binder(place)
    loaded = load_experiments(request.specs, None, request.sets, request.data)
    cells = binder.bind(select_cells(loaded, request.only))
    bound = {cell.run.run_key: cell for cell in cells}
    chosen = choose_device(request.device)
    sources, weights = image_sources(cells), binder.weights()
    context = Context(place.folder, chosen, numerics(chosen), "", sources, weights)
    return {
        run: features_deviation(context, stages[key], bound[run].resolved.settings)
        for run, key in found
    }


def _compared(
    run: str,
    shared: Collection[str],
    together: Sequence[str],
    alone: Sequence[str],
    deviation: float | None,
) -> Verified:
    failure = _failure(together, "together") or _failure(alone, "alone")
    if failure:
        difference, largest = failure, float("nan")
    elif deviation is None:
        difference, largest = _exactly(together, alone)
    elif deviation > FEATURES_TOLERANCE:
        difference, largest = f"features differ by {deviation:.2g} of their norm", deviation
    else:
        difference, largest = _nearly(together, alone)
        largest = max(largest, deviation)
    return Verified(run, "", deviation is None, len(shared), difference, largest)


def _failure(lines: Sequence[str], side: str) -> str:
    """Return why a side has nothing that could be compared, or ""."""
    results = [each["result"] for each in map(json.loads, lines) if "result" in each]
    if not results:
        return f"no result, {side}"
    if results[-1]["status"] == "failed":
        return f"failed, {side}: {results[-1]['message']}"
    return ""


def _exactly(together: Sequence[str], alone: Sequence[str]) -> tuple[str, float]:
    for ours, theirs in zip(together, alone, strict=False):
        if ours != theirs:
            return f"{ours[:120]} against {theirs[:120]}", float("nan")
    if len(together) != len(alone):
        return f"{len(together)} lines against {len(alone)}", float("nan")
    return "", 0.0


def _nearly(together: Sequence[str], alone: Sequence[str]) -> tuple[str, float]:
    """Compare numbers: the first step's loss, and every accuracy."""
    ours, theirs = dict(_numbers(together)), dict(_numbers(alone))
    if ours.keys() != theirs.keys():
        return f"{len(ours)} numbers against {len(theirs)}", float("nan")
    largest = 0.0
    for name, value in ours.items():
        is_loss = name == "first loss"
        gap = abs(value - theirs[name]) / (abs(theirs[name]) if is_loss else 1.0)
        largest = max(largest, gap)
        if gap > (LOSS_TOLERANCE if is_loss else ACCURACY_TOLERANCE):
            return f"{name}: {value} against {theirs[name]}", gap
    return "", largest


def _numbers(lines: Sequence[str]) -> Iterator[tuple[str, float]]:
    for line in lines:
        content: dict[str, Any] = json.loads(line)
        if "metric" in content:
            epoch, split, name, value = content["metric"]
            if name == "accuracy":
                yield f"{split}_accuracy of epoch {epoch}", float(value)
        elif "steps" in content and content["steps"][0] == 1:
            yield "first loss", float(content["steps"][2][0])


def _record(
    db: str | Path | None,
    spec: Path,
    sets: Sequence[str],
    verified: Sequence[Verified],
    device: str | None,
) -> None:
    from runner.engine.device import choose_device, environment, numerics

    place = workspace(db)
    with place.open() as database:
        record_verification(
            database,
            spec=str(spec),
            sets=list(sets),
            is_same=all(not each.difference for each in verified),
            runs=[asdict(each) for each in verified],
            environment={
                **environment(),
                "modules": Sources(place.folder).digests(own_modules()),
                "numerics": numerics(choose_device(device)),
            },
        )
