"""Splits that a spec names one by one.

Owns the setting; what lies at the paths is for the data set to know.
"""

from __future__ import annotations

from pydantic import Field

from runner.components.component import Component
from runner.components.data.splitting import Split


class SplitPaths(Component):
    """Where the splits of one data set lie: folders of class folders, or tables."""

    train: str = Field(min_length=1, description="the training images")
    val: str | None = Field(
        None, min_length=1, description="the validation images; without, a fraction of `train`"
    )
    test: str | None = Field(
        None, min_length=1, description="the test images; without, a fraction of `train`"
    )

    def given(self) -> dict[Split, str]:
        """Return those that are given."""
        paths: dict[Split, str | None] = {"train": self.train, "val": self.val, "test": self.test}
        return {split: path for split, path in paths.items() if path is not None}
