"""The analyse stage: an analysis of weights that a run has kept, its values and its arrays."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from runner.artifacts.arrays import write_arrays
from runner.components.analyses import typed_analysis
from runner.components.models.classifier import UnknownLayer
from runner.components.settings import METRIC_SPLITS
from runner.core.errors import StageFailed
from runner.core.keys import canonical_json
from runner.core.moments import reached
from runner.core.records import AnalysisValue, Produced
from runner.core.stages import Analyse
from runner.engine.analyses import ANALYSES
from runner.engine.analyses.result import AnalysisInput, NetworkInput
from runner.engine.context import Outcome
from runner.engine.inspection.layers import NotSuitable
from runner.engine.job import StageJob
from runner.engine.stages.keeping import SplitLogits, keep_logits
from runner.engine.training.retention import with_room


def analyse(subject: NetworkInput, job: StageJob[Analyse]) -> Outcome:
    """Make an analysis and write its arrays.

    Raises:
        StageFailed: when a value is not finite, or it says nothing of what it looks at.
        Interrupted: when asked to stop; nothing is left behind.
        ClaimLost: when another process took the stage over.
        OSError: when the disk is full, also without the states that nothing needs.
    """
    stage, asked = job.stage, typed_analysis(job.stage.analysis)
    reached("analysis begins")
    try:
        found = ANALYSES[type(asked)](subject, asked)
    except (NotSuitable, UnknownLayer) as error:
        raise StageFailed(f"{stage.name}: {error}") from None
    _check(stage.name, found.values)
    values: dict[str, Any] = {"epoch": subject.epoch}
    produced: tuple[Produced, ...] = ()
    if stage.leaves_arrays:
        (name,) = stage.produces
        folder = subject.context.artifact_path(name)
        about = {"analysis": stage.analysis.json, **values}
        digest, size = with_room(
            subject.context, lambda: write_arrays(folder, found.arrays, about, job.check_claim)
        )
        produced = (Produced(name, digest, size),)
        reached("arrays in place, not recorded")
    for split, logits in found.logits.items():
        assert isinstance(subject, AnalysisInput), "logits are of images"
        metric_split = next(each for each, images in METRIC_SPLITS.items() if images == split)
        seen = SplitLogits(subject.images, metric_split, logits, subject.epoch)
        produced += tuple(keep_logits(subject.context, job, seen))
    reached("analysed, not recorded")
    return Outcome("done", values, measured=found.values, produced=produced)


def _check(name: str, values: Sequence[AnalysisValue]) -> None:
    """Refuse what no record can hold."""
    places: set[tuple[str, str]] = set()
    for each in values:
        if not math.isfinite(each.value):
            raise StageFailed(f"{name}: {_named(each)} is not finite ({each.value})")
        place = (each.name, canonical_json(dict(each.dims)))
        if place in places:
            raise StageFailed(f"{name}: two values of {_named(each)}")
        places.add(place)


def _named(value: AnalysisValue) -> str:
    place = ", ".join(f"{dim} {each}" for dim, each in value.dims.items())
    return f"{value.name} at {place}" if place else value.name
