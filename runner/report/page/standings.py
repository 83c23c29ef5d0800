"""How far each stage of an experiment is; from reading to reading only what changed is read."""

from __future__ import annotations

from collections.abc import Sequence

from runner.report.page.plan import StageStanding, standing_of
from runner.report.page.structure import Structure
from runner.store.database import Database
from runner.store.watched import WatchedAttempt, Worker, attempts_since, workers


class Standings:
    """The attempts at an experiment's stages, who is at work, and how far each stage is.

    Attributes:
        attempts: by key of the stage, in order.
        by_stage: how far each stage is.
        at_work: who has claimed a stage, the one that began first in front.
    """

    def __init__(self, structure: Structure) -> None:
        self._structure = structure
        self.attempts: dict[str, Sequence[WatchedAttempt]] = {}
        self.by_stage: dict[str, StageStanding] = {}
        self.at_work: list[Worker] = []
        self._newest_ended = 0
        self._open: dict[int, str] = {}

    def read(self, database: Database, now: float) -> None:
        """Read what changed since the last reading.

        Args:
            database: where it is recorded.
            now: seconds since 1970.
        """
        stages = self._structure.stage_keys
        if not self.by_stage:
            self.by_stage = {key: StageStanding() for key in stages}
        moved = self._read_attempts(database) | {each.stage_key for each in self.at_work}
        self.at_work = [each for each in workers(database) if each.stage_key in stages]
        by_stage = {each.stage_key: each for each in self.at_work}
        for key in moved | by_stage.keys():
            self.by_stage[key] = standing_of(self.attempts.get(key, ()), by_stage.get(key), now)

    def busy(self) -> set[str]:
        """Return the keys of the stages that run."""
        claimed = {each.stage_key for each in self.at_work}
        return {key for key in claimed if self.by_stage[key].status == "running"}

    def _read_attempts(self, database: Database) -> set[str]:
        """Read the attempts that are new or had not ended; return the stages that they are at."""
        found: dict[str, dict[int, WatchedAttempt]] = {}
        for each in attempts_since(database, self._newest_ended, self._open):
            if each.status == "running":
                self._open[each.id] = each.stage_key
            else:
                self._open.pop(each.id, None)
                self._newest_ended = max(self._newest_ended, each.id)
            if each.stage_key in self._structure.stage_keys:
                found.setdefault(each.stage_key, {})[each.id] = each
        for key, tries in found.items():
            known = {each.id: each for each in self.attempts.get(key, ())} | tries
            self.attempts[key] = [known[each] for each in sorted(known)]
        return set(found)
