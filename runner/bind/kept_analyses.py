"""Finds what analyses of recorded runs have left: their arrays and their numbers.

Owns what is said where there is nothing, and clears damaged arrays away, which only then are made
again. Reads `.runner/` and the database, and imports no torch.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from runner.artifacts.arrays import NamedArrays, read_arrays, remove_damaged
from runner.bind.workspace import Workspace
from runner.core.artifacts import analysis_name
from runner.core.errors import DataError
from runner.store.analyses import analyses_of, looked_at
from runner.store.database import Database
from runner.store.progress import artifact_digests

NOT_MADE = "not made yet"
GONE = "its arrays are gone or damaged"
ONLY_TRAINING = "its weights are gone, too: only training again (run --rerun) would bring them back"
"""What is said where no `run` makes the arrays again."""


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
    database: Database, home: Workspace, run_key: str, analysis_key: str
) -> KeptAnalysis:
    """Return what an analysis of a run has left, whose arrays were read and found whole.

    Args:
        database: where the run is recorded.
        home: of the database.
        run_key: of the run.
        analysis_key: of the settings of the analysis.
    """
    with database.read() as connection:
        known = analyses_of(connection, run_key)
    made = next((each for each in known if each["analysis_key"] == analysis_key), None)
    if made is None or not made["made"]:
        by_run = made is None or is_made_by_run(database, home, made["stage_key"])
        return KeptAnalysis(NOT_MADE, by_run)
    artifact = analysis_name(made["stage_key"])
    digest = artifact_digests(database, [artifact]).get(artifact)
    folder = home.artifacts(database).path(artifact)

    def read() -> Mapping[str, NDArray[Any]]:
        kept, missing = _read(folder, digest)
        if kept is None:
            raise DataError(f"{made['kind']} of run {run_key[:12]}: {missing}")
        return kept.arrays

    missing = _read(folder, digest)[1]
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
    return _read(home.artifacts(database).path(artifact), digest)


def is_made_by_run(database: Database, home: Workspace, stage_key: str) -> bool:
    """Return whether the weights or logits lie there of which an analysis is made.

    Args:
        database: where its stage is recorded.
        home: of the database.
        stage_key: of the stage that makes it.
    """
    artifacts = home.artifacts(database)
    return any(map(artifacts.lies_there, looked_at(database, stage_key)))


def _read(folder: Path, digest: str | None) -> tuple[NamedArrays | None, str]:
    kept = read_arrays(folder, digest)
    if kept is not None:
        return kept, ""
    if remove_damaged(folder, digest):
        return None, GONE
    return None, f"{GONE}, and {folder} cannot be read or removed: remove it"
