"""Runs that were made with other code than today's, in the modules that they used.

Results stay what they are: this only says so. Decides nothing about what is done again.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from pydantic import BaseModel

from runner.bind.code_digests import ENGINE, Sources, modules_of, own_modules
from runner.bind.plan_runs import PlannedRuns
from runner.core.records import RunStatus
from runner.store.code import recorded_modules, runs_in
from runner.store.database import Database

THE_ENGINE = "the engine"
SHOWN_MODULES = 4


@dataclass(frozen=True, slots=True)
class ChangedCode:
    """Runs with a result that other code has made.

    Attributes:
        runs: how many.
        modules: by name, how many of the runs used each that has changed; ``the engine`` is one.
    """

    runs: int
    modules: Mapping[str, int]

    def words(self) -> str:
        """Return it as one sentence, "" where nothing has changed."""
        if not self.runs:
            return ""
        parts = [
            name if count == self.runs else f"{name} ({count} of them)"
            for name, count in list(self.modules.items())[:SHOWN_MODULES]
        ]
        more = len(self.modules) - len(parts)
        parts += [f"{more} more"] if more else []
        names = parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} and {parts[-1]}"
        made, their, them = (
            ("run was", "its", "it") if self.runs == 1 else ("runs were", "their", "them")
        )
        return (
            f"{self.runs} finished {made} made with other code of {names} (changed since);"
            f" {their} results stay; --rerun makes {them} again"
        )


NOTHING_CHANGED = ChangedCode(0, {})


def changed_code(
    database: Database, sources: Sources, finished: Mapping[str, BaseModel]
) -> ChangedCode:
    """Return what has changed of the code of finished runs.

    Args:
        database: where they are recorded.
        sources: files as they are now.
        finished: the settings of the runs, by key.
    """
    changed = _changed(database, sources, finished.items())
    counts = Counter(name for modules in changed.values() for name in modules)
    ranked = sorted(counts.items(), key=lambda item: (item[0] == THE_ENGINE, -item[1], item[0]))
    return ChangedCode(len(changed), dict(ranked))


def changed_code_of(
    planned: PlannedRuns, statuses: Mapping[str, RunStatus], database: Database, sources: Sources
) -> ChangedCode:
    """Return what has changed of the code of planned runs.

    Args:
        planned: the runs.
        statuses: of those that have a result; one that was put together just now may read epochs
            that other code has trained.
        database: where they are recorded.
        sources: files as they are now.
    """
    finished = {
        cell.run.run_key: cell.resolved.settings
        for cell in planned.cells
        if statuses.get(cell.run.run_key) in ("done", "diverged")
    }
    wanted = {key: finished[key] for key in planned.run_keys if key in finished}
    return changed_code(database, sources, wanted)


def changed_modules(
    database: Database, sources: Sources, run_key: str, settings: BaseModel
) -> tuple[str, ...]:
    """Return the modules that one run used and that have changed since it was made."""
    return _changed(database, sources, [(run_key, settings)], run_key).get(run_key, ())


def _changed(
    database: Database,
    sources: Sources,
    runs: Iterable[tuple[str, BaseModel]],
    only: str | None = None,
) -> dict[str, tuple[str, ...]]:
    """Return the changed modules of each run that has any; environments alike need no look."""
    pairs = list(runs)
    recorded = recorded_modules(database) if pairs else {}
    names = {name for modules in recorded.values() for name in modules}
    now = sources.digests({*own_modules(), *names}) if recorded else {}
    differing = {
        environment: changed
        for environment, modules in recorded.items()
        if (changed := frozenset(_differing(modules, now)))
    }
    made_in = runs_in(database, differing, only) if differing else {}
    closures: dict[frozenset[str], frozenset[str]] = {}
    changed_by_run: dict[str, tuple[str, ...]] = {}
    for key, settings in pairs:
        if key not in made_in:
            continue
        starts = modules_of(settings)
        if starts not in closures:
            closures[starts] = sources.used(starts) | {THE_ENGINE}
        changed = frozenset().union(*(differing[environment] for environment in made_in[key]))
        if used := changed & closures[starts]:
            changed_by_run[key] = tuple(sorted(used, key=lambda name: (name == THE_ENGINE, name)))
    return changed_by_run


def _differing(recorded: Mapping[str, str], now: Mapping[str, str]) -> Iterator[str]:
    """Yield the modules that were recorded and now have other code; the engine as one."""
    engines = [
        {name: digest for name, digest in modules.items() if name.startswith(f"{ENGINE}.")}
        for modules in (recorded, now)
    ]
    if engines[0] != engines[1]:
        yield THE_ENGINE
    for name, digest in recorded.items():
        if name in now and now[name] != digest and not name.startswith(f"{ENGINE}."):
            yield name
