"""The plan as it comes alive: a node for each stage, with who does it and how far it is.

Stages that do alike work for many runs are one node, since nobody can look at thousands.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from runner.core.stages import STAGE_KINDS
from runner.report.page.structure import Structure
from runner.spec.cell_names import settings_words
from runner.store.watched import WatchedAttempt, Worker
from runner.store.watched_stages import WatchedStage

MOST_NODES = 60
"""More stages than that are shown by groups."""

_NOTHING = object()


@dataclass
class StageStanding:
    """How far a stage is.

    Attributes:
        status: waiting, running, done, diverged, failed or stopped.
        epoch: the last that is recorded of the newest attempt.
        predicted: seconds that the plan expected, None where it was never measured.
        seconds: wall seconds of all attempts so far.
        worker: who does it now.
    """

    status: str = "waiting"
    epoch: int = 0
    predicted: float | None = None
    seconds: float = 0.0
    worker: Worker | None = None


def standing_of(
    attempts: Sequence[WatchedAttempt], worker: Worker | None, now: float
) -> StageStanding:
    """Return how far a stage is, from all attempts at it.

    Args:
        attempts: in order.
        worker: who has claimed it, or None.
        now: seconds since 1970.
    """
    if not attempts:
        claimed = worker is not None and worker.alive  # its attempt is recorded since we looked
        return StageStanding("running", worker=worker) if claimed else StageStanding()
    newest = attempts[-1]
    ended = [each for each in attempts if each.status in ("done", "diverged", "reference")]
    predicted = next((each.predicted.get("seconds") for each in attempts if each.predicted), None)
    seconds = sum(each.seconds or 0.0 for each in attempts)
    at_work = worker is not None and worker.alive
    if at_work and newest.seconds is None:
        seconds += max(now - newest.started, 0.0)
    if at_work:
        status = "running"
    elif ended:
        status = "done" if ended[-1].status == "reference" else ended[-1].status
    elif newest.status == "failed":
        status = "failed"
    else:
        status = "stopped"
    return StageStanding(status, newest.epoch, predicted, seconds, worker if at_work else None)


@dataclass
class _Node:
    """Stages that are shown as one."""

    key: str
    kind: str
    title: str
    parent: str | None
    depth: int
    stages: list[str] = field(default_factory=list)
    epochs: int = 0
    first_epoch: int = 0
    readers: set[str] = field(default_factory=set)


def plan_nodes(structure: Structure) -> list[dict[str, Any]]:
    """Return the nodes of an experiment's plan, parents first: what does not change of each.

    Returns:
        Mappings with ``key``, ``kind``, ``title``, ``parent`` (a key, or None), ``depth``,
        ``stages`` (keys), ``epochs`` of its own, ``first_epoch``, ``runs``, how many read it, and
        ``for``, what these have in common.
    """
    parents, readers = _parents(structure), _readers(structure)
    ordered = _in_order(structure, parents, readers)
    shown = [each for each, _ in ordered if each.kind != "evaluate"]
    alone = len(shown) <= MOST_NODES
    nodes: dict[str, _Node] = {}
    node_of: dict[str, str] = {}
    for stage, depth in ordered:
        if stage.kind == "evaluate":
            continue
        parent = node_of.get(parents.get(stage.key, ""))
        key = stage.key if alone else f"{parent or ''}/{stage.kind}:{_shape(stage)}"
        node = nodes.get(key)
        if node is None:
            node = nodes[key] = _Node(key, stage.kind, _title(stage), parent, depth)
        node_of[stage.key] = key
        node.stages.append(stage.key)
        node.readers |= readers.get(stage.key, set())
        if stage.kind == "train":
            node.epochs += stage.last_epoch - stage.first_epoch + 1
            node.first_epoch = stage.first_epoch
    evaluations = [each.key for each, _ in ordered if each.kind == "evaluate"]
    made = [*nodes.values(), *_after(evaluations, structure)]
    return [
        {
            "key": each.key,
            "kind": each.kind,
            "title": each.title,
            "parent": each.parent,
            "depth": each.depth,
            "stages": each.stages,
            "epochs": each.epochs,
            "first_epoch": each.first_epoch,
            "runs": len(each.readers),
            "for": _named(structure, each) if each.kind == "train" else "",
        }
        for each in made
    ]


def _after(evaluations: list[str], structure: Structure) -> Iterator[_Node]:
    """Yield nodes of what is done of finished trainings: each kind is one."""
    if evaluations:
        node = _Node("evaluations", "evaluate", "test the best weights", None, 0, evaluations)
        yield node
    kinds: dict[str, list[str]] = {}
    for key, stage in structure.analyses.items():
        kinds.setdefault(str(stage["kind"]), []).append(key)
    for kind, keys in kinds.items():
        node = _Node(f"analysis:{kind}", "analyse", f"analyse: {kind}", None, 0, keys)
        yield node


def _title(stage: WatchedStage) -> str:
    if stage.kind != "train":
        return stage.title
    first, last = stage.first_epoch, stage.last_epoch
    return f"epochs {first}–{last}" if first != last else f"epoch {first}"


def _shape(stage: WatchedStage) -> str:
    return stage.title or f"{stage.first_epoch}-{stage.last_epoch}"


def _parents(structure: Structure) -> dict[str, str]:
    """Return the stage that each goes on from: a training before features before pixels."""
    stages = structure.stages.values()
    kinds = {stage.key: STAGE_KINDS.index(stage.kind) for stage in stages}
    found = {}
    for stage in stages:
        needs = [need for need in stage.needs if need in kinds]
        if needs:
            found[stage.key] = max(needs, key=lambda need: kinds[need])
    return found


def _readers(structure: Structure) -> dict[str, set[str]]:
    """Return the runs that read each stage."""
    found: dict[str, set[str]] = {}
    for run, keys in structure.chains.items():
        for key in keys:
            found.setdefault(key, set()).add(run)
    return found


def _named(structure: Structure, node: _Node) -> str:
    """Return what the cells of a node have in common, of all that differs within the experiment."""
    if len(node.readers) > MOST_NODES:
        return ""
    cells = [each for each in structure.cells if each.run_key in node.readers]
    if not cells:
        return ""
    common = {
        path: value
        for path, value in cells[0].swept.items()
        if all(each.swept.get(path, _NOTHING) == value for each in cells)
        and any(each.swept.get(path, _NOTHING) != value for each in structure.cells)
    }
    parts = [settings_words(common)] if common else []
    if len({each.position for each in cells}) == 1 and cells[0].labels:
        parts = [structure.names[cells[0].position]]
    for name, values in (
        ("fold", {each.fold for each in cells}),
        ("seed", {each.seed for each in cells}),
    ):
        several = len({getattr(each, name) for each in structure.cells}) > 1
        if several and len(values) == 1:
            parts.append(f"{name}={values.pop()}")
    return " ".join(parts)


def _in_order(
    structure: Structure, parents: Mapping[str, str], readers: Mapping[str, set[str]]
) -> list[tuple[WatchedStage, int]]:
    """Return stages with their depth, each behind the one that it goes on from.

    Those that go on from the same one are in the order of the cells that they are for.
    """
    places: dict[str, int] = {}
    for number, cell in enumerate(structure.cells):
        places.setdefault(cell.run_key, number)
    first = {
        key: min((places[run] for run in runs if run in places), default=0)
        for key, runs in readers.items()
    }
    children: dict[str | None, list[WatchedStage]] = {}
    for stage in sorted(structure.stages.values(), key=lambda each: first.get(each.key, 0)):
        children.setdefault(parents.get(stage.key), []).append(stage)
    ordered: list[tuple[WatchedStage, int]] = []
    waiting = [(stage, 0) for stage in reversed(children.get(None, []))]
    while waiting:
        stage, depth = waiting.pop()
        ordered.append((stage, depth))
        waiting += [(each, depth + 1) for each in reversed(children.get(stage.key, []))]
    return ordered


def node_standing(
    node: Mapping[str, Any], standings: Mapping[str, StageStanding]
) -> dict[str, Any]:
    """Return how far a node is, as JSON values: counts by status, epochs, seconds, workers."""
    own = [standings.get(key, StageStanding()) for key in node["stages"]]
    counts: dict[str, int] = {}
    for each in own:
        counts[each.status] = counts.get(each.status, 0) + 1
    first = node["first_epoch"]
    trained = 0
    if node["kind"] == "train":
        length = max(node["epochs"] // max(len(own), 1), 0)
        for each in own:
            whole = each.status == "done"
            trained += length if whole else max(min(each.epoch - first + 1, length), 0)
    predicted = [each.predicted for each in own if each.predicted is not None]
    at_work = [each.worker for each in own if each.worker is not None]
    return {
        "counts": counts,
        "epochs_done": trained,
        "predicted": sum(predicted) if predicted else None,
        "seconds": sum(each.seconds for each in own),
        "workers": [f"process {each.pid} on {each.host}" for each in at_work[:3]],
    }
