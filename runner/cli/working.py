"""The commands `worker` and `workers`."""

from __future__ import annotations

import json
import time
from dataclasses import asdict
from typing import Annotated

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
    Threads,
    check_format,
)
from runner.core.plan import DEFAULT_CACHE_LIMIT
from runner.core.text import show_seconds

EXAMPLES = """\b
Examples:
  runner worker                        (what is wanted in results.db)
  runner worker --db grid.db --device cuda:1
  runner worker --max-hours 4 --wait   (also what is asked for later)
Stop with Ctrl-C; another worker, or the same command again, goes on. When the
time of --max-hours is over and more is to do, the exit code is 75."""


def worker(
    device: Devices = None,
    threads: Threads = None,
    db: Db = None,
    data: Data = None,
    artifacts: ArtifactsAt = None,
    slots: Annotated[
        int | None,
        typer.Option(min=1, metavar="NUMBER", help="Stages at once, each in a process of its own."),
    ] = None,
    max_hours: Annotated[
        float | None,
        typer.Option(min=0, metavar="HOURS", help="Stop after so long, at a checkpoint."),
    ] = None,
    wait: Annotated[
        bool, typer.Option("--wait", help="Stay when nothing is left, for what is asked for later.")
    ] = False,
    checkpoint_seconds: Annotated[
        float,
        typer.Option(min=0, metavar="SECONDS", help="Finished epochs that a kill may lose."),
    ] = 30.0,
    cache_limit: CacheLimit = DEFAULT_CACHE_LIMIT,
    deterministic: Deterministic = False,
    accept_mixed: AcceptMixed = False,
    no_download: Annotated[
        bool, typer.Option("--no-download", help="Fetch nothing; what is missing is left.")
    ] = False,
) -> None:
    """Do what is wanted in a database, whoever asked for it, until nothing is left."""
    from runner import api
    from runner.cli.interrupt import StopRequest
    from runner.cli.progress import ProgressOfRun
    from runner.core.errors import Interrupted, RunnerError, TimeOver

    started = time.monotonic()
    try:
        with StopRequest() as stop, ProgressOfRun() as progress:
            summary = api.work(
                db,
                stay=wait,
                max_hours=max_hours,
                listen=progress.begin,
                should_stop=stop,
                is_time_over=stop.is_time_over,
                on_progress=progress.downloading,
                on_note=progress.on_note,
                device=device,
                threads=threads,
                workers=slots,
                data=data,
                artifacts=artifacts,
                checkpoint_seconds=checkpoint_seconds,
                deterministic=deterministic,
                accept_mixed=accept_mixed,
                cache_limit=cache_limit,
                download=not no_download,
            )
    except Interrupted as interrupted:
        raise stop.error(interrupted.found) from None
    except KeyboardInterrupt:
        raise Interrupted("stopped at once; the stage in progress is redone later") from None
    ended = [
        f"{count} {status}"
        for status in ("done", "diverged", "failed")
        if (count := sum(each == status for each in summary.statuses.values()))
    ]
    words = f"{pluralize(len(summary.statuses), 'run')}: {', '.join(ended) or 'none done'}"
    typer.echo(f"{words}; {show_seconds(time.monotonic() - started)}", err=True)
    if summary.failed_analyses:
        words = failed_analyses_words(summary.failed_analyses, "`runner run SPEC`")
        typer.echo(words, err=True)
    if summary.left:
        why = "; the time was over" if summary.was_stopped else ""
        typer.echo(f"{pluralize(summary.left, 'run')} left{why}", err=True)
    if summary.left and summary.was_stopped and not summary.has_moved:
        raise RunnerError(
            "in all its time no stage has ended and no training got further",
            hint="give it more time: images and features must be made in it, and a training end"
            " where it has no checkpoints",
        )
    if summary.left and summary.was_stopped:
        raise typer.Exit(TimeOver.exit_code)
    if "failed" in summary.statuses.values() or summary.left or summary.failed_analyses:
        raise typer.Exit(1)


LIST_EXAMPLES = """\b
Examples:
  runner workers
  runner workers --db grid.db --format json"""


def workers(
    form: Annotated[
        str, typer.Option("--format", metavar="text|json", help="How it is printed.")
    ] = "text",
    db: Db = None,
) -> None:
    """List who works where on what, since when, and how long the lease lasts."""
    check_format(form, ("text", "json"))
    from runner import api

    listed = api.list_workers(db)
    if form == "json":
        rows = [asdict(row) for row in listed.rows]
        typer.echo(json.dumps({"workers": rows, "left": listed.left}, indent=2))
        return
    now = time.time()
    for row in listed.rows:
        did = f", {row.epoch} epochs recorded" if row.epoch else ""
        state = f"lease {row.lease:.0f} s" if row.alive else "dead: others take it over"
        typer.echo(
            f"{row.host} {row.pid} on {row.device}, for {show_seconds(now - row.since)}, {state}"
        )
        typer.echo(f"  {row.does} for {pluralize(row.runs, 'run')}{did} ({row.stage[:12]})")
    if not listed.rows:
        typer.echo("nobody is at work", err=True)
    typer.echo(f"{pluralize(listed.left, 'run')} left", err=True)
