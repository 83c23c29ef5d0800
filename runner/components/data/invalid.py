"""What is wrong with a data set that is there: said at the setting that it concerns.

Knows no data set, and not where settings stand.
"""

from __future__ import annotations

from collections.abc import Sequence


class InvalidData(ValueError):
    """A data set is there, and cannot be used as the settings say.

    Attributes:
        hint: what to do about it.
        setting: that it concerns, below ``data``.
        allowed: what would be right, or "".
        suggestion: the nearest right spelling, or "".
    """

    def __init__(
        self,
        found: str,
        hint: str = "",
        setting: str = "path",
        *,
        allowed: str = "",
        suggestion: str = "",
    ) -> None:
        super().__init__(found)
        self.hint = hint
        self.setting = setting
        self.allowed = allowed
        self.suggestion = suggestion


class UnknownClasses(ValueError):
    """Names of classes that a data set does not have.

    Attributes:
        names: the unknown names.
        classes: those of the data set.
    """

    def __init__(self, names: Sequence[str], classes: Sequence[str]) -> None:
        super().__init__(f"no class is called {', '.join(names)}")
        self.names = tuple(names)
        self.classes = tuple(classes)
