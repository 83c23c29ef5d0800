"""The trajectory of a run: its epochs as segments of constant values, with content keys.

What moves the weights is hashed here and nothing else: budget, stopping rule and choice of the best
epoch belong to the reader.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any, NamedTuple

from runner.components.component import Component, keyed_settings
from runner.components.data.dataset import DatasetSettings
from runner.components.optimizers import Optimizer
from runner.components.schedules import Schedule
from runner.components.settings import Best, EarlyStopping, Settings, available_metrics
from runner.core.keys import canonical_json, canonical_object, content_key, epoch_key, text_key
from runner.core.reader import Reader, SelectRule, StopRule
from runner.core.trajectory import Segment, Trajectory


@lru_cache(maxsize=1 << 10)
def pixels_key(data: DatasetSettings, fingerprint: str) -> str:
    """Return the key of the decoded images: content and preprocessing."""
    return content_key("pixels", [fingerprint, data.pixel_settings()])


def data_key(settings: Settings, fingerprint: str) -> str:
    """Return the key of what training sees of the data: pixels, splits and scaling."""
    return _data_key(settings.data, fingerprint)


@lru_cache(maxsize=1 << 10)
def _data_key(data: DatasetSettings, fingerprint: str) -> str:
    seen: dict[str, Any] = {
        "pixels": pixels_key(data, fingerprint),
        "validation": data.validation,
        "test": data.test_share(),
        "split_seed": data.split_seed,
        "normalization": data.normalization(),
    }
    if data.fold is not None:
        seen["fold"] = keyed_settings(data.fold)
    if data.train_images is not None:
        seen["train_images"] = data.train_images
    return content_key("data", seen)


def stream_key(settings: Settings, fingerprint: str) -> str:
    """Return the key of the batches of training: what each step sees, and with which labels.

    Whatever the network, the optimizer and the number of epochs, a step of an epoch has the same.
    """
    train = settings.train
    return _stream_key(
        data_key(settings, fingerprint),
        train.augment,
        train.batch_size,
        train.drop_last,
        train.semantics,
        settings.seed,
        *([] if train.sampling == "shuffled" else [train.sampling]),
    )


@lru_cache(maxsize=1 << 10)
def _stream_key(data: str, augment: Component | None, *others: bool | int | str) -> str:
    augmented = None if augment is None else keyed_settings(augment)
    return content_key("stream", [data, augmented, *others])


def run_key(settings_key: str, fingerprint: str, weights: str = "") -> str:
    """Return the key of a run: resolved settings on known data and known weights."""
    return content_key("run", [settings_key, fingerprint, *([weights] if weights else [])])


def init_key(settings: Settings, fingerprint: str, weights: str = "") -> str:
    """Return the key of the state before the first epoch.

    Pretrained weights enter by the tensors that are loaded, wherever they came from; what is frozen
    belongs to the epochs.
    """
    return _init_key(settings.model, settings.data, fingerprint, settings.seed, weights)


@lru_cache(maxsize=1 << 14)
def _init_key(
    model: Component, data: DatasetSettings, fingerprint: str, seed: int, weights: str
) -> str:
    keyed = keyed_settings(model)
    initial: dict[str, Any] = {
        "model": {name: keyed[name] for name in keyed if name not in ("weights", "freeze")},
        "pixels": pixels_key(data, fingerprint),
        "seed": seed,
    }
    if weights:
        initial["weights"] = weights
    return content_key("init", initial)


def prefix_key(
    settings: Settings,
    fingerprint: str,
    structure: str,
    prefix_weights: str,
    weights: str,
    views: int | None = 1,
) -> str:
    """Return the key of the features that a frozen prefix gives, of so many views of an image.

    Args:
        settings: of a run.
        fingerprint: of its data.
        structure: digest of the prefix's operations.
        prefix_weights: digest of the prefix's pretrained tensors, or "" when some of them are drawn
            from the seed; with it, the features are those of other seeds and heads as well.
        weights: digest of all pretrained tensors.
        views: of each image; the features of images as they are, one view, are those of every
            augmentation.
    """
    return content_key(
        "features",
        {
            "pixels": pixels_key(settings.data, fingerprint),
            "normalization": settings.data.normalization(),
            "structure": structure,
            "weights": prefix_weights or init_key(settings, fingerprint, weights),
            "precision": settings.train.precision,
            **({} if views == 1 else {"views": views}),
        },
    )


def num_views(settings: Settings) -> int | None:
    """Return how many different images training makes of one, None where that is not fixed."""
    return settings.train.num_views()


def make_reader(settings: Settings) -> Reader:
    """Return how a run with these settings reads its trajectory."""
    train, stop = settings.train, settings.train.early_stopping
    return Reader(
        budget=train.epochs,
        stop_rule=None
        if stop is None
        else StopRule(stop.monitor, stop.mode, stop.patience, stop.tolerance),
        select_rule=SelectRule(train.best.monitor, train.best.mode),
        wants_test=settings.evaluate.test,
        diverged_if=train.diverged_if,
    )


def reader_text(settings: Settings) -> str:
    """Return the canonical JSON of what the key of a training hashes of its reader."""
    train, evaluate = settings.train, settings.evaluate
    rules = (train.epochs, train.early_stopping, train.best, train.diverged_if)
    return _reader_text(*rules, evaluate.test, evaluate.semantics)


@lru_cache(maxsize=1 << 10)
def _reader_text(
    epochs: int,
    stop: EarlyStopping | None,
    best: Best,
    diverged_if: float,
    test: str,
    semantics: int,
) -> str:
    return canonical_json(
        {
            "epochs": epochs,
            "early_stopping": None if stop is None else keyed_settings(stop),
            "best": keyed_settings(best),
            "test": test,
            "diverged_if": diverged_if,
            "semantics": semantics,
        }
    )


def make_trajectory(
    settings: Settings, fingerprint: str, weights: str = "", rerun: int = 0, alone: str = ""
) -> Trajectory:
    """Return a run's trajectory, over its whole budget.

    A repetition has a trajectory of its own: nothing computed before is part of it. So has a run
    that may share nothing, whose key is ``alone``: no other run has an epoch of it.

    A step schedule has one segment per learning rate; a cosine or plateau is one segment whose
    values hold the rule.
    """
    train = settings.train
    parent = init_key(settings, fingerprint, weights)
    parent = content_key("rerun", [parent, rerun]) if rerun else parent
    parent = content_key("alone", [parent, alone]) if alone else parent
    constant = _Constant(
        freeze=settings.model.freeze,
        augment=train.augment,
        semantics=train.semantics,
        data=data_key(settings, fingerprint),
        batch_size=train.batch_size,
        drop_last=train.drop_last,
        sampling=train.sampling,
        optimizer=train.optimizer,
        loss=train.loss,
        step=train.step,
        clip_grad_norm=train.clip_grad_norm,
        precision=train.precision,
        measures=available_metrics(settings),
        seed=settings.seed,
    )
    return _trajectory(parent, constant, train.schedule, train.epochs)


class _Constant(NamedTuple):
    """What moves the weights alike in every epoch; the optimizer comes with its first rate."""

    freeze: str | tuple[str, ...]
    augment: Component | None
    semantics: int
    data: str
    batch_size: int
    drop_last: bool
    sampling: str
    optimizer: Optimizer
    loss: Component
    step: Component | None
    clip_grad_norm: float | None
    precision: str
    measures: tuple[str, ...]
    seed: int

    def values(self) -> dict[str, Any]:
        """Return it as JSON values, without the rate.

        What was added later is left out where it changes nothing.
        """
        values = self._asdict()
        values["optimizer"] = keyed_settings(self.optimizer)
        del values["optimizer"]["lr"]
        values["loss"] = keyed_settings(self.loss)
        values["measures"] = list(self.measures)
        if self.freeze == "none":
            del values["freeze"]
        if self.sampling == "shuffled":
            del values["sampling"]
        if self.step is None:
            del values["step"]
        else:
            values["step"] = keyed_settings(self.step)
        if self.augment is None:
            del values["augment"]
        else:
            values["augment"] = keyed_settings(self.augment)
        return values


@lru_cache(maxsize=1 << 14)
def _trajectory(parent: str, constant: _Constant, schedule: Schedule, epochs: int) -> Trajectory:
    """Return the segments from the state ``parent`` on; runs that differ as readers share them."""
    texts = {name: canonical_json(value) for name, value in constant.values().items()}
    phases = schedule.phases(constant.optimizer.lr, epochs)
    ends = [first for first, _ in phases[1:]] + [epochs + 1]
    segments: list[Segment] = []
    for (first, rate), end in zip(phases, ends, strict=True):
        values = canonical_object({**texts, "rate": canonical_json(rate)})
        whole = {"first": str(first), "parent": f'"{parent}"', "values": values}
        key = text_key("segment", canonical_object(whole))
        segments.append(Segment(key, first, end - first))
        parent = epoch_key(key, end - 1)
    return Trajectory(tuple(segments))
