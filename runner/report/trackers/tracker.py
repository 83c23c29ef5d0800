"""What a tool for experiments is given: runs, their settings, series and results, and tables.

Owns the names under which numbers appear, the same in every tool. Knows no tool from within.
"""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple

from runner.bind.exported_cells import ExportedCell
from runner.report.tables.table import TableData
from runner.report.trackers.pictures import TrackedPicture
from runner.spec.cell_names import cell_reference
from runner.store.run_history import RecordedEpoch, RunHistory

STEP_LOSS = "step_train_loss"
RATE, SECONDS = "learning_rate", "epoch_seconds"
RESULT = "result/"
COUNTED = ("best_epoch", "last_epoch", "parameters", "train_seconds", "seconds")
NAN = float("nan")


class Point(NamedTuple):
    """A number of a series.

    Attributes:
        name: of the series.
        epoch: from 1.
        step: from 1, of :data:`STEP_LOSS`; the epoch of all others.
        moment: seconds since 1970 (UTC).
        value: may be NaN.
    """

    name: str
    epoch: int
    step: int
    moment: float
    value: float


class Result(NamedTuple):
    """Which result of a run is meant: one of a run that was tried again is another.

    Attributes:
        rerun: which repetition.
        recorded: seconds since 1970 (UTC).
        numbers: how many are recorded: of a finished run, tables and analyses may measure more.
    """

    rerun: int
    recorded: float
    numbers: int


@dataclass(frozen=True, slots=True)
class TrackedRun:
    """A run of an experiment.

    Attributes:
        where: the experiment's first cell that has it.
        history: what is recorded of it.
        result: which result it has, None without.
    """

    where: ExportedCell
    history: RunHistory
    result: Result | None

    @property
    def group(self) -> str:
        """The experiment with its variant."""
        return self.where.group

    @property
    def name(self) -> str:
        """What it is called within its experiment: cell, fold and seed, and which repetition."""
        return self.where.run_name(self.history.rerun)

    @property
    def identity(self) -> str:
        """The run and its repetition, in letters that any file's name may have."""
        return f"{self.history.run_key}-{self.history.rerun}"

    @property
    def started(self) -> float:
        """When its first epoch began, in seconds since 1970 (UTC); its end where it has none."""
        if self.history.epochs:
            first = self.history.epochs[0]
            return first.ended - first.seconds
        return self.ended

    @property
    def ended(self) -> float:
        """When its result was recorded, else its last epoch, in seconds since 1970 (UTC)."""
        epochs = self.history.epochs
        return float(self.history.result.get("recorded", epochs[-1].ended if epochs else 0.0))

    def tags(self) -> dict[str, str]:
        """Return what it is grouped by, as texts."""
        cell, history = self.where.cell, self.history
        tags = {
            "experiment": cell.experiment,
            "variant": cell.variant,
            "cell": cell_reference(
                cell.experiment, cell.position, cell.seed, cell.variant, cell.fold
            ),
            "name": self.where.name,
            "seed": str(cell.seed),
            "fold": str(cell.fold or ""),
            "run_key": history.run_key,
            "rerun": str(history.rerun),
            "status": history.status,
            "message": history.message,
            "device": str(history.result.get("device", "")),
        }
        return {**tags, **{f"label.{name}": text for name, text in cell.labels.items()}}

    def settings(self) -> dict[str, str | int | float | bool]:
        """Return all settings by dotted path; lists and null are JSON texts."""
        return dict(_leaves(self.history.settings))

    def results(self) -> dict[str, float]:
        """Return the numbers of the result by name, each beginning with ``result/``.

        Metrics are those of the best epoch, test metrics of the epoch whose test is the run's.
        """
        result = self.history.result
        found = {name: result.get(name) for name in COUNTED}
        for epoch in self.history.epochs:
            for name, value in epoch.metrics.items():
                wanted = "test_epoch" if name.startswith("test_") else "best_epoch"
                at = self.history.test_epoch if wanted == "test_epoch" else result.get(wanted)
                if epoch.epoch == at:
                    found[name] = value
        return {f"{RESULT}{name}": each for name, each in found.items() if each is not None}

    def points(self) -> Iterator[Point]:
        """Yield the numbers of all series, in the order of time.

        The steps of an epoch are spread evenly over its seconds.
        """
        step = 0
        for epoch in self.history.epochs:
            yield from _points(epoch, step)
            step += len(epoch.losses)

    def all_points(self) -> list[Point]:
        """Return the numbers of all series, and those of the result, at step 0."""
        results = [Point(name, 0, 0, self.ended, each) for name, each in self.results().items()]
        return [*self.points(), *results]

    def attempts(self, until: int) -> str:
        """Return which attempts measured the epochs up to one, as text.

        It is another as soon as a training that was stopped has done an epoch again.
        """
        found = [(each.epoch, each.attempt) for each in self.history.epochs if each.epoch <= until]
        before = [-1, *(attempt for _, attempt in found)]
        starts = zip(found, before, strict=False)
        return " ".join(f"{number}@{epoch}" for (epoch, number), last in starts if number != last)

    @property
    def last_epoch(self) -> int:
        """The last epoch that is recorded, 0 without."""
        return self.history.epochs[-1].epoch if self.history.epochs else 0


@dataclass(frozen=True, slots=True)
class TrackedTable:
    """A declared table of an experiment as it is now.

    Attributes:
        group: the experiment with its variant.
        data: the table.
    """

    group: str
    data: TableData

    @property
    def name(self) -> str:
        """The name that the spec gives it."""
        return self.data.table.name


class Tracker(AbstractContextManager["Tracker"], ABC):
    """A place in a tool, open while entered. What is written is whole at the end, or goes on later.

    Attributes:
        kind: what it is called in commands.
        needs: packages, by the name under which they are imported.
        extra: of this program, which installs them; "" where nothing is needed.
        default: the place where nothing else is said.
        takes_running: whether runs without a result are shown.
        is_url: whether the place is a URL, not a folder.
        look: the command that shows it, with ``{place}``; "" without one.
    """

    kind: ClassVar[str]
    needs: ClassVar[tuple[str, ...]] = ()
    extra: ClassVar[str] = ""
    default: ClassVar[str]
    takes_running: ClassVar[bool] = True
    is_url: ClassVar[bool] = False
    look: ClassVar[str]

    @abstractmethod
    def __init__(self, place: str) -> None:
        """Begin nothing yet.

        Raises:
            UsageError: when nothing can be written there.
        """

    @classmethod
    def usual_place(cls) -> str:
        """Return the place where nothing else is said, here and now."""
        return cls.default

    def close(self) -> None:
        """Give back what is held from one opening to the next; none follows."""

    @abstractmethod
    def has(self, cell: ExportedCell, result: Result) -> bool:
        """Return whether the run of a cell is there with this result."""

    @abstractmethod
    def write(self, run: TrackedRun) -> None:
        """Write what is recorded of a run and is not there yet."""

    @abstractmethod
    def write_tables(self, tables: Sequence[TrackedTable]) -> None:
        """Write tables as they are now."""

    @abstractmethod
    def write_pictures(self, pictures: Sequence[TrackedPicture]) -> None:
        """Write pictures as they are now."""


def _points(epoch: RecordedEpoch, before: int) -> Iterator[Point]:
    """Yield the numbers of an epoch, before which so many steps were taken."""
    share = epoch.seconds / max(len(epoch.losses), 1)
    began = epoch.ended - epoch.seconds
    for number, loss in enumerate(epoch.losses, start=1):
        value = NAN if loss is None else loss
        yield Point(STEP_LOSS, epoch.epoch, before + number, began + number * share, value)
    values = {RATE: epoch.learning_rate, SECONDS: epoch.seconds, **epoch.metrics}
    for name, value in values.items():
        yield Point(name, epoch.epoch, epoch.epoch, epoch.ended, value)


def _leaves(value: Any, path: str = "") -> Iterator[tuple[str, str | int | float | bool]]:
    """Yield (dotted path, value) of nested mappings."""
    if isinstance(value, Mapping):
        for key, inner in value.items():
            yield from _leaves(inner, f"{path}.{key}" if path else str(key))
    elif isinstance(value, (str, int, float)):
        yield path, value
    else:
        yield path, json.dumps(value, ensure_ascii=False)
