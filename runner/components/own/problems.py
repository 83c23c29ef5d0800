"""What is wrong with own code or with its name, before anything of it is run."""

from __future__ import annotations

from pydantic_core import PydanticCustomError

from runner.core.errors import RunnerError, SourcePosition, error_text

KIND = "own_code"
"""The type of such errors among pydantic's."""


class CodeProblem(Exception):
    """Something wrong with a name of own code, or in a file that it leads to.

    Attributes:
        found: what was found, as a sentence without a full stop.
        allowed: what would be right, or "".
        hint: what to do about it, or "".
        suggestion: the nearest right spelling, or "".
        position: in the Python file, or None where the name itself is wrong.
    """

    def __init__(
        self,
        found: str,
        allowed: str = "",
        *,
        hint: str = "",
        suggestion: str = "",
        position: SourcePosition | None = None,
    ) -> None:
        super().__init__(found)
        self.found, self.allowed = found, allowed
        self.hint, self.suggestion, self.position = hint, suggestion, position

    def for_pydantic(self) -> PydanticCustomError:
        """Return the error as a validation error, whose context is this problem."""
        shown = error_text(self.found, self.allowed, self.hint, self.suggestion)
        where = f"{self.position}: " if self.position else ""
        return PydanticCustomError(KIND, "{shown}", {"shown": where + shown, "problem": self})


class OwnCodeFailed(RunnerError):
    """Own code raised an error when it was imported, built or used."""
