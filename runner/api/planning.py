"""The verb `plan`: what a run would do, before anything is done."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from runner.bind.binder import Binder, BoundCell, load_experiments
from runner.bind.cell_filter import select_cells
from runner.bind.changed_code import NOTHING_CHANGED, ChangedCode, changed_code_of
from runner.bind.code_digests import Sources
from runner.bind.plan_runs import PlannedRuns, disabled_rules, plan_runs
from runner.bind.workspace import Workspace, workspace
from runner.core.errors import Problem
from runner.core.plan import DEFAULT_CACHE_LIMIT, Decision, Facts
from runner.core.stages import Train
from runner.planner.cost import Cost, plan_costs, predicted
from runner.planner.explain import Branch, Saving, not_shared, savings, tree
from runner.spec.cell_names import run_name
from runner.store.progress import latest_results
from runner.store.reference import reference_statuses

if TYPE_CHECKING:
    import pandas as pd
    import torch


@dataclass(frozen=True)
class Explained:
    """A plan in numbers.

    Attributes:
        runs: distinct wanted runs.
        done: of them, with a result (diverged included).
        taken: of those done, the ones whose result `run` would take from the reference.
        failed: of them, failed before and not retried.
        wanted: cost of every run by itself.
        planned: cost of what is to do.
        missing: data sets that are not there; keys are then provisional.
        notes: what a person should know of the data.
        probed: whether seconds come from a probe.
        decisions: what the rules decided that a person may wonder about.
        downloads: bytes that `run` would fetch first, by the name of the file.
        names: of the runs, by key.
        tree: the stages to do.
        savings: what each rule left out.
        not_shared: why trainings that look alike share nothing.
        changed: runs with a result, of other code than today's.
    """

    cells: int
    runs: int
    done: int
    taken: int
    failed: int
    wanted: Cost
    planned: Cost
    device: str
    missing: tuple[Problem, ...]
    notes: tuple[str, ...]
    probed: bool
    decisions: tuple[Decision, ...]
    downloads: Mapping[str, int]
    names: Mapping[str, str]
    tree: tuple[Branch, ...]
    savings: tuple[Saving, ...]
    not_shared: tuple[str, ...]
    changed: ChangedCode = NOTHING_CHANGED

    def as_dict(self) -> dict[str, Any]:
        """Return it as JSON values."""
        values = asdict(replace(self, tree=(), names={}))
        del values["tree"], values["names"]
        values["stages"] = list(_flat(self.tree, self.names, None))
        values["decisions"] = list(dict.fromkeys(each.why for each in self.decisions))
        values["missing"] = [str(problem) for problem in self.missing]
        values["to_do"] = self.runs - self.done - self.failed
        values["download_bytes"] = sum(self.downloads.values())
        return values


def _flat(
    branches: Iterable[Branch], names: Mapping[str, str], parent: str | None
) -> Iterator[dict[str, Any]]:
    """Yield one mapping per stage of a tree, parents first."""
    for branch in branches:
        stage = branch.stage
        last = stage.last_epoch if isinstance(stage, Train) else None
        ending = [{**asdict(each), "name": names[each.run]} for each in branch.runs]
        yield {
            "key": stage.key,
            "kind": stage.kind,
            "parent": parent,
            "first_epoch": last - stage.epochs + 1 if last and stage.epochs else None,
            "last_epoch": last,
            "seconds": branch.seconds,
            "num_bytes": stage.num_bytes,
            "runs": branch.through,
            "ending": ending,
        }
        yield from _flat(branch.children, names, stage.key)


def plan(
    specs: str | Path | Iterable[str | Path],
    only: Sequence[str] = (),
    profile: str | None = None,
    sets: Sequence[str] = (),
    db: str | Path | None = None,
    data: str | Path | None = None,
    device: str | None = None,
    use_reference: bool = False,
) -> pd.DataFrame:
    """Return the stages that `run` would do now, one row each.

    Columns: stage (its key), kind, epochs, seconds (estimated), num_bytes, runs (that read it).

    Args:
        specs: spec files.
        only: label texts, ``label=text`` or ``setting=value``.
        profile: name of a profile.
        sets: ``setting=value`` options.
        db: the database.
        data: folder in which data sets are looked for.
        device: whose measured seconds are used.
        use_reference: count results in the reference as done.

    Raises:
        SpecError: with every problem found, but missing data.
    """
    import pandas as pd

    paths = [specs] if isinstance(specs, str | Path) else list(specs)
    _, wanted = make_plan(paths, only, profile, sets, db, data, device, use_reference=use_reference)
    readers: dict[str, int] = {}
    for keys in wanted.plan.stages_by_run.values():
        for key in keys:
            readers[key] = readers.get(key, 0) + 1
    return pd.DataFrame(
        [
            {
                "stage": stage.key,
                "kind": stage.kind,
                "epochs": stage.epochs,
                "seconds": predicted(stage, wanted.facts)["seconds"],
                "num_bytes": stage.num_bytes,
                "runs": readers[stage.key],
            }
            for stage in wanted.plan.stages
        ],
        columns=["stage", "kind", "epochs", "seconds", "num_bytes", "runs"],
    )


def make_plan(
    specs: Sequence[str | Path],
    only: Sequence[str],
    profile: str | None,
    sets: Sequence[str],
    db: str | Path | None,
    data: str | Path | None,
    device: str | None,
    probe: bool = False,
    cache_limit: int = DEFAULT_CACHE_LIMIT,
    no_share: bool = False,
    disable: Sequence[str] = (),
    use_reference: bool = False,
) -> tuple[Explained, PlannedRuns]:
    """Return the plan of specs, and the same in numbers.

    Reads the database when there is one, and makes none.
    """
    from runner.engine.device import choose_device, device_name, numerics

    chosen_device = choose_device(device)
    experiments = load_experiments(specs, profile, sets, data)
    place = workspace(db, data)
    binder = Binder(place, provisional=True)
    cells = binder.bind(select_cells(experiments, only))
    name = device_name(chosen_device)
    disabled = disabled_rules(no_share, disable)
    made = numerics(chosen_device)
    wanted, taken, changed = _want(cells, place, name, cache_limit, disabled, use_reference, made)
    if probe:
        wanted = replace(wanted, facts=_probed(cells, wanted, chosen_device))
    explained = _explained(cells, wanted, name, binder, probe, disabled, taken)
    return replace(explained, changed=changed), wanted


def _want(
    cells: Sequence[BoundCell],
    place: Workspace,
    device: str,
    cache_limit: int,
    disabled: frozenset[str],
    use_reference: bool,
    numerics: Mapping[str, Any],
) -> tuple[PlannedRuns, int, ChangedCode]:
    """Return what is wanted, how many results of it `run` would take from the reference, and what
    of its results other code has made.
    """
    keys = {cell.run.run_key for cell in cells}
    reference = reference_statuses(keys) if use_reference else {}
    with place.open_existing() as database:
        wanted = plan_runs(
            cells,
            cells,
            database,
            place,
            device,
            cache_limit=cache_limit,
            disabled=disabled,
            reference=reference,
            numerics=numerics,
        )
        there = {} if database is None else latest_results(database, reference)
        changed = NOTHING_CHANGED
        if database is not None:
            changed = changed_code_of(
                wanted, wanted.facts.finished, database, Sources(place.folder)
            )
    taken = sum(there.get(key, ("failed", 0))[0] == "failed" for key in reference)
    return wanted, taken, changed


def _probed(cells: Sequence[BoundCell], wanted: PlannedRuns, device: torch.device) -> Facts:
    """Return the facts with seconds measured on a few images, where none are recorded."""
    from runner.engine.probe import Probe

    by_run = {cell.run.run_key: cell for cell in cells}
    measured = dict(wanted.facts.seconds)
    planned = {stage.key for stage in wanted.plan.stages}
    for run in wanted.plan.stages_by_run:
        cell = by_run[run]
        if cell.bound_model is None or cell.source is None:
            continue
        probe = Probe(cell.resolved.settings, cell.source, cell.bound_model.shape, device)
        for stage in wanted.chains[run]:
            if stage.key in planned and stage.cost_key not in measured:
                measured[stage.cost_key] = probe.seconds(stage)
    return replace(wanted.facts, seconds=measured)


def _explained(
    cells: Sequence[BoundCell],
    wanted: PlannedRuns,
    device: str,
    binder: Binder,
    probed: bool,
    disabled: frozenset[str],
    taken: int,
) -> Explained:
    statuses = [wanted.facts.finished.get(key) for key in wanted.chosen]
    naive, planned = plan_costs(wanted.naive, wanted.plan, wanted.facts)
    if disabled >= {"share_trajectories", "go_on_from_states"}:
        planned = replace(planned, state_bytes=0)
    chosen = set(wanted.chosen)
    names = {cell.run.run_key: run_name(cell.cell) for cell in reversed(cells)}
    return Explained(
        cells=sum(cell.run.run_key in chosen for cell in cells),
        runs=len(wanted.chosen),
        done=sum(status in ("done", "diverged") for status in statuses),
        taken=taken,
        failed=statuses.count("failed"),
        wanted=naive,
        planned=planned,
        device=device,
        missing=tuple(dict.fromkeys(binder.missing)),
        notes=tuple(binder.notes),
        probed=probed,
        decisions=tuple(wanted.plan.decisions),
        downloads=dict(binder.downloads),
        names=names,
        tree=tuple(tree(wanted.naive, wanted.plan, wanted.facts)),
        savings=tuple(savings(wanted.naive, wanted.steps, wanted.facts)),
        not_shared=tuple(not_shared(wanted.naive, wanted.plan, wanted.facts, wanted.reruns, names)),
    )
