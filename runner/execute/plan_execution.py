"""What an executor is handed: a plan, what its workers need, and what this process holds open.

Owns no behaviour. What goes to a worker is plain values only, so that it can go to another process.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, Protocol

from runner.artifacts.process import Process
from runner.bind.data_locations import DataLocation
from runner.bind.request import Request
from runner.bind.workspace import Workspace
from runner.components.data.dataset import ImageSource
from runner.core.plan import Facts, Plan, Record
from runner.core.stages import Stage, Train
from runner.execute.crowd import Crowd
from runner.execute.listener import Listener, NullListener
from runner.store.database import Database
from runner.store.overlaps import TrainedElsewhere


@dataclass(frozen=True, slots=True)
class WorkerSetup:
    """What a worker needs for all stages of a plan; can be pickled.

    Attributes:
        request: what the invocation was asked for.
        workspace: where database, ``.runner/`` and data lie.
        cores: the most CPU threads that a stage may have.
        environment: versions, machine and code, for the record.
        data: where images come from, by the keys of their pixels.
        weights: files of pretrained weights, by `weights_name`.
        needed: artifacts that stages of the plan need, once for each.
        share_states: go on from states that other trainings left.
        code: files and folders whose Python code is allowed.
    """

    request: Request
    workspace: Workspace
    cores: int
    environment: Mapping[str, object]
    data: Mapping[str, DataLocation]
    weights: Mapping[str, Path]
    needed: tuple[str, ...]
    share_states: bool
    code: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class StageTask:
    """One stage to claim, do and record; can be pickled.

    Attributes:
        stage: the stage.
        again: do it although it has a result, because its product is gone.
        failures: how many attempts at it had failed when the plan was made.
        predicted: epochs and seconds that the plan expected.
        outcomes: what became of readers in the trainings before it, for evaluations.
        record: recorded epochs from which a training is read, or None.
        shares_epochs: whether it waits while another process trains some of its epochs.
    """

    stage: Stage
    again: bool
    failures: int
    predicted: Mapping[str, Any]
    outcomes: Mapping[str, Mapping[str, Any]]
    record: Record | None
    shares_epochs: bool = False

    @property
    def in_the_way(self) -> TrainedElsewhere | None:
        """What tells of another process that trains some of its epochs."""
        stage = self.stage
        if self.shares_epochs and isinstance(stage, Train) and stage.epochs:
            return TrainedElsewhere(stage)
        return None


class Workers(Protocol):
    """Processes that may go on from one plan of a command to the next."""

    def go(self, execution: PlanExecution) -> bool:
        """Carry a plan out, beside what they do of the one before."""


@dataclass(frozen=True)
class PlanExecution:
    """A plan to carry out.

    Attributes:
        plan: what to do; it names every wanted run.
        facts: what was known when planning.
        reruns: which repetition of each run is wanted.
        make_setup: says what workers need, once one is needed.
        workspace: where things lie.
        database: open in this process.
        sources: images that this process has found already, by the keys of their pixels; None to
            find those that are needed.
        listener: is told what happens.
        should_stop: asked after every step.
        shares_epochs: whether trainings wait while another process trains some of their epochs, to
            go on from there; not where every run is computed by itself.
        is_outdated: asked between two stages; whether the plan is to be made anew.
        longest_first: begin with what takes longest to the end, not in the order of the plan.
        crowd: the other workers on the device; none where not given.
        is_ours: whether a process that does a stage of the plan was started for it.
        failures: how many attempts at each stage had failed when the plan was made: what fails once
            more has ended, whoever tried it.
        since: the newest attempt when the workers of the command began: what any worker has died
            with in a later one is done by itself, not together with other trainings. None where
            the command has no other workers.
        workers: those of the plans before, for the executor `workers`; None to begin with none.
    """

    plan: Plan
    facts: Facts
    reruns: Mapping[str, int]
    make_setup: Callable[[], WorkerSetup]
    workspace: Workspace
    database: Database
    sources: Mapping[str, ImageSource] | None = field(default_factory=dict)
    listener: Listener = field(default_factory=NullListener)
    should_stop: Callable[[], bool] = lambda: False
    shares_epochs: bool = True
    is_outdated: Callable[[], bool] = lambda: False
    longest_first: bool = False
    crowd: Crowd | None = None
    is_ours: Callable[[Process], bool] = lambda process: False
    failures: Mapping[str, int] = field(default_factory=dict)
    since: int | None = None
    workers: Workers | None = None

    @cached_property
    def setup(self) -> WorkerSetup:
        """What workers need."""
        return self.make_setup()
