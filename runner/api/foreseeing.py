"""The verb `plan --actual`: what plans expected of what was done, and what it took."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any

from runner.api.frames import Framed
from runner.bind.bound_cell import BoundCell
from runner.bind.bound_request import bind_request
from runner.bind.request import Asked, as_request
from runner.core.plan import Facts, Plan
from runner.core.records import ActualCost
from runner.core.stages import Stage, StageKind
from runner.lower.stages import naive_plan
from runner.planner.explain import Branch, tree
from runner.spec.cell_names import run_name
from runner.store.executed import actual_costs, all_costs, last_epochs, recorded_plan
from runner.store.running import held_stages

COLUMNS = [
    *("stage", "kind", "parent", "runs", "status"),
    *("predicted_epochs", "predicted_seconds", "epochs", "seconds"),
]

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True, slots=True)
class KindTotal:
    """Prediction against truth, of all stages of one kind.

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

    kind: StageKind
    attempts: int
    predicted_epochs: int
    epochs: int
    foreseen: int
    predicted_seconds: float
    seconds: float
    other_seconds: float


@dataclass(frozen=True, slots=True, repr=False)
class PlanActual(Framed):
    """Prediction against truth of what was done for specs.

    Attributes:
        kinds: in all, by kind of stage.
        tree: the stages as they were planned, each with what it took.
        names: of the runs, by key.
    """

    kinds: tuple[KindTotal, ...]
    tree: tuple[Branch, ...]
    names: Mapping[str, str]

    def rows(self) -> list[dict[str, Any]]:
        """Return one mapping per stage, parents first; tests of runs are not among them."""
        return list(_rows(self.tree, None))

    def frame(self) -> pd.DataFrame:
        """Return one row per stage."""
        import pandas as pd

        return pd.DataFrame(self.rows(), columns=COLUMNS)


def _rows(branches: Iterable[Branch], parent: str | None) -> Iterator[dict[str, Any]]:
    for branch in branches:
        cost = branch.actual or ActualCost("", None, None, 0, 0.0)
        yield {
            "stage": branch.stage.key,
            "kind": branch.stage.kind,
            "parent": parent,
            "runs": branch.through,
            **asdict(cost),
            "status": cost.status or "never",
        }
        yield from _rows(branch.children, branch.stage.key)


def actual(asked: Asked, **options: Any) -> PlanActual:
    """Return prediction against truth of what was done for specs.

    Args:
        asked: spec files, or a request.
        options: as in :class:`runner.api.Request`.

    Raises:
        SpecError: with every problem found, but missing data.
        UsageError: when there is no database.
    """
    bound = bind_request(as_request(asked, options), provisional=True)
    naive = naive_plan((cell.run, cell.chain(0)) for cell in _distinct(bound.cells))
    with bound.workspace.open(create=False) as database:
        plan = _with_never_asked(recorded_plan(database, naive.stages_by_run), naive)
        keys = {stage.key: stage for stage in plan.stages}
        costs = _with_dead(actual_costs(database, keys), held_stages(database, alive=True))
        kinds = _kinds(keys, all_costs(database, keys))
        ends = last_epochs(database, naive.stages_by_run)
    names = {cell.run.run_key: run_name(cell.cell) for cell in reversed(bound.cells)}
    branches = tree(naive, plan, Facts(), costs) if costs else []
    return PlanActual(kinds, tuple(_as_read(each, ends) for each in branches), names)


def _as_read(branch: Branch, ends: Mapping[str, int]) -> Branch:
    """Return a branch where finished runs read what they have read."""
    return replace(
        branch,
        runs=tuple(
            replace(each, last_epoch=ends[each.run], may_stop=False) if each.run in ends else each
            for each in branch.runs
        ),
        children=tuple(_as_read(each, ends) for each in branch.children),
    )


def _with_dead(costs: Mapping[str, ActualCost], held: Collection[str]) -> dict[str, ActualCost]:
    """Return costs where what no living process does any more is lost."""
    return {
        key: replace(cost, status="lost") if cost.status == "running" and key not in held else cost
        for key, cost in costs.items()
    }


def _distinct(cells: Sequence[BoundCell]) -> list[BoundCell]:
    return list({cell.run.run_key: cell for cell in cells}.values())


def _with_never_asked(recorded: Plan, naive: Plan) -> Plan:
    """Return the recorded plan, with the runs that were never asked for as each is by itself."""
    stages = {stage.key: stage for stage in recorded.stages}
    chains = dict(recorded.stages_by_run)
    alone = {stage.key: stage for stage in naive.stages}
    for run, keys in naive.stages_by_run.items():
        if run not in chains:
            chains[run] = keys
            for key in keys:
                stages.setdefault(key, alone[key])
    ordered = {run: chains[run] for run in naive.stages_by_run}
    return Plan(tuple(stages.values()), ordered)


def _kinds(
    stages: Mapping[str, Stage], costs: Iterable[tuple[str, ActualCost]]
) -> tuple[KindTotal, ...]:
    by_kind: dict[StageKind, list[ActualCost]] = {}
    for key, cost in costs:
        by_kind.setdefault(stages[key].kind, []).append(cost)
    return tuple(_total(kind, rows) for kind, rows in by_kind.items())


def _total(kind: StageKind, costs: Sequence[ActualCost]) -> KindTotal:
    foreseen = [cost for cost in costs if cost.predicted_seconds is not None]
    others = [cost for cost in costs if cost.predicted_seconds is None]
    return KindTotal(
        kind=kind,
        attempts=len(costs),
        predicted_epochs=sum(cost.predicted_epochs or 0 for cost in costs),
        epochs=sum(cost.epochs for cost in costs),
        foreseen=len(foreseen),
        predicted_seconds=sum(cost.predicted_seconds or 0.0 for cost in foreseen),
        seconds=sum(cost.seconds for cost in foreseen),
        other_seconds=sum(cost.seconds for cost in others),
    )
