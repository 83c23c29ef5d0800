"""TensorBoard: a folder of event files for each run, and one for the tables of an experiment.

What is new is written to a further file, which appears whole; `runner.json` beside them says how
far that is, and what it does not know of was left by an export that was killed. Files are made by
the package `tensorboard` alone, without names of the machine.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Self, TypeVar

from runner.artifacts.atomic import partial_path, put_file, remove_partial, whole_file
from runner.bind.exported_cells import ExportedCell
from runner.report.figures.options import as_file_part
from runner.report.tables.render import render
from runner.report.trackers.folder_tracker import FolderTracker
from runner.report.trackers.pictures import TrackedPicture
from runner.report.trackers.tensorboard_protos import end, image, scalar, start, text
from runner.report.trackers.tracker import (
    RESULT,
    STEP_LOSS,
    Result,
    TrackedRun,
    TrackedTable,
)
from runner.report.trackers.written import Written, written

if TYPE_CHECKING:
    from tensorboard.compat.proto.event_pb2 import Event

Content = TypeVar("Content")
STATE = "runner.json"
EVENTS, OURS = "events.out.tfevents.", ".records"
"""TensorBoard reads files with the first in their names, one after the other."""

TABLES, FIGURES = "tables", "figures"
LONGEST = 100
"""Characters of a folder's name that come from labels and settings."""


@dataclass(frozen=True)
class State:
    """What the event files of a folder hold.

    Attributes:
        written: of a run; empty of tables.
        files: how many there are.
        texts: hashes of tables or pictures, by name.
    """

    written: Written = field(default_factory=Written)
    files: int = 0
    texts: dict[str, str] = field(default_factory=dict)


class TensorboardTracker(FolderTracker):
    """Event files in ``FOLDER/EXPERIMENT/CELL-seed``."""

    kind = "tensorboard"
    needs = ("tensorboard",)
    extra = "tensorboard"
    default = "exports/tensorboard"
    look = "tensorboard --logdir {place}"

    def __enter__(self) -> Self:
        super().__enter__()
        self._runs: dict[str, dict[str, tuple[Path, State]]] = {}
        return self

    def has(self, cell: ExportedCell, result: Result) -> bool:
        """Return whether the run of a cell is there with this result."""
        found = self._known(cell.group).get(f"{cell.cell.run_key}-{result.rerun}")
        return found is not None and found[1].written.result == result

    def write(self, run: TrackedRun) -> None:
        """Write a file with what is new, if anything is."""
        folder, state = self._found(run)
        points = [point._replace(name=_tag(point.name)) for point in run.all_points()]
        if state.files and not state.written.goes_on(run, points):
            _forget(folder)
            state = State()
        events = [] if state.files else [start(run)]
        for point in state.written.new(points):
            events.append(scalar(point.name, point.value, point.step, point.moment))
        if run.result is not None and state.written.result is None:
            events.append(end(run))
        now = replace(state, written=written(run, points))
        if now != state:
            _add(folder, events, now)

    def write_tables(self, tables: Sequence[TrackedTable]) -> None:
        """Write the tables that have changed, as texts; earlier ones stay as earlier steps."""
        for group in dict.fromkeys(table.group for table in tables):
            own = [table for table in tables if table.group == group]
            texts = {table.name: render(table.data, "markdown") for table in own}
            self._write_changed(group, TABLES, texts, _digest, text)

    def write_pictures(self, pictures: Sequence[TrackedPicture]) -> None:
        """Write the pictures that have changed; earlier ones stay as earlier steps."""
        for group in dict.fromkeys(picture.group for picture in pictures):
            own = {each.name: each for each in pictures if each.group == group}
            self._write_changed(group, FIGURES, own, TrackedPicture.digest, image)

    def _write_changed(
        self,
        group: str,
        kind: str,
        contents: Mapping[str, Content],
        digest: Callable[[Content], str],
        make_event: Callable[[str, Content, int], Event],
    ) -> None:
        """Write what has changed of an experiment's tables or pictures, as a further step."""
        folder = self._place / as_file_part(group) / kind
        state = _read(folder) or State()
        _drop_after(folder, state.files)
        digests = {name: digest(content) for name, content in contents.items()}
        changed = [name for name in digests if state.texts.get(name) != digests[name]]
        if changed:
            events = [make_event(name, contents[name], state.files) for name in changed]
            _add(folder, events, replace(state, texts={**state.texts, **digests}))

    def _known(self, group: str) -> dict[str, tuple[Path, State]]:
        """Return the folders of an experiment's runs, and what they hold, by run.

        They are not found by their names: that of a run is another once its sweep has more axes.
        """
        if group not in self._runs:
            home = self._place / as_file_part(group)
            states = {folder: _read(folder) for folder in sorted(home.glob("*/"))}
            self._runs[group] = {
                state.written.run: (folder, state)
                for folder, state in states.items()
                if state is not None and state.written.run
            }
        return self._runs[group]

    def _found(self, run: TrackedRun) -> tuple[Path, State]:
        """Return the folder of a run, and what it holds, without what a killed export left."""
        known = self._known(run.group).get(run.identity)
        if known is not None:
            _drop_after(known[0], known[1].files)
            return known
        home, name = self._place / as_file_part(run.group), as_file_part(run.name)[:LONGEST]
        key = run.history.run_key
        names = (name, f"{name}-{key[:8]}", f"{name}-{run.identity}")  # another run may have one
        free = next(home / each for each in names if _read(home / each) is None)
        _drop_after(free, 0)
        return free, State()


def _tag(name: str) -> str:
    """Return under which tag a series stands: TensorBoard groups by what is before the slash."""
    if name.startswith(RESULT):
        return name
    return "step/train_loss" if name == STEP_LOSS else f"epoch/{name}"


def _read(folder: Path) -> State | None:
    """Return what a folder says that it holds, None of one that is no export's."""
    try:
        content = json.loads((folder / STATE).read_text(encoding="utf-8"))
        found = Written.from_json(content["written"])
        return State(found, int(content["files"]), dict(content["texts"]))
    except (OSError, ValueError, TypeError, KeyError, AttributeError):
        return None


def _events_file(folder: Path, number: int) -> Path:
    return folder / f"{EVENTS}{number:010d}{OURS}"


def _drop_after(folder: Path, count: int) -> None:
    """Remove event files behind the first ones: `runner.json` does not know of them."""
    known = {_events_file(folder, number).name for number in range(count)}
    for path in folder.glob(f"{EVENTS}*{OURS}"):
        if path.name not in known:
            path.unlink()


def _forget(folder: Path) -> None:
    (folder / STATE).unlink()
    _drop_after(folder, 0)


def _add(folder: Path, events: Sequence[Event], state: State) -> None:
    """Write a further event file, where there are events, then what the folder holds now."""
    folder.mkdir(parents=True, exist_ok=True)
    if events:
        _write_events(folder, events, _events_file(folder, state.files))
        state = replace(state, files=state.files + 1)
    with whole_file(folder / STATE) as beside:
        beside.write_text(json.dumps(asdict(state), indent=1) + "\n", encoding="utf-8")


def _write_events(folder: Path, events: Sequence[Event], final: Path) -> None:
    from tensorboard.compat.proto.event_pb2 import Event
    from tensorboard.summary.writer.record_writer import RecordWriter

    partial = partial_path(folder / "new")  # TensorBoard would read an unfinished file of its name
    try:
        with partial.open("wb") as file:
            writer = RecordWriter(file)
            first = Event(wall_time=events[0].wall_time, file_version="brain.Event:2")
            for event in (first, *events):
                writer.write(event.SerializeToString(deterministic=True))
            writer.flush()
        put_file(partial, final)
    finally:
        remove_partial(partial)


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
