"""docs/cli.md: the help of every command, as `--help` prints it at 80 columns."""

from __future__ import annotations

from collections.abc import Iterator

import typer
from typer.testing import CliRunner

from runner.cli.app import app

HEAD = """\
# Command line

Written by `tools/docs.py` from `--help`. Tables go to standard output, messages
and progress to standard error.

| exit code | meaning |
| ---: | --- |
| 0 | done, diverged runs included |
| 1 | some runs failed, or files could not be read |
| 2 | wrong usage, or a wrong spec: nothing was started |
| 75 | the time was over and more is to do: the same command goes on |
| 130 | stopped by Ctrl-C or SIGTERM |
"""


def command_names(group: typer.Typer = app, prefix: tuple[str, ...] = ()) -> Iterator[list[str]]:
    """Yield the words of every command, subcommands included, in the order of the help."""
    for command in group.registered_commands:
        yield [*prefix, str(command.name)]
    for inner in group.registered_groups:
        yield [*prefix, str(inner.name)]
        assert inner.typer_instance is not None
        yield from command_names(inner.typer_instance, (*prefix, str(inner.name)))


def help_text(words: list[str]) -> str:
    """Return what ``runner WORDS --help`` prints, 80 columns wide."""
    environment = {"COLUMNS": "80", "TERMINAL_WIDTH": "80", "NO_COLOR": "1"}
    result = CliRunner().invoke(app, [*words, "--help"], env=environment, prog_name="runner")
    assert result.exit_code == 0, result.output
    return "\n".join(line.rstrip() for line in result.stdout.strip().splitlines())


def cli_document() -> str:
    """Return the document."""
    parts = [HEAD]
    for words in [[], *command_names()]:
        title = " ".join(["runner", *words])
        parts.append(f"## {title}\n\n```text\n{help_text(words)}\n```\n")
    return "\n".join(parts)
