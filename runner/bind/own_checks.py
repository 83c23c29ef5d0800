"""Own code held against the data before any work: it is tried once for each digest and settings.

Owns which parts of a cell are tried, and what is remembered of that; what does not hold of one part
is not put down to another.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import astuple
from functools import partial
from typing import Any

from runner.artifacts.memory import LayoutCache
from runner.bind.code_digests import components_of
from runner.bind.positions import problem_at
from runner.components.augmentations.own_step import OwnStep
from runner.components.component import keyed_settings
from runner.components.losses import CrossEntropy, OwnLoss
from runner.components.models.own_model import OwnModel
from runner.components.optimizers import SGD, OwnOptimizer
from runner.components.own.other_packages import unkeyed_versions
from runner.components.own.problems import OwnCodeFailed
from runner.components.settings import Settings
from runner.core.keys import content_key
from runner.core.sharing import Unshared
from runner.spec.cells import ResolvedCell

Shape = tuple[int, int, int]


def check_own_code(
    resolved: ResolvedCell, shape: Shape, num_classes: int, known: LayoutCache
) -> Unshared:
    """Try the own components of a cell; what was tried before is remembered.

    Args:
        resolved: the cell.
        shape: of an image.
        num_classes: of the data.
        known: what was tried.

    Returns:
        Why the cell's training shares less than others.

    Raises:
        SpecError: when nothing can be trained with it.
    """
    settings, reasons = _trained_with(resolved.settings, step=None), list[str]()
    model, train = settings.model, resolved.settings.train
    outputs = num_classes if model.classes is None else model.classes
    if isinstance(loss := train.loss, OwnLoss):
        key = _key("own loss", keyed_settings(loss), outputs)
        with _at(resolved, "train.loss"):
            reasons.append(known.recall(key, partial(_try_loss, loss, outputs)))
        if reasons[-1]:  # the network is tried without
            settings = _trained_with(settings, loss=CrossEntropy(name="cross_entropy"))
    if isinstance(rule := train.optimizer, OwnOptimizer):
        key = _key("own optimizer", keyed_settings(rule))
        with _at(resolved, "train.optimizer"):
            reasons.append(known.recall(key, partial(_try_optimizer, rule)))
        if reasons[-1]:
            settings = _trained_with(settings, optimizer=SGD(name="sgd", lr=rule.lr))
    for step in [] if train.augment is None else components_of(train.augment):
        if isinstance(step, OwnStep):
            key = _key("own step", keyed_settings(step), shape)
            with _at(resolved, "train.augment"):
                reasons.append(known.recall(key, partial(_try_step, step, shape)))
    images = features = ""
    if isinstance(model, OwnModel):
        optimizer = {**keyed_settings(settings.train.optimizer), "lr": None}
        loss_settings = keyed_settings(settings.train.loss)
        # 2: also gone on with within an epoch
        key = _key("own model 2", keyed_settings(model), loss_settings, optimizer, shape, outputs)
        with _at(resolved, "model"):
            of_model = known.recall(key, partial(_try_model, settings, shape, num_classes))
        training, images, features = of_model
        reasons.append(training)
    if train.step is not None:
        settings = _trained_with(settings, step=train.step)
        parts = (model, train.step, settings.train.loss)
        optimizer = {**keyed_settings(settings.train.optimizer), "lr": None}
        others = [optimizer, train.clip_grad_norm, shape, outputs]
        key = _key("own update", *map(keyed_settings, parts), *others)
        with _at(resolved, "train.step"):
            of_step = known.recall(key, partial(_try_update, settings, shape, num_classes))
        reasons += [] if any(reasons) else [of_step]
    return Unshared("; ".join(filter(None, dict.fromkeys(reasons))), images, features)


def _key(kind: str, *tried: Any) -> str:
    """Return under what it is remembered how something did that was tried."""
    return content_key(kind, [*tried, unkeyed_versions()])


def _trained_with(settings: Settings, **parts: Any) -> Settings:
    return settings.model_copy(update={"train": settings.train.model_copy(update=parts)})


def _try_loss(loss: OwnLoss, outputs: int) -> str:
    from runner.engine.own_parts_probe import try_loss

    return try_loss(loss, outputs)


def _try_optimizer(optimizer: OwnOptimizer) -> str:
    from runner.engine.own_parts_probe import try_optimizer

    return try_optimizer(optimizer)


def _try_step(step: OwnStep, shape: Shape) -> str:
    from runner.engine.own_parts_probe import try_step

    return try_step(step, shape)


def _try_model(settings: Settings, shape: Shape, num_classes: int) -> tuple[str, ...]:
    from runner.engine.own_probe import try_training

    return astuple(try_training(settings, shape, num_classes))


def _try_update(settings: Settings, shape: Shape, num_classes: int) -> str:
    from runner.engine.own_step_probe import try_training_step

    return try_training_step(settings, shape, num_classes)


@contextmanager
def _at(resolved: ResolvedCell, path: str) -> Iterator[None]:
    try:
        yield
    except OwnCodeFailed as error:
        raise problem_at(resolved, path, error.found, hint=error.hint) from None
