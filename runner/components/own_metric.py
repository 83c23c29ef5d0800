"""A metric of the user's own: a class in a Python file, over the logits of all images of a split.

No run knows it: it has a key of its own, under which its numbers are recorded, and is measured on
what a run has kept.
"""

from __future__ import annotations

import math
from numbers import Real
from typing import TYPE_CHECKING

from runner.components.component import keyed_text
from runner.components.measures import OWN_PREFIX
from runner.components.own.component import OwnComponent
from runner.components.own.loading import failed
from runner.components.own.problems import OwnCodeFailed
from runner.core.keys import keyed_seed, text_key

if TYPE_CHECKING:
    from torch import Tensor


class OwnMetric(OwnComponent):
    """A class whose instances take logits and labels of all images of a split, and return a number.

    Logits are (N, classes) float32 and labels (N,) int64, on the CPU. NaN stands for images of
    which it says nothing. The parameters of `__init__` are settings.
    """

    def measure_logits(self, logits: Tensor, labels: Tensor) -> float:
        """Return the metric, NaN where these images have none.

        What it draws from torch is the same each time; it gets copies, which it may change.

        Args:
            logits: (N, classes) float32, on the CPU.
            labels: (N,) int64, on the CPU.

        Raises:
            OwnCodeFailed: when own code raises an error, or gives no number.
        """
        import torch

        with torch.random.fork_rng(devices=[]), torch.no_grad():
            torch.manual_seed(keyed_seed(0, "own metric"))
            metric = self.make()
            try:
                found = metric(logits.clone(), labels.clone())
            except (Exception, SystemExit) as error:
                what = f"'{self.own.name}' does not take logits and labels"
                raise failed(what, error) from error
        return self._number(found)

    def _number(self, found: object) -> float:
        import torch

        if isinstance(found, torch.Tensor) and not found.shape and not found.is_complex():
            found = found.item()
        if not isinstance(found, Real) or isinstance(found, bool):
            shown = type(found).__name__
            if isinstance(found, torch.Tensor):
                shown = f"a tensor {tuple(found.shape)}"
            raise OwnCodeFailed(f"'{self.own.name}' gives {shown}, not a float")
        value = float(found)
        if math.isinf(value):
            hint = "NaN stands for images of which it says nothing"
            raise OwnCodeFailed(f"'{self.own.name}' gives {value}", hint=hint)
        return value


def metric_key(metric: OwnMetric) -> str:
    """Return the name under which a metric's numbers are stored, the same for every run.

    It holds the digest of the code and the settings, and no name of the user's for it.
    """
    return f"{OWN_PREFIX}{text_key('own metric', keyed_text(metric))}"
