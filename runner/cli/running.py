"""The command `run`."""

from __future__ import annotations

import shlex
import sys
import time
from typing import TYPE_CHECKING, Annotated

import typer

from runner.cli.formatting import pluralize, show_seconds
from runner.cli.options import (
    CacheLimit,
    Data,
    Db,
    Device,
    Disable,
    NoShare,
    Only,
    Profile,
    Sets,
    Specs,
    UseReference,
)
from runner.core.plan import DEFAULT_CACHE_LIMIT

if TYPE_CHECKING:
    from runner.api.running import RunSummary

EXAMPLES = """\b
Examples:
  runner run experiments/quickstart.yaml
  runner run a.yaml b.yaml --data ~/data --device cuda
  runner run spec.yaml --only lr=0.1 --limit 2
  runner run spec.yaml --set epochs=2        (a variant, kept apart)
  runner run spec.yaml --retry-failed
  runner run spec.yaml --use-reference       (copies results that ship)
Stop with Ctrl-C and run the same command again to go on."""


def run(
    specs: Specs,
    only: Only = None,
    profile: Profile = None,
    sets: Sets = None,
    limit: Annotated[
        int | None, typer.Option(min=1, metavar="RUNS", help="Do at most so many now.")
    ] = None,
    retry_failed: Annotated[
        bool, typer.Option("--retry-failed", help="Do runs again that failed before.")
    ] = False,
    rerun: Annotated[
        bool,
        typer.Option("--rerun", help="Do runs once more, as a further repetition that counts."),
    ] = False,
    device: Device = None,
    threads: Annotated[
        int | None,
        typer.Option(min=1, metavar="NUMBER", help="CPU threads.", show_default="torch's choice"),
    ] = None,
    db: Db = None,
    data: Data = None,
    executor: Annotated[
        str,
        typer.Option(
            metavar="local|process",
            help="Do the stages in this process, or in a child that may die alone.",
        ),
    ] = "local",
    checkpoint_seconds: Annotated[
        float,
        typer.Option(min=0, metavar="SECONDS", help="Finished epochs that a kill may lose."),
    ] = 30.0,
    cache_limit: CacheLimit = DEFAULT_CACHE_LIMIT,
    accept_mixed: Annotated[
        bool,
        typer.Option(
            "--accept-mixed", help="Go on from checkpoints of another device, torch or threads."
        ),
    ] = False,
    no_share: NoShare = False,
    disable: Disable = None,
    use_reference: UseReference = False,
    no_download: Annotated[
        bool, typer.Option("--no-download", help="Fetch nothing; what is missing is an error.")
    ] = False,
) -> None:
    """Run what the database lacks, then print the tables."""
    from runner.api.running import run_request
    from runner.bind.request import Request
    from runner.cli.interrupt import StopRequest
    from runner.cli.progress import ProgressOfRun
    from runner.core.errors import Interrupted

    request = Request(
        specs=specs,
        only=only or (),
        profile=profile,
        sets=sets or (),
        limit=limit,
        retry_failed=retry_failed,
        rerun=rerun,
        device=device,
        threads=threads,
        db=db,
        data=data,
        executor=executor,
        checkpoint_seconds=checkpoint_seconds,
        accept_mixed=accept_mixed,
        cache_limit=cache_limit,
        no_share=no_share,
        disable=disable or (),
        download=not no_download,
        use_reference=use_reference,
    )
    started = time.monotonic()
    try:
        with StopRequest() as stop, ProgressOfRun() as progress:
            ran = run_request(
                request,
                progress.begin,
                stop,
                progress.downloading,
                progress.taken,
                progress.on_note,
            )
    except Interrupted as interrupted:
        command = " ".join(shlex.quote(word) for word in ["runner", *sys.argv[1:]])
        hint = f"what has ended is kept; go on with: {command}"
        raise Interrupted(interrupted.found, hint=hint) from None
    except KeyboardInterrupt:
        raise Interrupted("stopped at once; the stage in progress is redone later") from None
    _print_tables(ran, db)
    _print_summary(ran, time.monotonic() - started)
    if "failed" in ran.statuses.values():
        raise typer.Exit(1)


def _print_tables(ran: RunSummary, db: str | None) -> None:
    from runner.bind.workspace import workspace
    from runner.core.errors import UsageError
    from runner.report.tables.declared import TableRef, fill
    from runner.report.tables.render import render

    with workspace(db).open(create=False) as database:
        for experiment in ran.experiments:
            for table in experiment.tables:
                declared = TableRef(table, experiment.name, experiment.variant, experiment.about)
                try:
                    typer.echo(render(fill(database, declared)))
                except UsageError as error:  # a variant can make cells meet in one place of a pivot
                    typer.echo(f"table {table.name} cannot be shown: {error}", err=True)


def _print_summary(ran: RunSummary, seconds: float) -> None:
    counts = {
        status: sum(each == status for each in ran.statuses.values())
        for status in ("done", "diverged", "failed")
    }
    shown = ", ".join(f"{count} {status}" for status, count in counts.items() if count)
    text = f"{pluralize(ran.wanted, 'run')}: {shown or 'none done'}"
    before = ran.before - len(ran.taken)
    parts = [f"{before} of them before"] if before else []
    parts += [f"{len(ran.taken)} of them from the reference"] if ran.taken else []
    text += f" ({', '.join(parts)})" if parts else ""
    typer.echo(f"{text}; {show_seconds(seconds)}", err=True)
    if ran.changed.runs:
        typer.echo(ran.changed.words(), err=True)
    if counts["failed"]:
        failed = next(key for key, status in ran.statuses.items() if status == "failed")
        hint = f"see why with: runner show {failed[:12]}; do them again with --retry-failed"
        typer.echo(hint, err=True)
