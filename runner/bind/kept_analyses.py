"""Finds what analyses of recorded runs have left: their arrays and their numbers.

Owns what is said where there is nothing, and clears damaged arrays away, which only then are made
again. Reads `.runner/` and the database, and imports no torch.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from numpy.typing import NDArray

from runner.artifacts.arrays import NamedArrays, read_arrays, remove_damaged
from runner.bind.workspace import Workspace
from runner.core.artifacts import analysis_name
from runner.store.analyses import analyses_of
from runner.store.database import Database
from runner.store.progress import artifact_digests

NOT_MADE = "not made yet"
GONE = "its arrays are gone or damaged"


@dataclass(frozen=True, slots=True, eq=False)
class KeptAnalysis:
    """What an analysis of a run has left.

    Attributes:
        missing: why there is nothing, or "".
        arrays: by name; the component of the analysis says what they hold.
        values: its numbers: name, dims, value.
    """

    missing: str = ""
    arrays: Mapping[str, NDArray[Any]] = field(default_factory=dict)
    values: tuple[Mapping[str, Any], ...] = ()


def kept_analysis(
    database: Database, home: Workspace, run_key: str, analysis_key: str
) -> KeptAnalysis:
    """Return what an analysis of a run has left, arrays included.

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
        return KeptAnalysis(NOT_MADE)
    kept, missing = kept_arrays(database, home, made["stage_key"])
    arrays = {} if kept is None else kept.arrays
    return KeptAnalysis(missing, arrays, tuple(made["values"]))


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
    folder = home.artifacts(database).path(artifact)
    kept = read_arrays(folder, digest)
    if kept is not None:
        return kept, ""
    if remove_damaged(folder, digest):
        return None, GONE
    return None, f"{GONE}, and {folder} cannot be read or removed: remove it"
