"""What an analysis is given, and what it gives: values with their places, and arrays.

Owns these shapes alone; how values and arrays are kept is not decided here.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from runner.components.data.splitting import Split
from runner.components.settings import Settings
from runner.core.errors import Interrupted
from runner.core.records import AnalysisValue
from runner.engine.context import Context, Progress
from runner.engine.data.samples import Images
from runner.engine.network.build import Network


@dataclass(frozen=True, slots=True)
class AnalysisResult:
    """What an analysis found.

    Attributes:
        values: numbers, each once at its place.
        arrays: by name, which is the name of a file too.
        logits: (N, classes) of the images of a split, in its order, by split: they are kept as
            those of an evaluation of the same weights are.
    """

    values: tuple[AnalysisValue, ...] = ()
    arrays: Mapping[str, NDArray[Any]] = field(default_factory=dict)
    logits: Mapping[Split, NDArray[np.float32]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class AnalysisInput:
    """What an analysis looks at.

    Attributes:
        context: of the stage.
        network: with the weights that are looked at, in eval mode.
        images: the data set's.
        settings: of the run.
        epoch: whose weights they are.
    """

    context: Context
    network: Network
    images: Images
    settings: Settings
    epoch: int

    def report(self, done: int, total: int, split: str = "") -> None:
        """Tell how many images are done; to be called after each batch.

        Raises:
            Interrupted: when asked to stop.
        """
        if self.context.should_stop():
            raise Interrupted("stopped in an analysis, which starts again later")
        self.context.on_progress(Progress(done, total, split=split))


Analyser = Callable[[AnalysisInput, Any], AnalysisResult]
"""Makes an analysis of a subject, with its settings."""
