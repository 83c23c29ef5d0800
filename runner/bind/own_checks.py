"""Own code held against the data before any work: it is tried once for each digest and settings."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

from runner.artifacts.memory import LayoutCache
from runner.bind.code_digests import components_of
from runner.bind.positions import problem_at
from runner.components.augmentations.own_step import OwnStep
from runner.components.component import keyed_settings
from runner.components.losses import OwnLoss
from runner.components.models.own_model import OwnModel
from runner.components.optimizers import OwnOptimizer
from runner.components.own.problems import OwnCodeFailed
from runner.core.keys import content_key
from runner.spec.cells import ResolvedCell


def check_own_code(
    resolved: ResolvedCell, shape: tuple[int, int, int], num_classes: int, known: LayoutCache
) -> None:
    """Try the own components of a cell; what was tried before is remembered.

    Args:
        resolved: the cell.
        shape: of an image.
        num_classes: of the data.
        known: what was tried.

    Raises:
        SpecError: when what the program relies on does not hold.
    """
    settings = resolved.settings
    model, train = settings.model, settings.train
    outputs = num_classes if model.classes is None else model.classes
    loss = keyed_settings(train.loss)
    if isinstance(own := train.loss, OwnLoss):
        key = content_key("own loss", [loss, outputs])

        def of_loss() -> None:
            from runner.engine.own_probe import try_loss

            try_loss(own, outputs)

        with _at(resolved, "train.loss"):
            _once(known, key, of_loss)
    if isinstance(rule := train.optimizer, OwnOptimizer):

        def of_optimizer() -> None:
            from runner.engine.own_probe import try_optimizer

            try_optimizer(rule)

        with _at(resolved, "train.optimizer"):
            _once(known, content_key("own optimizer", keyed_settings(rule)), of_optimizer)
    if train.augment is not None:
        for step in components_of(train.augment):
            if isinstance(step, OwnStep):
                with _at(resolved, "train.augment"):
                    _once(known, _step_key(step, shape), partial(_try_step, step, shape))
    if isinstance(model, OwnModel):
        optimizer = {**keyed_settings(train.optimizer), "lr": None}
        key = content_key("own model", [keyed_settings(model), loss, optimizer, shape, outputs])

        def of_model() -> None:
            from runner.engine.own_probe import try_training

            try_training(settings, shape, num_classes)

        with _at(resolved, "model"):
            _once(known, key, of_model)


def _step_key(step: OwnStep, shape: tuple[int, int, int]) -> str:
    return content_key("own step", [keyed_settings(step), shape])


def _try_step(step: OwnStep, shape: tuple[int, int, int]) -> None:
    from runner.engine.own_probe import try_step

    try_step(step, shape)


def _once(known: LayoutCache, key: str, attempt: Callable[[], Any]) -> None:
    def find_out() -> bool:
        attempt()
        return True

    known.recall(key, find_out)


@contextmanager
def _at(resolved: ResolvedCell, path: str) -> Iterator[None]:
    try:
        yield
    except OwnCodeFailed as error:
        raise problem_at(resolved, path, error.found, hint=error.hint) from None
