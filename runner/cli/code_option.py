"""The option `--code` of the commands that may meet own code, and `[tool.runner] code` beside it.

Both are permission by whoever gives the command: the second stands in the pyproject.toml of the
folder in which it is given, and in no other.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import Annotated, Any

import typer

from runner.bind.project import PROJECT, SECTION, project_setting
from runner.core.errors import UsageError

Code = Annotated[
    list[Path] | None,
    typer.Option(
        "--code",
        metavar="FILE|FOLDER",
        help="Python code that may be run where a spec or a run names it; may be repeated.",
    ),
]


def takes_code(command: Callable[..., None]) -> Callable[..., None]:
    """Return a command with the option; what it allows is allowed while the command works."""

    @wraps(command)
    def with_code(*arguments: Any, code: list[Path] | None = None, **options: Any) -> None:
        from runner.components.own.permission import allow_code

        with allow_code(*(code or ()), *code_of_project()):
            command(*arguments, **options)

    signature = inspect.signature(command, eval_str=True)
    option = inspect.Parameter("code", inspect.Parameter.KEYWORD_ONLY, default=None)
    parameters = [*signature.parameters.values(), option.replace(annotation=Code)]
    with_code.__signature__ = signature.replace(parameters=parameters)  # type: ignore[attr-defined]
    with_code.__annotations__ = {each.name: each.annotation for each in parameters}
    return with_code


def code_of_project() -> list[Path]:
    """Return what the pyproject.toml of the current folder allows: ``[tool.runner] code``.

    Raises:
        UsageError: for a file that has such a section and cannot be read, or another value than a
            list of files and folders.
    """
    code = project_setting("code")
    if code is None:
        return []
    if not isinstance(code, list) or not all(isinstance(each, str) for each in code):
        raise UsageError(
            f"{PROJECT}: {SECTION} code is {code!r}", allowed='a list, as ["nets.py", "code/"]'
        )
    return [Path(each) for each in code]
