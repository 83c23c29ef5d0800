"""Progress on standard error: live lines on a terminal, plain lines elsewhere.

Listens to the executor.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn

from runner.bind.plan_runs import PlannedRuns
from runner.cli.downloads import LiveDownloads, PlainDownloads
from runner.cli.estimate import Estimate
from runner.cli.formatting import imported_words
from runner.components.download import Downloading
from runner.core.stages import AfterTraining, ExtractFeatures, Prepare, Stage, Train
from runner.core.text import show_seconds
from runner.spec.cell_names import run_name
from runner.store.reference import ReferenceResult

if TYPE_CHECKING:
    from runner.engine.context import Progress as Standing

FIRST_SECONDS = 10.0
"""How long a stage may take in silence."""

PLAIN_SECONDS = 30.0
"""Between two lines about where a stage stands, or after one about its end."""

STEADY_SECONDS = 2.0
"""How long the line of one of several trainings is not replaced by another's, unless it ends."""


class Names:
    """Names of stages: the cells that they are for."""

    def __init__(self, wanted: PlannedRuns) -> None:
        self._names: dict[str, str] = {}
        for cell in wanted.cells:
            for stage in wanted.chains[cell.run.run_key]:
                self._names.setdefault(stage.key, run_name(cell.cell))
            for key in wanted.plan.measurements.get(cell.run.run_key, ()):
                self._names.setdefault(key, f"{run_name(cell.cell)} measured for a table")
            for key in wanted.plan.analyses.get(cell.run.run_key, ()):
                self._names.setdefault(key, f"{run_name(cell.cell)} analysed")

    def of(self, stage: Stage) -> str:
        """Return the name of a stage."""
        if isinstance(stage, Train) and len(stage.readers) > 1:
            first = min(stage.first_epoch, stage.last_epoch)
            return f"epochs {first}–{stage.last_epoch} for {len(stage.readers)} runs"
        if isinstance(stage, Train | AfterTraining):
            return self._names.get(stage.key, stage.key[:8])
        return stage.title()


class PlainProgress:
    """Prints a line when a training ends; for a long stage, after 10 s and then every 30 s."""

    def __init__(self, wanted: PlannedRuns) -> None:
        self._names, self._estimate = Names(wanted), Estimate(wanted)
        self._trainings = {each.key for each in wanted.plan.stages if isinstance(each, Train)}
        self._done = 0
        self._began = time.monotonic()
        self._next = 0.0

    def on_stage_start(self, stage: Stage) -> None:
        """Print a line when images are prepared; trainings get theirs at the end."""
        self._estimate.began(stage)
        if isinstance(stage, Train):  # also one of a plan before this
            self._trainings.add(stage.key)
        self._began = time.monotonic()
        if isinstance(stage, Prepare | ExtractFeatures):
            self._say(self._names.of(stage))

    def on_stage_progress(self, stage: Stage, progress: Standing) -> None:
        """Print the progress of a long stage, and the metrics of the last epoch."""
        self._estimate.moved(stage, epochs_done(progress))
        now = time.monotonic()
        if now < max(self._began + FIRST_SECONDS, self._next):
            return
        self._next = now + PLAIN_SECONDS
        text = f"{self._names.of(stage)}: {standing(progress)}"
        if progress.val_accuracy is not None:
            text += f", val_accuracy {progress.val_accuracy:.3f} after epoch {progress.epoch - 1}"
        elif not progress.epoch and progress.done:
            left = (now - self._began) * (progress.total - progress.done) / progress.done
            text += f", {show_seconds(left)} more"
        parts = [text, self._estimate.at_work, self._estimate.left()]
        self._say("; ".join(part for part in parts if part))

    def on_stage_left(self, stage: Stage) -> None:
        """Count it as not at work."""
        self._estimate.left_alone(stage)

    def on_stage_end(self, stage: Stage, status: str, seconds: float, message: str) -> None:
        """Print the end of a training, and any failed stage."""
        self._estimate.ended(stage, seconds)
        if isinstance(stage, Train):
            self._done += 1
            took = f"in {show_seconds(seconds)}" if seconds else "by another process"
            place = f"[{self._done}/{len(self._trainings)}]"
            parts = [f"{place} {self._names.of(stage)}: {status} {took}"]
            parts += [part for part in (message, self._estimate.left()) if part]
            self._next = time.monotonic() + PLAIN_SECONDS
            self._say("; ".join(parts))
        elif status == "failed":
            self._say(f"{self._names.of(stage)}: failed: {message}")

    def on_run_end(self, run_key: str, status: str) -> None:
        """Do nothing: the training has its line."""

    def on_note(self, note: str) -> None:
        """Print the note."""
        self._say(note)

    def close(self) -> None:
        """Do nothing."""

    def _say(self, text: str) -> None:
        print(text, file=sys.stderr, flush=True)


class LiveProgress:
    """Two live lines: the grid and the current run."""

    def __init__(self, wanted: PlannedRuns, console: Console) -> None:
        self._names, self._estimate = Names(wanted), Estimate(wanted)
        self._bars = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            TextColumn("{task.fields[detail]}"),
            console=console,
        )
        self._trainings = {each.key for each in wanted.plan.stages if isinstance(each, Train)}
        self._grid: TaskID = self._bars.add_task("grid", total=1, detail="")
        self._run: TaskID = self._bars.add_task("", total=1, detail="")
        self._done = 0
        self._shares: dict[str, float] = {}
        self._shown, self._shown_at = "", 0.0
        self._bars.start()

    def on_stage_start(self, stage: Stage) -> None:
        """Show the stage on the second line."""
        self._estimate.began(stage)
        if isinstance(stage, Train):  # also one of a plan before this
            self._trainings.add(stage.key)
        self._shown_at = 0.0
        self._bars.reset(self._run, description=self._names.of(stage), total=1, detail="")
        self._show_grid()

    def on_stage_progress(self, stage: Stage, progress: Standing) -> None:
        """Update both lines."""
        if not progress.epoch:
            total, done = float(progress.total), float(progress.done)
        else:
            total, done = float(progress.epochs), epochs_done(progress)
            self._estimate.moved(stage, done)
            self._shares[stage.key] = done / total
            self._show_grid()
        now = time.monotonic()
        if stage.key != self._shown and now < self._shown_at + STEADY_SECONDS:
            return
        self._shown, self._shown_at = stage.key, now
        name = self._names.of(stage)
        if others := self._estimate.at_work:
            name = f"{name} ({others})"
        detail = standing(progress)
        self._bars.update(self._run, description=name, completed=done, total=total, detail=detail)

    def on_stage_left(self, stage: Stage) -> None:
        """Count it as not at work."""
        self._estimate.left_alone(stage)
        self._shares.pop(stage.key, None)
        self._show_grid()

    def on_stage_end(self, stage: Stage, status: str, seconds: float, message: str) -> None:
        """Update the first line; print failures above the lines."""
        self._estimate.ended(stage, seconds)
        if status != "done":
            self._bars.console.print(f"{self._names.of(stage)}: {status}: {message}", markup=False)
        self._done += isinstance(stage, Train)
        self._shares.pop(stage.key, None)
        self._shown_at = self._shown_at if stage.key != self._shown else 0.0
        self._show_grid()

    def _show_grid(self) -> None:
        total = len(self._trainings)
        parts = [f"{self._done}/{total} trainings", self._estimate.left()]
        detail = ", ".join(part for part in parts if part)
        completed = self._done + sum(self._shares.values())
        self._bars.update(self._grid, total=max(total, 1), completed=completed, detail=detail)

    def on_run_end(self, run_key: str, status: str) -> None:
        """Do nothing: the lines show it."""

    def on_note(self, note: str) -> None:
        """Print the note above the lines."""
        self._bars.console.print(note, markup=False)

    def close(self) -> None:
        """Remove the lines."""
        self._bars.stop()


def epochs_done(progress: Standing) -> float:
    """Return the number of epochs trained, with the fraction of the current one."""
    if progress.split:
        return float(progress.epoch)
    return max(progress.epoch - 1, 0) + progress.done / max(progress.total, 1)


def standing(progress: Standing) -> str:
    """Return the progress of a stage in words."""
    images = f"{progress.done}/{progress.total} {progress.split} images".replace("  ", " ")
    if not progress.epoch:
        return images
    if progress.split:
        return f"epoch {progress.epoch}/{progress.epochs} {images}"
    text = f"epoch {progress.epoch}/{progress.epochs} step {progress.done}/{progress.total}"
    if progress.loss is not None and progress.accuracy is not None:
        text += f" loss {progress.loss:.3f} accuracy {progress.accuracy:.3f}"
    return text


class ProgressOfRun:
    """A context that shows progress of downloads, then of stages."""

    def __init__(self) -> None:
        self._shown: LiveProgress | PlainProgress | LiveDownloads | PlainDownloads | None = None

    def __enter__(self) -> ProgressOfRun:
        return self

    def __exit__(self, *_: object) -> None:
        self._close()

    def downloading(self, progress: Downloading) -> None:
        """Show the progress of a download; downloads come before the plan."""
        if not isinstance(self._shown, LiveDownloads | PlainDownloads):
            console = Console(stderr=True)
            self._shown = LiveDownloads(console) if console.is_terminal else PlainDownloads()
        self._shown.moved(progress)

    def imported(self, results: Sequence[ReferenceResult]) -> None:
        """Print what was copied from the reference, before the plan."""
        self._close()
        self._shown = None
        print(imported_words(results), file=sys.stderr, flush=True)

    def on_note(self, note: str) -> None:
        """Print a note about the data, before the plan."""
        self._close()
        self._shown = None
        print(f"note: {note}", file=sys.stderr, flush=True)

    def begin(self, wanted: PlannedRuns) -> LiveProgress | PlainProgress:
        """Return the listener for a plan."""
        self._close()
        console = Console(stderr=True)
        live = console.is_terminal
        shown = LiveProgress(wanted, console) if live else PlainProgress(wanted)
        self._shown = shown
        return shown

    def _close(self) -> None:
        if self._shown is not None:
            self._shown.close()
