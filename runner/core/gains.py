"""What a training would gain from another precision, as it was measured."""

from __future__ import annotations

from dataclasses import dataclass

WORTHWHILE = 1.15
"""Times as fast, from which a precision is worth a word."""


@dataclass(frozen=True, slots=True)
class PrecisionGain:
    """How much faster steps of a training are in another precision, on this machine.

    Attributes:
        model: name of the network.
        precision: of the training.
        other: the other one.
        times: seconds of a step over those in the other precision, median of pairs.
        low: of the middle half of the pairs.
        high: likewise.
        stages: keys of the trainings of which it holds.
    """

    model: str
    precision: str
    other: str
    times: float
    low: float
    high: float
    stages: tuple[str, ...] = ()

    @property
    def is_worthwhile(self) -> bool:
        """Whether the other precision is faster, beyond what measurements differ by."""
        return self.low >= WORTHWHILE
