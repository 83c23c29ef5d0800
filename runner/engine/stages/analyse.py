"""The analyse stage: an analysis of weights that a run has kept, its values and its arrays."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from runner.artifacts.arrays import write_arrays
from runner.components.analyses import typed_analysis
from runner.components.models.classifier import UnknownLayer
from runner.core.artifacts import analysis_name
from runner.core.errors import StageFailed
from runner.core.keys import canonical_json
from runner.core.moments import reached
from runner.core.records import AnalysisValue, Produced
from runner.core.stages import Analyse
from runner.engine.analyses import ANALYSES
from runner.engine.analyses.result import AnalysisResult, NetworkInput, check_finite, named
from runner.engine.context import Context, Outcome
from runner.engine.inspection.layers import NotSuitable
from runner.engine.job import StageJob
from runner.engine.kept_logits import KeptLogits
from runner.engine.training.retention import with_room


def analyse(subject: NetworkInput, job: StageJob[Analyse]) -> Outcome:
    """Make an analysis of a network and write its arrays; see :func:`_outcome`."""
    asked = typed_analysis(job.stage.analysis)
    make = ANALYSES[type(asked)].make
    return _outcome(subject.context, job, subject.epoch, lambda: make(subject, asked))


def analyse_logits(
    context: Context, job: StageJob[Analyse], kept: KeptLogits, epoch: int
) -> Outcome:
    """Make an analysis of logits and write its arrays; see :func:`_outcome`."""
    asked = typed_analysis(job.stage.analysis)
    make = ANALYSES[type(asked)].make
    return _outcome(context, job, epoch, lambda: make(kept, asked))


def _outcome(
    context: Context, job: StageJob[Analyse], epoch: int, make: Callable[[], AnalysisResult]
) -> Outcome:
    """Make an analysis, check its values, and write its arrays.

    Raises:
        StageFailed: when a value is not finite, or it says nothing of what it looks at.
        Interrupted: when asked to stop; nothing is left behind.
        ClaimLost: when another process took the stage over.
        OSError: when the disk is full, also without the states that nothing needs.
    """
    stage = job.stage
    reached("analysis begins")
    try:
        found = make()
    except (NotSuitable, UnknownLayer) as error:
        raise StageFailed(f"{stage.name}: {error}") from None
    _check(stage.name, found.values)
    values: dict[str, Any] = {"epoch": epoch}
    produced: tuple[Produced, ...] = ()
    if stage.leaves_arrays:
        name = analysis_name(stage.key)
        folder = context.artifact_path(name)
        about = {"analysis": stage.analysis.json, **values}
        digest, size = with_room(
            context, lambda: write_arrays(folder, found.arrays, about, job.check_claim)
        )
        produced = (Produced(name, digest, size),)
        reached("arrays in place, not recorded")
    reached("analysed, not recorded")
    return Outcome("done", values, measured=found.values, produced=produced)


def _check(name: str, values: Sequence[AnalysisValue]) -> None:
    """Refuse what no record can hold."""
    check_finite(name, values)
    places: set[tuple[str, str]] = set()
    for each in values:
        place = (each.name, canonical_json(dict(each.dims)))
        if place in places:
            raise StageFailed(f"{name}: two values of {named(each)}")
        places.add(place)
