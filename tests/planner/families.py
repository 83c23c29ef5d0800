"""Made-up trainings whose paths say which epochs they have in common."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from typing import Any

from runner.core.plan import Facts, Plan
from runner.core.reader import Reader, SelectRule
from runner.core.stages import Stage
from runner.planner.rules import merge_equal_stages
from runner.planner.trajectories import share_trajectories

PIXELS = "pixels/p"


def path_of(text: str) -> list[dict[str, Any]]:
    """Return the path that `x15 y10` means: 15 epochs under values x, then 10 under y.

    As for real ones, a segment's key says what came before it and not how long it goes on.
    """
    path: list[dict[str, Any]] = []
    parent, first = "", 1
    for values, length in re.findall(r"([a-z])(\d+)", text):
        key = f"{parent}{values}"
        path.append({"key": key, "first_epoch": first, "num_epochs": int(length)})
        first += int(length)
        parent = f"{key}{first - 1}"
    return path


def reader(limit: float = 20.0) -> dict[str, Any]:
    """Return a reader, as JSON, of a training of up to 99 epochs; its last epoch is its best."""
    return asdict(Reader(99, None, SelectRule("last", "max"), "best", limit))


def chain_of(name: str, path: str, tested: bool = True, limit: float = 20.0) -> tuple[Stage, ...]:
    """Return the naive chain of a run."""
    prepare = Stage("p", "prepare", {}, produces=(PIXELS,), cost_kind="p", num_bytes=100)
    segments = path_of(path)
    train = Stage(
        name,
        "train",
        {
            "settings": {"of": name},
            "readers": {name: reader(limit)},
            "first_epoch": 1,
            "start": "",
            "path": segments,
        },
        needs=("p",),
        produces=(f"weights/{name}-best",),
        consumes=(PIXELS,),
        cost_kind="t",
        epochs=sum(each["num_epochs"] for each in segments),
        num_bytes=10,
    )
    if not tested:
        return (prepare, train)
    evaluate = Stage(
        f"test-{name}",
        "evaluate",
        {"reading": name, "trainings": [name], "weights": train.produces[0]},
        needs=("p", name),
        consumes=(PIXELS, *train.produces),
        num_bytes=0,
    )
    return (prepare, train, evaluate)


def naive(chains: Mapping[str, tuple[Stage, ...]]) -> Plan:
    """Return the plan that does every run by itself; a run is called as its training."""
    return Plan(
        stages=tuple(stage for chain in chains.values() for stage in chain),
        reads={run: tuple(stage.key for stage in chain) for run, chain in chains.items()},
    )


def family(paths: Mapping[str, str]) -> Plan:
    """Return the naive plan of runs with these paths."""
    return naive({name: chain_of(name, path) for name, path in paths.items()})


def shared(plan: Plan) -> Plan:
    """Return the plan as the rule that shares trajectories gets and leaves it."""
    return share_trajectories(merge_equal_stages(plan, Facts()), Facts())


def trainings(plan: Plan) -> list[Stage]:
    """Return the trainings of a plan."""
    return [stage for stage in plan.stages if stage.kind == "train"]


def span(stage: Stage) -> tuple[int, int]:
    """Return the first and the last epoch that a training trains."""
    last = stage.spec["path"][-1]
    return int(stage.spec["first_epoch"]), int(last["first_epoch"] + last["num_epochs"] - 1)


def epochs_of(path: list[Mapping[str, Any]]) -> Iterator[tuple[str, int]]:
    """Yield each epoch of a path with the key of its segment."""
    for each in path:
        for epoch in range(each["first_epoch"], each["first_epoch"] + each["num_epochs"]):
            yield each["key"], epoch


def own_epochs(stage: Stage) -> set[tuple[str, int]]:
    """Return the epochs that a training trains itself."""
    return {each for each in epochs_of(stage.spec["path"]) if each[1] >= stage.spec["first_epoch"]}
