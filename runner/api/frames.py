"""What every verb returns: a frozen object that the command line prints, and that is a table.

Owns how such an object shows itself in a notebook. Knows no verb.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas as pd


class Framed(ABC):
    """A result of a verb; a notebook shows it as its table."""

    __slots__ = ()

    @abstractmethod
    def frame(self) -> pd.DataFrame:
        """Return the rows that the command line prints."""

    def __str__(self) -> str:
        return self.frame().to_string()

    __repr__ = __str__

    def _repr_html_(self) -> str:
        return str(self.frame().to_html())
