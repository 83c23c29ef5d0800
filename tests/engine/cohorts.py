"""Several benches whose trainings are done together, and how each is compared with one alone."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import torch
from benches import MLP, Bench, plain_records, settings_of
from torch import nn

from runner.components.settings import Settings
from runner.core.records import EpochRecord
from runner.core.stages import Train
from runner.engine.context import Outcome
from runner.engine.data.augment import Augmenter
from runner.engine.engine import do_together
from runner.engine.job import StageJob
from runner.engine.training.step import TrainingStep

End = Outcome | BaseException

CROP = {"steps": [{"name": "RandomCrop", "size": 8, "padding": 2}]}
DROPPING = {"name": "mlp", "hidden": [12], "batch_norm": True, "dropout": 0.3}


def sgd(lr: float, **others: Any) -> dict[str, Any]:
    return {"optimizer": {"name": "sgd", "lr": lr, "momentum": 0.9}, **others}


def rates(*rates: float, model: Any = MLP, **train: Any) -> list[Settings]:
    return [settings_of(sgd(rate, **train), model) for rate in rates]


@dataclass
class Together:
    """Runs on equal data in one folder, whose trainings are done together.

    Attributes:
        benches: one for each run.
        ends: what each training ended with, in order, by number.
        options: of jobs, by number.
        on_end: called with the number of a training that has ended.
    """

    folder: Path
    benches: list[Bench]
    ends: dict[int, End] = field(default_factory=dict)
    options: dict[int, Mapping[str, Any]] = field(default_factory=dict)
    on_end: Callable[[int], None] = lambda number: None

    @classmethod
    def of(
        cls,
        folder: Path,
        settings: Sequence[Settings],
        kind: type[Bench] = Bench,
        **options: Any,
    ) -> Together:
        """Return it with its images, and what else comes before trainings, made."""
        benches = [kind(folder, each, options=options) for each in settings]
        for stage in benches[0].chain[:-1]:
            if stage.kind in ("prepare", "features"):
                benches[0].do(stage.kind)
        return cls(folder, benches)

    def job(self, number: int, attempt: int = 1) -> StageJob[Train]:
        """Return the job of a training."""
        bench = self.benches[number]
        stage = bench.stage("train")
        assert isinstance(stage, Train)

        def store(records: Sequence[EpochRecord]) -> None:
            for record in records:
                assert (attempt, record.epoch) not in bench.records
                bench.records[attempt, record.epoch] = record

        given: dict[str, Any] = {"store_epochs": store, **self.options.get(number, {})}
        return StageJob(stage, attempt, given.pop("store_epochs"), bench.can_continue, {}, **given)

    def train(self, attempt: int = 1, numbers: Sequence[int] | None = None) -> list[End]:
        """Train all, or some, together; return what each ended with."""
        chosen = range(len(self.benches)) if numbers is None else numbers
        jobs = {number: self.job(number, attempt) for number in chosen}

        def ended(job: StageJob[Train], end: End) -> None:
            (number,) = (each for each, known in jobs.items() if known is job)
            assert number not in self.ends
            self.ends[number] = end
            self.on_end(number)

        context = self.benches[0].context()
        self.ends = {}
        try:
            do_together(context, [*jobs.values()], ended)
        finally:
            context.writer.close()
            self.benches[0].notes += context.writer.notes()
        return [self.ends[number] for number in chosen]


def check_as_alone(bench: Bench, end: End, folder: Path) -> Outcome:
    """Train a bench's run alone in another folder; all that it leaves must be the same bytes."""
    alone = type(bench)(folder, bench.settings)
    outcome = alone.train()
    assert isinstance(end, Outcome), end
    mine, theirs = plain_records(bench.read(end)), plain_records(alone.read(outcome))
    assert repr(mine) == repr(theirs), "to the last digit, losses that are not finite too"
    assert end.produced == outcome.produced
    assert {each.name: path_bytes(bench, each.name) for each in end.produced} == {
        each.name: path_bytes(alone, each.name) for each in outcome.produced
    }
    assert readings_of(end) == readings_of(outcome)
    assert (end.status, end.message) == (outcome.status, outcome.message)
    states = states_of(alone)
    assert len(states) == (outcome.status == "done")
    assert states_of(bench) >= states
    return outcome


def readings_of(outcome: Outcome) -> dict[str, Any]:
    """Return what became of readers, but for the attempts that they read."""
    readers = outcome.values["readers"].items()
    return {name: {**values, "reads": None} for name, values in readers}


def path_bytes(bench: Bench, name: str) -> bytes:
    """Return a file of weights, or the files of logits one behind the other."""
    path = bench.context().artifact_path(name)
    files = sorted(path.iterdir()) if path.is_dir() else [path]
    return b"".join(file.read_bytes() for file in files)


def states_of(bench: Bench) -> set[bytes]:
    """Return the tensors of the states that a folder holds."""
    return {path.read_bytes() for path in (bench.folder / "states").rglob("*.safetensors")}


def messages(ends: Sequence[End]) -> list[str]:
    """Return what each ended with, as text."""
    return [each.status if isinstance(each, Outcome) else repr(each) for each in ends]


@contextmanager
def counted() -> Iterator[Counter[str]]:
    """Count batches that are augmented, steps, and what goes through the first frozen layer."""
    seen: Counter[str] = Counter()
    augment, step, forward = Augmenter.__call__, TrainingStep.__call__, nn.Conv2d.forward

    def augmented(*given: Any) -> Any:
        seen["augmented"] += 1
        return augment(*given)

    def stepped(*given: Any) -> Any:
        seen["steps"] += 1
        return step(*given)

    def forwarded(layer: nn.Conv2d, inputs: torch.Tensor) -> torch.Tensor:
        is_trained_on = inputs.device.type != "meta" and not torch.is_inference_mode_enabled()
        if layer.in_channels == 3 and is_trained_on:
            seen["prefix"] += 1
        return forward(layer, inputs)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Augmenter, "__call__", augmented)
        patch.setattr(TrainingStep, "__call__", stepped)
        patch.setattr(nn.Conv2d, "forward", forwarded)
        yield seen
