"""A cell on its data: its run, its images, its network's layout, its chain of stages."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

from runner.bind.estimates import stage_sizes
from runner.bind.model_checks import BoundModel
from runner.components.data.dataset import ImageSource
from runner.core.run import Cell, Run
from runner.core.sharing import SHARED
from runner.core.stages import Stage
from runner.lower.stages import Sizes, naive_chain
from runner.spec.cells import ResolvedCell
from runner.spec.experiment import Experiment


@dataclass(frozen=True)
class BoundCell:
    """A cell whose data is known.

    Attributes:
        source: its images, or None when the data is not there.
        bound_model: what its data and network give together, or None when the data is not there.
    """

    resolved: ResolvedCell
    experiment: Experiment
    run: Run
    source: ImageSource | None
    bound_model: BoundModel | None = None

    @property
    def cell(self) -> Cell:
        """The cell."""
        return self.resolved.cell

    def chain(self, rerun: int) -> tuple[Stage, ...]:
        """Return the stages of the cell's run, with the bytes that they will take."""
        model = self.bound_model
        prefix, unshared = (None, SHARED) if model is None else (model.prefix, model.unshared)
        return naive_chain(self.run, self.resolved.settings, rerun, prefix, self.sizes, unshared)

    @cached_property
    def sizes(self) -> Sizes:
        """What the stages of the cell's run will take, as far as its data is known."""
        return stage_sizes(self.resolved.settings, self.source, self.bound_model)
