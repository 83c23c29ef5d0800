"""What keeps a training of own code from sharing, in words; found before anything is trained."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Unshared:
    """Why a training shares less than others; "" where it does not.

    Attributes:
        training: why it shares nothing with other runs, and begins with its first epoch after it
            was stopped.
        images: why what it gives for an image depends on the others of a batch.
        features: why what its frozen layers give is computed in every epoch, other than for that.
    """

    training: str = ""
    images: str = ""
    features: str = ""


SHARED = Unshared()
"""Of a training that shares whatever the planner finds."""
