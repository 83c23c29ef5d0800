"""The units of work of a plan, one class for each kind.

Owns what a stage is, what it needs and leaves, what it is called, and how it stands in a database.
What the planner adds (how much is left to do, what it takes) is not stored. To add a kind: a class
in a file here, in ``Stage`` and in ``StageKind``; mypy then names every place that must know of it.
"""

from __future__ import annotations

from runner.core.stages.after_training import Analyse, Evaluate
from runner.core.stages.images import ExtractFeatures, Prepare
from runner.core.stages.planned import STAGE_KINDS, StageKind
from runner.core.stages.training import Train

__all__ = [
    "STAGE_KINDS",
    "AfterTraining",
    "Analyse",
    "Evaluate",
    "ExtractFeatures",
    "Prepare",
    "SeesImages",
    "Stage",
    "StageKind",
    "Train",
    "multiply_adds_a_step",
]

Stage = Prepare | ExtractFeatures | Train | Evaluate | Analyse

AfterTraining = Evaluate | Analyse
"""Kinds that look at what one run has kept: they have its ``solo_key`` and its ``trainings``."""

SeesImages = Train | Evaluate
"""Kinds whose network sees images, or in their place the features of its frozen prefix."""


def multiply_adds_a_step(stage: ExtractFeatures | SeesImages | AfterTraining) -> int:
    """Return the multiply-adds of a stage's network for a batch of training."""
    return stage.multiply_adds * int(stage.settings.json.get("train", {}).get("batch_size", 1))
