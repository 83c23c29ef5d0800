"""The option `--code` of the commands that may meet own code."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import Annotated, Any

import typer

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

        with allow_code(*(code or ())):
            command(*arguments, **options)

    signature = inspect.signature(command, eval_str=True)
    option = inspect.Parameter("code", inspect.Parameter.KEYWORD_ONLY, default=None)
    parameters = [*signature.parameters.values(), option.replace(annotation=Code)]
    with_code.__signature__ = signature.replace(parameters=parameters)  # type: ignore[attr-defined]
    with_code.__annotations__ = {each.name: each.annotation for each in parameters}
    return with_code
