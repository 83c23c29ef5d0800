"""Finds what analyses of recorded runs have left: their arrays and their numbers.

Owns what is said where there is nothing, and clears damaged arrays away, which only then are made
again. Reads `.runner/` and the database, and imports no torch.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Any

from numpy.typing import NDArray

from runner.artifacts.arrays import NamedArrays, read_arrays, remove_damaged
from runner.artifacts.exchange import elsewhere, read_whole
from runner.artifacts.folder import Artifacts
from runner.bind.workspace import Workspace
from runner.components.analyses import analysis_key
from runner.components.analyses.analysis import AnalysisSettings
from runner.components.settings import metric_split
from runner.core.artifacts import analysis_name, logits_name, weights_name
from runner.core.errors import DataError
from runner.core.reader import KEPT_WEIGHTS
from runner.store.analyses import analyses_of, looked_at
from runner.store.database import Database
from runner.store.progress import artifact_digests, called_in_trainings

RUN = "runner run SPEC"
RERUN = f"{RUN} --rerun"
NOT_MADE = "not made yet"
GONE = "its arrays are gone or damaged"
ONLY_TRAINING = "the weights are gone: only training again (run --rerun) would bring them back"
"""What is said where no `run` makes an analysis, or its arrays again."""


@dataclass(frozen=True, slots=True, eq=False)
class KeptAnalysis:
    """What an analysis of a run has left.

    Attributes:
        missing: why there is nothing, or "".
        by_run: whether `run` makes what is missing.
        read: returns the arrays, by name; the component of the analysis says what they hold. They
            are not held: those of many runs take more memory than there is. Raises DataError
            where they have gone meanwhile.
        values: its numbers: name, dims, value.
    """

    missing: str = ""
    by_run: bool = True
    read: Callable[[], Mapping[str, NDArray[Any]]] = dict
    values: tuple[Mapping[str, Any], ...] = ()


def kept_analysis(
    database: Database, home: Workspace, run_key: str, rerun: int, settings: AnalysisSettings
) -> KeptAnalysis:
    """Return what an analysis of a run has left, whose arrays were read and found whole.

    Args:
        database: where the run is recorded.
        home: of the database.
        run_key: of the run.
        rerun: which repetition of it counts.
        settings: of the analysis.
    """
    wanted = analysis_key(settings)
    with database.read() as connection:
        known = analyses_of(connection, run_key)
    made = next((each for each in known if each["analysis_key"] == wanted), None)
    if made is None or not made["made"]:
        return KeptAnalysis(NOT_MADE, can_be_made(database, home, run_key, rerun, settings))
    artifact = analysis_name(made["stage_key"])
    digest = artifact_digests(database, [artifact]).get(artifact)
    stored = home.artifacts(database)

    def read() -> Mapping[str, NDArray[Any]]:
        kept, missing = _read(stored, artifact, digest)
        if kept is None:
            raise DataError(f"{made['kind']} of run {run_key[:12]}: {missing}")
        return kept.arrays

    missing = _read(stored, artifact, digest)[1]
    by_run = not missing or is_made_by_run(database, home, made["stage_key"])
    return KeptAnalysis(missing, by_run, read, tuple(made["values"]))


def kept_arrays(
    database: Database, home: Workspace, stage_key: str
) -> tuple[NamedArrays | None, str]:
    """Return the arrays of an analysis, or None and why there are none.

    Damaged ones are removed, so that `run` finds that they are to be made.

    Args:
        database: where its stage is recorded.
        home: of the database.
        stage_key: of the stage that made it.
    """
    artifact = analysis_name(stage_key)
    digest = artifact_digests(database, [artifact]).get(artifact)
    return _read(home.artifacts(database), artifact, digest)


def is_made_by_run(database: Database, home: Workspace, stage_key: str) -> bool:
    """Return whether the weights or logits lie there of which an analysis is made.

    Args:
        database: where its stage is recorded.
        home: of the database.
        stage_key: of the stage that makes it.
    """
    return lie_there(home.artifacts(database), looked_at(database, stage_key))


def can_be_made(
    database: Database, home: Workspace, run_key: str, rerun: int, settings: AnalysisSettings
) -> bool:
    """Return whether an analysis can be made of a run that is done, asked for or not.

    Args:
        database: where the run is recorded.
        home: of the database.
        run_key: of the run.
        rerun: which repetition of it counts.
        settings: of the analysis.
    """
    solo = called_in_trainings(database, run_key, rerun)
    # the last weights are called the best ones where nothing else says which are the best
    kept = KEPT_WEIGHTS if settings.weights == "last" else (settings.weights,)
    names = [weights_name(solo, which) for which in kept]
    split = settings.looks_at()
    if settings.FROM_LOGITS and split is not None:
        names += [logits_name(solo, which, metric_split(split)) for which in kept]
    return lie_there(home.artifacts(database), names)


def what_makes(
    database: Database, home: Workspace, record: Mapping[str, Any]
) -> Callable[[Mapping[str, Any] | None], str]:
    """Return what says how an analysis of a run is made that is not; None is one nobody asked for.

    Args:
        database: where the run is recorded.
        home: of the database.
        record: of the run.
    """

    def hint(analysis: Mapping[str, Any] | None) -> str:
        result = record["result"]
        if result is None or result["status"] != "done":
            return RUN
        if analysis is not None:
            return RUN if is_made_by_run(database, home, analysis["stage_key"]) else ONLY_TRAINING
        solo = called_in_trainings(database, record["run_key"], result["rerun"])
        weights = [weights_name(solo, which) for which in KEPT_WEIGHTS]
        there = lie_there(home.artifacts(database), weights)
        return RUN if there else f"{RERUN} ({ONLY_TRAINING})"

    return hint


def lie_there(artifacts: Artifacts, names: Collection[str]) -> bool:
    """Return whether any of some artifacts lies in ``.runner/`` or in the shared store."""
    return any(map(artifacts.lies_there, names)) or bool(elsewhere(artifacts, names, fresh=True))


def _read(artifacts: Artifacts, name: str, digest: str | None) -> tuple[NamedArrays | None, str]:
    folder = artifacts.path(name)
    kept = read_whole(artifacts, name, lambda path: read_arrays(path, digest))
    if kept is not None:
        return kept, ""
    if remove_damaged(folder, digest):
        return None, GONE
    return None, f"{GONE}, and {folder} cannot be read or removed: remove it"
