"""The command `run`."""

from __future__ import annotations

import shlex
import sys
import time
from typing import TYPE_CHECKING, Annotated

import typer

from runner.cli.formatting import failed_analyses_words, pluralize
from runner.cli.options import (
    AcceptMixed,
    ArtifactsAt,
    CacheLimit,
    Data,
    Db,
    Deterministic,
    Devices,
    Disable,
    Limit,
    NoShare,
    Only,
    Profile,
    Rerun,
    RetryFailed,
    Sets,
    Specs,
    Threads,
    UseReference,
)
from runner.core.plan import DEFAULT_CACHE_LIMIT
from runner.core.text import show_seconds, without_password

if TYPE_CHECKING:
    from runner.api.running import RunSummary
    from runner.bind.plan_runs import PlannedRuns
    from runner.execute.listener import Listener

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
    limit: Limit = None,
    retry_failed: RetryFailed = False,
    rerun: Rerun = False,
    device: Devices = None,
    threads: Threads = None,
    db: Db = None,
    data: Data = None,
    artifacts: ArtifactsAt = None,
    executor: Annotated[
        str,
        typer.Option(
            metavar="local|process|workers|ray",
            help="Do the stages in this process, in a child that may die alone, in several, or"
            " in workers on a Ray cluster.",
        ),
    ] = "local",
    gpus: Annotated[
        float | None,
        typer.Option(
            metavar="FRACTION",
            help="GPUs of each worker on a Ray cluster, as 0.25.",
            show_default="1 where the cluster has GPUs",
        ),
    ] = None,
    workers: Annotated[
        int | None,
        typer.Option(
            min=0,
            metavar="NUMBER",
            help="Processes that do the stages; 0 only records what `runner worker` is to do.",
        ),
    ] = None,
    checkpoint_seconds: Annotated[
        float,
        typer.Option(min=0, metavar="SECONDS", help="Finished epochs that a kill may lose."),
    ] = 30.0,
    cache_limit: CacheLimit = DEFAULT_CACHE_LIMIT,
    deterministic: Deterministic = False,
    accept_mixed: AcceptMixed = False,
    no_share: NoShare = False,
    disable: Disable = None,
    use_reference: UseReference = False,
    no_download: Annotated[
        bool, typer.Option("--no-download", help="Fetch nothing; what is missing is an error.")
    ] = False,
    page: Annotated[
        bool, typer.Option("--page", help="Show it in a browser while it runs: `runner page`.")
    ] = False,
) -> None:
    """Run what the database lacks, then print the tables."""
    from runner import api
    from runner.cli.interrupt import StopRequest
    from runner.cli.paging import PageBeside
    from runner.cli.progress import ProgressOfRun
    from runner.core.errors import Interrupted
    from runner.report.tables.render import render

    started = time.monotonic()
    try:
        with StopRequest() as stop, PageBeside(db) as beside, ProgressOfRun() as progress:

            def begin(wanted: PlannedRuns) -> Listener:
                if page:
                    beside.start()
                return progress.begin(wanted)

            summary = api.run(
                specs,
                listen=begin,
                should_stop=stop,
                on_progress=progress.downloading,
                on_imported=progress.imported,
                on_note=progress.on_note,
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
                artifacts=artifacts,
                executor=executor,
                gpus=gpus,
                workers=workers,
                checkpoint_seconds=checkpoint_seconds,
                deterministic=deterministic,
                accept_mixed=accept_mixed,
                cache_limit=cache_limit,
                no_share=no_share,
                disable=disable or (),
                download=not no_download,
                use_reference=use_reference,
            )
    except Interrupted as interrupted:
        command = " ".join(shlex.quote(word) for word in ["runner", *sys.argv[1:]])
        hint = f"what has ended is kept; go on with: {without_password(command)}"
        raise stop.error(interrupted.found, hint) from None
    except KeyboardInterrupt:
        raise Interrupted("stopped at once; the stage in progress is redone later") from None
    for table in summary.tables:
        if table.data is None:
            typer.echo(f"table {table.name} cannot be shown: {table.problem}", err=True)
        else:
            typer.echo(render(table.data))
    _print_summary(summary, time.monotonic() - started)
    failures = summary.failed_measurements + summary.failed_analyses
    if "failed" in summary.statuses.values() or failures:
        raise typer.Exit(1)


def _print_summary(summary: RunSummary, seconds: float) -> None:
    counts = {
        status: sum(each == status for each in summary.statuses.values())
        for status in ("done", "diverged", "failed")
    }
    ended = ", ".join(f"{count} {status}" for status, count in counts.items() if count)
    text = f"{pluralize(summary.wanted, 'run')}: {ended or 'none done'}"
    before = summary.before - len(summary.imported)
    parts = [f"{before} of them before"] if before else []
    parts += [f"{len(summary.imported)} of them from the reference"] if summary.imported else []
    text += f" ({', '.join(parts)})" if parts else ""
    typer.echo(f"{text}; {show_seconds(seconds)}", err=True)
    if summary.changed.runs:
        typer.echo(summary.changed.words(), err=True)
    if summary.failed_measurements:
        failures = pluralize(summary.failed_measurements, "measurement")
        typer.echo(f"{failures} for tables failed; the same command tries again", err=True)
    if summary.failed_analyses:
        words = failed_analyses_words(summary.failed_analyses, "the same command")
        typer.echo(words, err=True)
    if counts["failed"]:
        failed = next(key for key, status in summary.statuses.items() if status == "failed")
        hint = f"see why with: runner show {failed[:12]}; do them again with --retry-failed"
        typer.echo(hint, err=True)
