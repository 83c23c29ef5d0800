"""What the engine is handed beside a stage: where files lie, and whom to tell.

Owns the shapes of what goes in and out of a stage.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

from runner.artifacts.cache import Cache
from runner.artifacts.folder import Artifacts
from runner.artifacts.shared import Shared
from runner.components.data.dataset import ImageSource
from runner.components.models.pretrained import weights_name
from runner.components.settings import Settings
from runner.core.records import AnalysisValue, Metric, Produced
from runner.engine.training.writer import Writer


@dataclass(frozen=True, slots=True)
class Progress:
    """Where a stage stands.

    Attributes:
        done: steps done in this epoch; while images are prepared or evaluated, images.
        total: of how many.
        epoch: the epoch in progress, 0 outside training.
        epochs: of how many at most.
        loss: running training loss, or None.
        accuracy: running training accuracy, or None.
        split: that is being evaluated, "" otherwise.
        val_accuracy: of the last finished epoch, or None.
    """

    done: int
    total: int
    epoch: int = 0
    epochs: int = 0
    loss: float | None = None
    accuracy: float | None = None
    split: str = ""
    val_accuracy: float | None = None


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a stage ended.

    Attributes:
        status: ``done`` or ``diverged``.
        values: what is recorded of it, JSON only.
        message: for people, when it diverged.
        measured: evaluations, or values of an analysis.
        produced: artifacts.
    """

    status: str
    values: Mapping[str, Any]
    message: str = ""
    measured: Sequence[Metric | AnalysisValue] = ()
    produced: Sequence[Produced] = ()


@dataclass(frozen=True)
class Context:
    """What every stage of an invocation shares.

    Attributes:
        folder: ``.runner/``.
        device: where models run.
        numerics: what may change rounding.
        database: identity of the database, written into checkpoints.
        sources: image sources by pixels key.
        weights: files of pretrained weights, by `weights_name`.
        shared: the store that several machines share, or None.
        cache: keeps features, changed images and states under a limit; None: under none.
        checkpoint_seconds: seconds of finished epochs that may be lost.
        deterministic: let a GPU repeat itself to the byte.
        accept_mixed: continue checkpoints that were made under other numerics.
        share_states: go on from states that other trainings left.
        writer: writes beside trainings what they leave.
        should_stop: asked after every step; True ends the stage with Interrupted.
        on_progress: told at most a few times a second.
        on_note: told in one line what a person should know.
    """

    folder: Path
    device: torch.device
    numerics: Mapping[str, Any]
    database: str
    sources: Mapping[str, ImageSource] = field(default_factory=dict)
    weights: Mapping[str, Path] = field(default_factory=dict)
    checkpoint_seconds: float = 30.0
    deterministic: bool = False
    accept_mixed: bool = False
    share_states: bool = True
    shared: Shared | None = None
    cache: Cache | None = None
    writer: Writer = field(default_factory=Writer)
    should_stop: Callable[[], bool] = lambda: False
    on_progress: Callable[[Progress], None] = lambda progress: None
    on_note: Callable[[str], None] = lambda note: None

    @property
    def artifacts(self) -> Artifacts:
        """What the stages of the database leave in ``.runner/``."""
        return Artifacts(self.folder, self.database, self.shared)

    def artifact_path(self, name: str) -> Path:
        """Return where an artifact lies."""
        return self.artifacts.path(name)

    def weights_path(self, settings: Settings) -> Path | None:
        """Return the file of a model's pretrained weights, or None when it has none."""
        name = weights_name(settings.model)
        return self.weights[name] if name else None
