"""What several workers on one machine gain, and what a stage costs beside its work.

    python bench/workers.py speedup [--runs 200]    a grid of small trainings by 1, 2, 4 workers
    python bench/workers.py empty [--runs 500]      stages that do nothing by 1, 4, 16 workers

The trainings of `speedup` are done by `runner run --workers N` in fresh folders, and their records
are compared. The stages of `empty` are claimed, ended and put together to results by the program's
own coordinator, in processes that start at one moment; SQLite's lock is what they wait for. Each
part writes its rows of bench/results/workers.json and workers.md.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from contextlib import closing
from multiprocessing.connection import Connection
from multiprocessing.synchronize import Barrier
from pathlib import Path
from typing import Any

from measuring import (
    RESULTS,
    BenchFailed,
    load,
    machine,
    record,
    run_child,
    runner_command,
    with_range,
)
from page_grids import Grid

from runner.bind.workspace import workspace
from runner.core.plan import Facts, Plan
from runner.core.stages import Stage, Train
from runner.execute.coordinator import Coordinator
from runner.execute.plan_execution import PlanExecution, StageTask
from runner.execute.stage_worker import Ended, StageResult
from runner.lower.stages import naive_plan
from runner.planner.rules import merge_equal_stages
from runner.store.catalogue import record_environment
from runner.store.claim_answers import Claimed
from runner.store.claims import NewAttempt, claim_stage
from runner.store.database import Database, open_database
from runner.store.recorder import end_attempt

GRID = """\
name: grid
data: {{dataset: synthetic, classes: 10, images: 2000, height: 16, width: 16, validation: 0.2}}
model: {{name: convnet, filters: [16, 32], linear: [64]}}
train: {{epochs: {epochs}, batch_size: 64, optimizer: {{name: sgd, lr: 0.01}}}}
seeds: [0, 1, 2, 3]
sweep: {{grid: {{lr: [{rates}]}}}}
"""
WHAT = {
    "speedup": "A grid of small trainings: whole commands, with the start of their processes.",
    "empty": "Stages that do nothing, of runs with a training and an evaluation each. A stage is"
    " looked at, claimed, ended, and the result of its run put together, by each worker's own"
    " coordinator.",
}


def speedup(runs: int, repetitions: int, counts: Sequence[int]) -> None:
    """Run a grid with one process and with several workers, in turns.

    Args:
        runs: of the grid, about.
        repetitions: how often.
        counts: how many workers.
    """
    rates = ", ".join(f"{0.001 * number:.3f}" for number in range(1, max(runs // 4, 1) + 1))
    seconds: dict[int, list[float]] = {number: [] for number in (1, *counts)}
    for _ in range(repetitions):
        dumps = set()
        for workers, taken in seconds.items():
            with tempfile.TemporaryDirectory() as temporary:
                folder = Path(temporary)
                (folder / "grid.yaml").write_text(GRID.format(epochs=10, rates=rates))
                words = ("run", "grid.yaml", "--threads", "1", "--device", "cpu")
                command = runner_command(*words, "--workers", str(workers))
                taken.append(run_child(command, folder).wall)
                _done_once(folder / "results.db")
                dumped = runner_command("db", "dump", "--canonical")
                dumps.add(
                    subprocess.run(dumped, cwd=folder, check=True, capture_output=True).stdout
                )
        if len(dumps) > 1:
            raise BenchFailed("the records differ")
    alone = seconds[1]
    for workers, taken in seconds.items():
        ratios = [one / several for one, several in zip(alone, taken, strict=True)]
        cells = {
            "seconds": with_range(taken),
            "times as fast": with_range(ratios, 2),
            "ideal": min(workers, os.cpu_count() or 1),
        }
        record("workers", "speedup", f"{workers} of {4 * (runs // 4)} runs", cells, machine())


def _done_once(path: Path) -> None:
    """Check that no stage was tried twice.

    Raises:
        BenchFailed: else.
    """
    with closing(sqlite3.connect(path)) as connection:
        query = "SELECT count(*) FROM attempts WHERE number > 1 OR status != 'done'"
        (again,) = connection.execute(query).fetchone()
    if again:
        raise BenchFailed(f"{again} attempts at stages that were done before, or not done")


class EmptyWorker:
    """Does nothing, and records that it is done."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._environment = record_environment(database, {"versions": {"runner": "bench"}})
        self.done = 0

    def do(self, tasks: Sequence[StageTask], ended: Ended) -> None:
        """Claim each, and end it."""
        for task in tasks:
            attempt = NewAttempt(self._environment, {}, "cpu", task.predicted)
            way = task.in_the_way
            claim = claim_stage(self._database, task.stage.key, attempt, in_the_way=way)
            if not isinstance(claim, Claimed):
                ended(task.stage, claim)
                continue
            outcomes = _outcomes(task.stage, claim)
            end_attempt(self._database, claim, "done", 0.0, {"readers": outcomes})
            self.done += 1
            ended(task.stage, StageResult("done", 0.0, "", outcomes))

    def release(self, artifacts: Sequence[str]) -> None:
        """Do nothing."""

    def finish(self) -> None:
        """Do nothing."""


def _outcomes(stage: Stage, claim: Claimed) -> Mapping[str, Mapping[str, Any]]:
    if not isinstance(stage, Train):
        return {}
    mine = {"status": "done", "best_epoch": 1, "last_epoch": 1, "parameters": 1}
    return {name: {**mine, "reads": [[claim.attempt_id, 1, 1]]} for name in stage.readers}


def empty(runs: int, repetitions: int, counts: Sequence[int]) -> None:
    """Let processes go through a plan of stages that do nothing.

    Args:
        runs: of the plan.
        repetitions: how often.
        counts: how many processes, one after the other.
    """
    for workers in counts:
        each: list[float] = []
        cpu: list[float] = []
        busy = 0
        for _ in range(repetitions):
            wall, spent, errors, stages = _gone_through(workers, runs)
            each.append(1000 * wall / stages)
            cpu.append(1000 * spent / stages)
            busy += errors
        cells = {
            "ms a stage": with_range(each, 2),
            "CPU ms a stage, all workers": with_range(cpu, 2),
            "database is locked": busy,
            "aim": "under 10 ms",
        }
        record("workers", "empty", f"{workers} workers, {stages} stages", cells, machine())


def _gone_through(workers: int, runs: int) -> tuple[float, float, int, int]:
    """Return wall seconds, CPU seconds of all, errors, and stages of a plan."""
    spawning = multiprocessing.get_context("spawn")
    with tempfile.TemporaryDirectory() as temporary:
        path = Path(temporary) / "results.db"
        grid = Grid(path, runs, epochs=1, done=False)
        plan = merge_equal_stages(naive_plan(grid.pairs()), Facts())
        grid.database.close()
        begin = spawning.Barrier(workers + 1)
        pipes, children = [], []
        for _ in range(workers):
            mine, theirs = spawning.Pipe()
            child = spawning.Process(target=_work, args=(path, plan, begin, theirs))
            child.start()
            pipes.append(mine)
            children.append(child)
        begin.wait()
        started = time.perf_counter()
        told = [pipe.recv() for pipe in pipes]
        wall = time.perf_counter() - started
        for child in children:
            child.join()
        with open_database(path) as database, database.read() as connection:
            counts = "SELECT (SELECT count(*) FROM attempts), (SELECT count(*) FROM results)"
            attempts, results = connection.exec_driver_sql(counts).one()
    done = sum(each["done"] for each in told)
    if not done == attempts == len(plan.stages) or results != len(plan.stages_by_run):
        raise BenchFailed(f"{done} done, {attempts} attempts at {len(plan.stages)} stages")
    return wall, sum(each["cpu"] for each in told), sum(each["busy"] for each in told), done


def _work(path: Path, plan: Plan, begin: Barrier, pipe: Connection) -> None:
    """Go through the plan in this process."""
    from runner.core.errors import StoreBusy

    busy = 0
    with open_database(path) as database:
        worker = EmptyWorker(database)
        execution = PlanExecution(
            plan=plan,
            facts=Facts(),
            reruns=dict.fromkeys(plan.stages_by_run, 0),
            make_setup=lambda: None,  # type: ignore[arg-type, return-value]
            workspace=workspace(path),
            database=database,
            longest_first=True,
        )
        begin.wait()
        before = time.process_time()
        while True:
            try:
                Coordinator(execution, worker).go()
                break
            except StoreBusy:
                busy += 1
        pipe.send({"done": worker.done, "cpu": time.process_time() - before, "busy": busy})


def write_report() -> None:
    """Write bench/results/workers.md from what was measured."""
    parts = json.loads((RESULTS / "workers.json").read_text(encoding="utf-8"))
    lines = ["# Several workers on one machine", "", "Written by `python bench/workers.py`."]
    for part, rows in parts.items():
        columns = list(next(iter(rows.values()))["cells"])
        lines += ["", f"## {part}", "", WHAT[part], ""]
        lines.append(f"| workers | {' | '.join(columns)} | load | on |")
        lines.append(f"| --- |{' ---: |' * (len(columns) + 2)}")
        for name, row in rows.items():
            cells = [str(row["cells"][column]) for column in columns]
            lines.append(f"| {name} | {' | '.join(cells)} | {row['load']} | {row['on']} |")
        places = dict.fromkeys(row["where"] for row in rows.values())
        lines += ["", *(f"On {place}." for place in places)]
    lines += [
        "",
        "*Load*: programs that wanted to compute in the minute before. Where they were more",
    ]
    lines.append("than the machine has cores, the row is no measure of this program's speed.")
    (RESULTS / "workers.md").write_text("\n".join(lines) + "\n", encoding="utf-8")


def main() -> None:
    """Measure a part, and write it into the report."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("part", choices=tuple(WHAT))
    parser.add_argument("--runs", type=int, default=None)
    parser.add_argument("--repetitions", type=int, default=3)
    parser.add_argument("--workers", type=int, nargs="+", default=None)
    options = parser.parse_args()
    print(f"load before: {load():.1f}", file=sys.stderr)
    if options.part == "speedup":
        speedup(options.runs or 200, options.repetitions, options.workers or (2, 4))
    else:
        empty(options.runs or 500, options.repetitions, options.workers or (1, 4, 16))
    write_report()


if __name__ == "__main__":
    main()
