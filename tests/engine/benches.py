"""A bench for engine tests: one run's stages on generated images, done one by one."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file
from torch.utils._python_dispatch import TorchDispatchMode

from runner.artifacts.cache import Cache
from runner.components.data.dataset import DataAccess, ImageSource
from runner.components.settings import Settings
from runner.core.plan import DEFAULT_CACHE_LIMIT
from runner.core.records import EpochRecord
from runner.core.stages import Stage
from runner.engine.context import Context, Outcome
from runner.engine.data.samples import Images
from runner.engine.engine import do_stage
from runner.engine.job import StageJob
from runner.engine.network.tensors import tensors_digest
from runner.engine.numerics import begin_numerics
from runner.lower.stages import make_run, naive_chain
from runner.lower.trajectory import pixels_key

CPU = torch.device("cpu")
NOWHERE = DataAccess((), lambda root, names: [])
SYNTHETIC = {
    "dataset": "synthetic",
    "classes": 3,
    "images": 60,
    "height": 8,
    "width": 8,
    "noise": 1.5,
    "validation": 0.25,
    "test": 0.2,
}
"""36 training images, 12 of validation, 12 of test."""

MLP = {"name": "mlp", "hidden": [12]}


def settings_of(
    train: Mapping[str, Any] | None = None,
    model: Mapping[str, Any] = MLP,
    data: Mapping[str, Any] = SYNTHETIC,
    **others: Any,
) -> Settings:
    """Return settings; what is not given is small and quick."""
    chosen = {
        "epochs": 3,
        "batch_size": 12,
        "optimizer": {"name": "sgd", "lr": 0.1, "momentum": 0.9},
        "schedule": {"name": "constant"},
        "loss": {"name": "cross_entropy"},
        **(train or {}),
    }
    document = {"data": dict(data), "model": dict(model), "train": chosen, **others}
    return Settings.model_validate_json(json.dumps(document))


@dataclass
class Bench:
    """The stages of one run, and what they record.

    Attributes:
        folder: stands for ``.runner/``.
        records: recorded epochs by (attempt, epoch).
        notes: what was said.
        digests: of what stages left.
        options: of the context.
    """

    folder: Path
    settings: Settings
    source: ImageSource | None = None
    records: dict[tuple[int, int], EpochRecord] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    digests: dict[str, str] = field(default_factory=dict)
    options: dict[str, Any] = field(default_factory=dict)
    can_continue: Callable[[Sequence[Sequence[int]]], bool] = lambda ranges: True

    def __post_init__(self) -> None:
        self.source = self.source or self.settings.data.build(NOWHERE)
        run = make_run(self.settings, self.source.fingerprint)
        self.chain = naive_chain(run, self.settings)

    def context(self) -> Context:
        """Return the context of all stages."""
        assert self.source is not None
        values: dict[str, Any] = {
            "numerics": begin_numerics(CPU).of_machine(),
            "database": "database",
            "checkpoint_seconds": 1e9,
            "cache": Cache(self.folder, DEFAULT_CACHE_LIMIT),
            **self.options,
        }
        return Context(
            folder=self.folder,
            device=CPU,
            sources={pixels_key(self.settings.data, self.source.fingerprint): self.source},
            on_note=self.notes.append,
            **values,
        )

    def stage(self, kind: str) -> Stage:
        """Return the run's stage of a kind."""
        return next(stage for stage in self.chain if stage.kind == kind)

    def do(self, kind: str, attempt: int = 1, parent: Outcome | None = None) -> Outcome:
        """Do a stage."""

        def store(records: Sequence[EpochRecord]) -> None:
            for record in records:
                assert (attempt, record.epoch) not in self.records
                self.records[attempt, record.epoch] = record

        readings = {} if parent is None else parent.values["readers"]
        stage, digest_of = self.stage(kind), self.digests.get
        context = self.context()
        outcome = do_stage(
            context, StageJob(stage, attempt, store, self.can_continue, readings, digest_of)
        )
        context.writer.close()
        self.notes += context.writer.notes()
        self.digests |= {each.name: each.digest for each in outcome.produced}
        return outcome

    def train(self, attempt: int = 1) -> Outcome:
        """Prepare and train."""
        self.do("prepare")
        return self.do("train", attempt)

    def images(self) -> Images:
        """Return the prepared images."""
        self.do("prepare")
        (name,) = self.stage("prepare").produces
        path = self.context().artifact_path(name)
        return Images(path, self.settings.data, CPU)

    def read(self, outcome: Outcome) -> list[EpochRecord]:
        """Return the records that make up a training, in order."""
        return [
            self.records[attempt, epoch]
            for attempt, first, last in reading_of(outcome)["reads"]
            for epoch in range(first, last + 1)
        ]

    def metric(self, outcome: Outcome, name: str) -> list[float]:
        """Return a metric by full name, epoch after epoch."""
        return [
            metric.value
            for record in self.read(outcome)
            for metric in record.metrics
            if f"{metric.split}_{metric.name}" == name
        ]

    def weights(self, which: str = "best") -> dict[str, torch.Tensor]:
        """Return the weights that were kept."""
        name = f"weights/{self.stage('train').key}-{which}"
        return load_file(self.context().artifact_path(name))

    def digest(self, which: str = "best") -> str:
        """Return the digest of the weights that were kept."""
        return tensors_digest(self.weights(which))


def reading_of(outcome: Outcome) -> Mapping[str, Any]:
    """Return what became of the only reader of a training."""
    (reading,) = outcome.values["readers"].values()
    return reading


def plain_records(records: Sequence[EpochRecord]) -> list[tuple[Any, ...]]:
    """Return records without their seconds."""
    return [(r.epoch, r.metrics, r.step_losses, r.learning_rate) for r in records]


class Draws(TorchDispatchMode):
    """Counts numbers that are drawn for a network on the CPU."""

    def __init__(self) -> None:
        super().__init__()
        self.count = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        drawing = str(func).startswith(("aten.uniform_", "aten.normal_"))
        if drawing and args[0].device.type != "meta":
            self.count += args[0].numel()
        return func(*args, **(kwargs or {}))
