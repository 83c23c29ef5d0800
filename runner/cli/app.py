"""The application: its commands, exit codes and error messages.

Exit codes: 0 done (diverged runs included), 1 some runs failed or files could not be read, 2 wrong
usage or spec, 75 the time was over and more is to do, 130 stopped.
"""

from __future__ import annotations

import gc
import io
import os
import sys
import warnings

import typer

from runner import __version__
from runner.cli import (
    caching,
    comparing,
    database,
    evaluating,
    exporting,
    inspect,
    inspecting,
    inspecting_images,
    inspecting_predictions,
    inspecting_robustness,
    paging,
    planning,
    plotting,
    predicting,
    reporting,
    running,
    specs,
    submitting,
    verifying,
    working,
)
from runner.cli.code_option import takes_code
from runner.core.errors import DiskFull, Interrupted, RunnerError, is_full_disk

app = typer.Typer(
    name="runner",
    help="Declarative image-classification experiments: a YAML spec becomes a grid and a table.",
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    add_completion=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command("run", epilog=running.EXAMPLES)(takes_code(running.run))
app.command("worker", epilog=working.EXAMPLES)(takes_code(working.worker))
app.command("slurm", epilog=submitting.EXAMPLES)(takes_code(submitting.slurm))
app.command("workers", epilog=working.LIST_EXAMPLES)(working.workers)
app.command("plan", epilog=planning.EXAMPLES)(takes_code(planning.plan))
app.command("verify", epilog=verifying.EXAMPLES)(takes_code(verifying.verify))
app.command("validate", epilog=specs.VALIDATE_EXAMPLES)(takes_code(specs.validate))
app.command("report", epilog=reporting.EXAMPLES)(takes_code(reporting.report))
app.command("plot", epilog=plotting.EXAMPLES)(takes_code(plotting.plot))
app.command("page", epilog=paging.EXAMPLES)(paging.page)
app.command("list", epilog=inspect.LIST_EXAMPLES)(inspect.list_command)
app.command("show", epilog=inspect.SHOW_EXAMPLES)(takes_code(inspect.show))
app.command("diff", epilog=comparing.EXAMPLES)(comparing.diff)
app.command("predict", epilog=predicting.EXAMPLES)(takes_code(predicting.predict))
app.command("evaluate", epilog=evaluating.EXAMPLES)(takes_code(evaluating.evaluate))
app.command("export", epilog=exporting.EXAMPLES)(takes_code(exporting.export))
app.command("new", epilog=specs.NEW_EXAMPLES)(specs.new)
app.command("schema", epilog=specs.SCHEMA_EXAMPLES)(takes_code(specs.schema))
inspecting.app.command("saliency", epilog=inspecting_images.SALIENCY_EXAMPLES)(
    takes_code(inspecting_images.saliency)
)
inspecting.app.command("embedding", epilog=inspecting_images.EMBEDDING_EXAMPLES)(
    takes_code(inspecting_images.embedding)
)
inspecting.app.command("predictions", epilog=inspecting_predictions.EXAMPLES)(
    takes_code(inspecting_predictions.predictions)
)
inspecting.app.command("robustness", epilog=inspecting_robustness.EXAMPLES)(
    takes_code(inspecting_robustness.robustness)
)
app.add_typer(inspecting.app, name="inspect")
app.add_typer(caching.app, name="cache")
app.add_typer(database.app, name="db")


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"runner {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    version: bool = typer.Option(
        False, "--version", callback=_print_version, is_eager=True, help="Print the version."
    ),
) -> None:
    """Options of all commands."""


def main() -> None:
    """Run the command line; errors become one message and an exit code."""
    # thousands of cells are millions of objects that live to the end: looking at them again and
    # again for garbage takes a fifth of the time of planning them
    gc.set_threshold(200_000, 50, 100)
    # of photographs of a hundred million pixels; Pillow refuses what is twice as large
    warnings.filterwarnings("ignore", "Image size .* could be decompression bomb")
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            # names of files need not be UTF-8, and the encoding of a pipe may lack a letter
            stream.reconfigure(errors="backslashreplace")
    try:
        app()
    except RunnerError as error:
        typer.echo(f"{_prefix(error)}{error}", err=True)
        sys.exit(error.exit_code)
    except BrokenPipeError:
        # the reader of a pipe has gone: point stdout elsewhere, so that exiting does not complain
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
    except OSError as error:
        if not is_full_disk(error):
            raise
        typer.echo(f"error: {DiskFull(error)}", err=True)
        sys.exit(DiskFull.exit_code)


def _prefix(error: RunnerError) -> str:
    return "" if isinstance(error, Interrupted) else "error: "
