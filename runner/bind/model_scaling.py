"""`data.normalize: model` put into numbers: those with which the network's weights were trained.

A run has the numbers among its settings, so that it is the same as one that was given them, and
needs the package that knows them no more.
"""

from __future__ import annotations

from dataclasses import replace

from runner.artifacts.memory import LayoutCache
from runner.bind.positions import network_problems
from runner.components.data.normalizing import Normalization
from runner.components.models.timm_model import TimmModel
from runner.components.models.timm_names import timm_version
from runner.core.keys import content_key
from runner.spec.cells import ResolvedCell


def with_numbers(resolved: ResolvedCell, known: LayoutCache) -> ResolvedCell:
    """Return a cell whose settings have mean and deviation where `model` was written.

    What is recorded of the cell itself stays as it was written.

    Args:
        resolved: the cell.
        known: what was looked up before.

    Raises:
        SpecError: when timm has no such network, or is not installed.
    """
    settings = resolved.settings
    if settings.data.normalize != "model":
        return resolved
    assert isinstance(settings.model, TimmModel)
    key = content_key("normalization", [settings.model.name, timm_version()])
    with network_problems(resolved):
        mean, std = known.recall(key, settings.model.normalization)
    numbers = Normalization(mean=tuple(mean), std=tuple(std))
    data = settings.data.model_copy(update={"normalize": numbers})
    return replace(resolved, settings=settings.model_copy(update={"data": data}))
