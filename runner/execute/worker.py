"""A worker: claims a stage, or several trainings to do together, does them and records their ends.

Needs nothing but plain values; database, device and caches are its own, unless it works in the
process that has them open. Does not know which stage comes next.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from types import TracebackType
from typing import Self, cast

from runner.artifacts.cache import Cache
from runner.artifacts.exchange import hurry
from runner.artifacts.process import host
from runner.bind.data_locations import DataLocation
from runner.bind.workspace import Workspace
from runner.components.data.dataset import ImageSource
from runner.core.moments import reached
from runner.core.stages import Stage, Train
from runner.engine.context import Context
from runner.engine.data.pixels import forget_images
from runner.engine.device import choose_device
from runner.engine.engine import do_stage, do_together
from runner.engine.job import StageJob
from runner.engine.numerics import begin_numerics, on_threads
from runner.execute.attempts import Attempts, Home
from runner.execute.crowd import Alone, Crowd
from runner.execute.heartbeat import Heartbeat
from runner.execute.listener import Listener
from runner.execute.plan_execution import StageTask, WorkerSetup
from runner.execute.stage_worker import Ended
from runner.execute.work_folder import WorkFolder
from runner.store.catalogue import record_environment
from runner.store.claim_answers import Claimed, ClaimHeld
from runner.store.claims import NewAttempt, check_not_lost, claim_stage
from runner.store.crowding import either
from runner.store.database import Database
from runner.store.progress import artifact_digests, recorded_epochs
from runner.store.recorder import record_epochs, record_ranges

Note = Callable[[str], None]


class Worker:
    """Does stages in this process."""

    def __init__(
        self,
        setup: WorkerSetup,
        listener: Listener,
        should_stop: Callable[[], bool],
        database: Database | None = None,
        sources: Mapping[str, ImageSource] | None = None,
        crowd: Crowd | None = None,
        since: int | None = None,
    ) -> None:
        """Open what is needed.

        Args:
            setup: plain values.
            listener: hears of the start and the progress of stages, and notes.
            should_stop: asked after every step.
            database: already open here, or None to open it.
            sources: images already found here, or None to find those that are needed.
            crowd: the other workers on its device; none where not given.
            since: as of a `PlanExecution`.
        """
        request = setup.request
        self._setup, self._listener, self._should_stop = setup, listener, should_stop
        self._database = setup.workspace.open(check=False) if database is None else database
        self._is_own = database is None
        device = choose_device(request.device)
        self._numerics = begin_numerics(device, setup.cores, request.deterministic)
        context = Context(
            folder=setup.workspace.folder,
            device=device,
            numerics=self._numerics.of_machine(),
            database=self._database.identity(),
            shared=setup.workspace.shared(),
            sources=FoundSources(setup.data, setup.workspace) if sources is None else sources,
            weights=setup.weights,
            share_states=setup.share_states,
            should_stop=should_stop,
            checkpoint_seconds=request.checkpoint_seconds,
            deterministic=request.deterministic,
            accept_mixed=request.accept_mixed,
        )
        needed = map(context.artifact_path, setup.needed)
        self._context = replace(context, cache=Cache(context.folder, request.cache_limit, needed))
        folder = WorkFolder(self._context)
        self._crowd, self._since = Alone() if crowd is None else crowd, since
        self._home = Home(self._database, self._context, folder, listener, self._crowd)
        here = {"host": host(), "place": str(device)}
        self._environment = record_environment(self._database, {**setup.environment, **here})

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if error is not None:
            hurry(self._context.artifacts, error)
        self.finish()
        forget_images()
        if self._is_own:
            self._database.close()

    def release(self, artifacts: Sequence[str]) -> None:
        """Note that one stage fewer needs these artifacts."""
        cache = self._context.cache
        assert cache is not None
        cache.release(map(self._context.artifact_path, artifacts))

    def finish(self) -> None:
        """Wait until all that stages left is on the disk."""
        self._context.writer.close()
        if self._context.shared is not None:
            self._context.shared.uploads.finish(self._should_stop)
        self._tell_notes()

    def _tell_notes(self) -> None:
        shared = self._context.shared
        for note in [*self._context.writer.notes(), *(() if shared is None else shared.notes())]:
            self._listener.on_note(note)

    def do(self, tasks: Sequence[StageTask], ended: Ended) -> None:
        """See :meth:`StageWorker.do`."""
        self._tell_notes()
        with Heartbeat(self._database) as heartbeat:
            attempts = Attempts(self._home, heartbeat, ended)
            note = self._once()
            try:
                for task in tasks:
                    if not self._begin(task, attempts, ended, note):
                        break
            except BaseException as error:
                attempts.stop(error)
            if attempts.jobs:
                try:
                    self._do(attempts, heartbeat, note)
                except BaseException as error:
                    attempts.end_all(error)

    def _once(self) -> Note:
        """Return what tells each note once, however many trainings it is about."""
        told: set[str] = set()

        def note(text: str) -> None:
            if text not in told:
                told.add(text)
                self._listener.on_note(text)

        return note

    def _begin(self, task: StageTask, attempts: Attempts, ended: Ended, note: Note) -> bool:
        """Claim a stage; return whether others may be done together with it.

        What another worker has died with since all began is done by itself: any stage of those that
        it did together may have killed it. Until then the others stay claimed by the dead.
        """
        apart = self._since if attempts.jobs else None
        numerics = self._numerics
        claim = claim_stage(
            self._database,
            task.stage.key,
            NewAttempt(
                self._environment, numerics.of(task.stage), numerics.device_name, task.predicted
            ),
            again=task.again,
            failures=task.failures,
            in_the_way=either(self._crowd.in_the_way(task.stage), task.in_the_way),
            unless_lost_after=apart,
        )
        if not isinstance(claim, Claimed):
            if apart is None or not isinstance(claim, ClaimHeld):  # it may be held by the dead
                ended(task.stage, claim)
            return True
        attempts.begin(self._job(task, claim), claim)
        reached("stage claimed")
        if claim.took_over is not None:
            note("taking over a stage whose process died")
        self._listener.on_stage_start(task.stage)
        return self._since is None or claim.took_over is None or claim.took_over <= self._since

    def _do(self, attempts: Attempts, heartbeat: Heartbeat, note: Note) -> None:
        """Do what is claimed; trainings of one cohort have the same numerics."""
        jobs = attempts.jobs
        context = self._context_of(jobs[0].stage, heartbeat, note)
        with on_threads(self._numerics.threads(jobs[0].stage)):
            if len(jobs) == 1:
                attempts.end(jobs[0], do_stage(context, jobs[0]))
                return
            assert all(self._numerics.of(job.stage) == context.numerics for job in jobs)
            do_together(context, cast(list[StageJob[Train]], jobs), attempts.end)

    def _context_of(self, stage: Stage, heartbeat: Heartbeat, note: Note) -> Context:
        def should_stop() -> bool:
            if heartbeat.ended is not None:
                raise heartbeat.ended
            return self._should_stop()

        return replace(
            self._context,
            numerics=self._numerics.of(stage),
            should_stop=should_stop,
            on_progress=lambda progress: self._listener.on_stage_progress(stage, progress),
            on_note=note,
        )

    def _job(self, task: StageTask, claim: Claimed) -> StageJob[Stage]:
        database = self._database
        return StageJob(
            stage=task.stage,
            attempt=claim.attempt_id,
            store_epochs=lambda records: record_epochs(database, claim, records),
            can_continue=lambda ranges: _all_recorded(database, ranges),
            outcomes=task.outcomes,
            digest_of=lambda name: artifact_digests(database, [name]).get(name),
            store_ranges=lambda ranges: record_ranges(database, claim, ranges),
            record=task.record,
            check_claim=lambda: check_not_lost(database, claim),
            on_progress=lambda progress: self._listener.on_stage_progress(task.stage, progress),
        )


def _all_recorded(database: Database, ranges: Iterable[Sequence[int]]) -> bool:
    wanted = list(ranges)
    return recorded_epochs(database, wanted) == sum(last - first + 1 for _, first, last in wanted)


class FoundSources(Mapping[str, ImageSource]):
    """Images by the keys of their pixels, each found when it is first asked for."""

    def __init__(self, data: Mapping[str, DataLocation], workspace: Workspace) -> None:
        self._data, self._workspace = data, workspace

    def __getitem__(self, pixels_key: str) -> ImageSource:
        return self._data[pixels_key].find(self._workspace)

    def __iter__(self) -> Iterator[str]:
        return iter(self._data)

    def __len__(self) -> int:
        return len(self._data)
