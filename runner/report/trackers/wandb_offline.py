"""Weights & Biases: an offline run for each run with a result, which ``wandb sync`` uploads.

Nothing is sent, and no account is needed. `runner.json` in the folder says which runs are whole;
what it does not know of was left by an export that was killed.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import groupby
from pathlib import Path
from typing import Any, Self

from runner.artifacts.atomic import whole_file
from runner.bind.exported_cells import ExportedCell
from runner.core.text import printable
from runner.report.tables.table import to_records
from runner.report.trackers.folder_tracker import FolderTracker
from runner.report.trackers.pictures import TrackedPicture
from runner.report.trackers.tracker import (
    STEP_LOSS,
    Result,
    TrackedRun,
    TrackedTable,
)

STATE = "runner.json"
RUNS = "wandb"
"""The folder that the package makes."""

NO_PROJECT = re.compile(r"[/\\#?%:@ ]+")
"""What no name of a project may hold, and what a shell would split."""


class WandbTracker(FolderTracker):
    """Offline runs in ``FOLDER/wandb``; an experiment is a project, a cell is a group."""

    kind = "wandb"
    needs = ("wandb",)
    extra = "wandb"
    default = "exports/wandb"
    takes_running = False
    look = "wandb sync {place}/wandb/offline-run-*"

    def __enter__(self) -> Self:
        super().__enter__()
        self._stored = _read(self._place / STATE)
        self._done = dict(self._stored)
        return self

    def __exit__(self, *error: Any) -> None:
        """Say which runs are whole, once the process of the package has written them and ended."""
        try:
            if self._done != self._stored:
                import wandb

                wandb.teardown()
                self._store()
        finally:
            super().__exit__(*error)

    def has(self, cell: ExportedCell, result: Result) -> bool:
        """Return whether the run of a cell is there with this result."""
        name = f"{cell.group}/{cell.cell.run_key}-{result.rerun}"
        return self._done.get(name) == list(result)

    def write(self, run: TrackedRun) -> None:
        """Write a run as a whole."""
        history = run.history
        given = {"name": printable(run.name), "group": run.where.name or run.group}
        config = {**run.tags(), **run.settings()}
        is_done = history.status == "done"
        with self._run(run.group, run.identity, is_done, config=config, **given) as logged:
            for row in _rows(run):
                logged.log(row)
            ended = {"status": history.status, "message": history.message}
            logged.summary.update({**run.results(), **ended})
        self._done[f"{run.group}/{run.identity}"] = list(run.result or ())

    def write_tables(self, tables: Sequence[TrackedTable]) -> None:
        """Write tables that have changed, each as a run of its own; earlier ones stay."""
        for table in tables:
            records = to_records(table.data)
            digest = hashlib.sha256(json.dumps(records, default=str).encode()).hexdigest()[:12]
            name = f"{table.group}/table {table.name}"
            if self._done.get(name) == digest or not records:
                continue
            given = {"name": f"table {table.name}", "group": "tables"}
            with self._run(table.group, f"table-{digest}", True, **given) as logged:
                import wandb

                rows: list[Any] = [list(record.values()) for record in records]
                shown = wandb.Table(columns=list(records[0]), data=rows, allow_mixed_types=True)
                logged.log({table.name: shown})
            self._done[name] = digest

    def write_pictures(self, pictures: Sequence[TrackedPicture]) -> None:
        """Write pictures that have changed, each as a run of its own; earlier ones stay."""
        for picture in pictures:
            digest = picture.digest()
            name = f"{picture.group}/figure {picture.name}"
            if self._done.get(name) == digest:
                continue
            given = {"name": f"figure {picture.name}", "group": "figures"}
            with self._run(picture.group, f"figure-{digest}", True, **given) as logged:
                import wandb

                logged.log({picture.name: wandb.Image(str(picture.path))})
            self._done[name] = digest

    @contextmanager
    def _run(self, experiment: str, identity: str, is_done: bool, **given: Any) -> Iterator[Any]:
        """Give an offline run to log to, in the place of what a killed export left of it.

        Args:
            experiment: with its variant.
            identity: of the run within it: exported again, it is the same run.
            is_done: whether it ended well.
            given: what ``wandb.init`` is given besides.
        """
        os.environ.setdefault("WANDB_ERROR_REPORTING", "false")
        import wandb

        for left in (self._place / RUNS).glob(f"offline-run-*-{identity}"):
            shutil.rmtree(left)
        logged = wandb.init(
            project=NO_PROJECT.sub("-", experiment),
            id=identity,
            mode="offline",
            dir=str(self._place),
            reinit="create_new",
            settings=_quiet(),
            **given,
        )
        try:
            logged.define_metric("*", step_metric="epoch")
            logged.define_metric(STEP_LOSS, step_metric="step")
            yield logged
        finally:
            logged.finish(exit_code=0 if is_done else 1)

    def _store(self) -> None:
        with whole_file(self._place / STATE) as partial:
            partial.write_text(json.dumps(self._done, indent=1) + "\n", encoding="utf-8")


def _quiet() -> Any:
    """Return settings under which nothing is printed, and nothing of the machine is kept."""
    import wandb

    return wandb.Settings(
        silent=True,
        console="off",
        disable_git=True,
        disable_code=True,
        save_code=False,
        host="",
        x_disable_meta=True,
        x_disable_stats=True,
        x_save_requirements=False,
    )


def _rows(run: TrackedRun) -> Iterator[dict[str, Any]]:
    """Yield what is logged at once, in the order of time: each step, and each epoch."""
    for epoch, points in groupby(run.points(), key=lambda point: point.epoch):
        row: dict[str, Any] = {"epoch": epoch}
        for name, _, step, moment, value in points:
            if name == STEP_LOSS:
                yield {name: value, "step": step, "epoch": epoch, "_timestamp": moment}
            else:
                row |= {name: value, "_timestamp": moment}
        yield row


def _read(path: Path) -> dict[str, Any]:
    """Return which runs and tables are whole; none where no export says so."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}
