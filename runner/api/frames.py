"""What every verb returns: a frozen object that the command line prints, and that is a table.

Owns how such an object shows itself in a notebook. Knows no verb.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable
from dataclasses import asdict, fields
from typing import TYPE_CHECKING, Any

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


def records_of(rows: Iterable[Any]) -> list[dict[str, Any]]:
    """Return rows, which are dataclasses, as mappings."""
    return [asdict(row) for row in rows]


def frame_of(kind: type[Any], rows: Iterable[Any]) -> pd.DataFrame:
    """Return a row for each, with the attributes of its class; these columns without a row, too."""
    import pandas as pd

    return pd.DataFrame(records_of(rows), columns=[each.name for each in fields(kind)])
