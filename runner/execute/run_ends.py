"""The ends of the runs of a plan: each is recorded once, by whoever finds that it is over."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from runner.core.moments import reached
from runner.execute.plan_execution import PlanExecution
from runner.execute.schedule import Schedule
from runner.store.measurements import add_measurements
from runner.store.news import results_there
from runner.store.progress import ended_stages
from runner.store.results import record_result


class RunEnds:
    """Records results of the runs of a plan, and the measurements that tables ask for."""

    def __init__(self, execution: PlanExecution, schedule: Schedule) -> None:
        self._database, self._listener = execution.database, execution.listener
        self._plan, self._reruns = execution.plan, execution.reruns
        self._schedule = schedule
        self._measured_runs: dict[str, list[str]] = {}
        for run, evaluations in execution.plan.measurements.items():
            for key in evaluations:
                self._measured_runs.setdefault(key, []).append(run)

    def begin(self) -> None:
        """Record what was left to record when the plan was made."""
        self._end(self._schedule.runs_over())
        self._measure(ended_stages(self._database, self._measured_runs))

    def after(self, stage_key: str) -> None:
        """Record what is over now that a stage has ended here."""
        self._record(self._schedule.runs_over([stage_key]))
        self._measure([stage_key])

    def after_others(self, stage_keys: Sequence[str]) -> None:
        """Record what is over now that others have ended stages, and have not recorded it."""
        self._end(self._schedule.runs_over(stage_keys))
        self._measure(stage_keys)

    def _end(self, runs: Sequence[str]) -> None:
        """End runs that are over, most of which others have recorded."""
        there = results_there(self._database, {run: self._reruns[run] for run in runs})
        for run, status in there.items():
            self._close(run, status)
        self._record([run for run in runs if run not in there])

    def _record(self, runs: Sequence[str]) -> None:
        """Record the results of runs that are over; of others, nothing is recorded."""
        for run in runs:
            chain = self._plan.stages_by_run[run]
            status = record_result(self._database, run, self._reruns[run], chain)
            if status is not None:
                reached("result recorded")
                self._close(run, status)

    def _close(self, run: str, status: str) -> None:
        self._schedule.close_run(run)
        self._listener.on_run_end(run, status)
        self._measure(self._plan.measurements.get(run, ()))

    def _measure(self, stage_keys: Iterable[str]) -> None:
        """Make evaluations that have ended part of the records of the runs they measured."""
        for key in stage_keys:
            for run in self._measured_runs.get(key, ()):
                add_measurements(self._database, run, self._reruns[run], [key])
