"""What tests of commands share: a tiny spec, and what a call returns."""

from collections.abc import Callable
from dataclasses import dataclass

TINY = """\
name: tiny
about: Two learning rates on patterns.
data: {dataset: synthetic, classes: 3, images: 60, height: 4, width: 4}
model: {name: mlp, hidden: [4]}
train: {epochs: 2, batch_size: 16, optimizer: sgd}
seeds: [0, 1]
sweep:
  rows:
    - {label: slow, lr: 0.01}
    - {label: fast one, lr: 0.1, published: {TEST_ACC: 0.5}}
profiles:
  quick: {epochs: 1, seeds: [0]}
tables:
  tiny:
    WHICH: label
    LR: lr
    EPOCHS: epochs
    TEST_ACC: {metric: test_accuracy, mark: max}
"""


@dataclass(frozen=True)
class Called:
    """How a command ended, and what it printed."""

    code: int
    out: str
    err: str


Call = Callable[..., Called]
