"""The command `slurm`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from runner.cli.formatting import pluralize
from runner.cli.options import (
    AcceptMixed,
    ArtifactsAt,
    CacheLimit,
    Data,
    Db,
    Deterministic,
    Devices,
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

EXAMPLES = """\b
Examples:
  runner slurm spec.yaml --jobs 8 --gres gpu:1 --time 4:00:00 --print
  runner slurm spec.yaml --db postgresql://me@db/results --partition long
  runner slurm spec.yaml --jobs 4 --sbatch exclusive --sbatch nice=100
Give it again to go on with what is left; stop it with: scancel NUMBER"""


def slurm(
    specs: Specs,
    jobs: Annotated[
        int, typer.Option(metavar="NUMBER", help="How many workers, each a job of the array.")
    ] = 8,
    time: Annotated[
        str | None,
        typer.Option(metavar="TIME", help="How long a job may take, as 4:00:00 or 2-12."),
    ] = None,
    gres: Annotated[
        str | None, typer.Option(metavar="GRES", help="What each job gets, as gpu:1.")
    ] = None,
    partition: Annotated[str | None, typer.Option(metavar="NAME", help="Where it runs.")] = None,
    account: Annotated[str | None, typer.Option(metavar="NAME", help="Who pays.")] = None,
    cpus_per_task: Annotated[
        int | None, typer.Option(min=1, metavar="NUMBER", help="Cores of each job.")
    ] = None,
    mem: Annotated[
        str | None, typer.Option(metavar="SIZE", help="Memory of each job, as 16G.")
    ] = None,
    constraint: Annotated[
        str | None, typer.Option(metavar="FEATURES", help="What its machine must have.")
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Where it prints; %A and %a stand for the numbers of array and job.",
            show_default="slurm-%A_%a.out",
        ),
    ] = None,
    sbatch: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME[=VALUE]", help="Any other option of sbatch; may be repeated."),
    ] = None,
    dry: Annotated[
        bool,
        typer.Option("--print", help="Record what is wanted, print the script, submit nothing."),
    ] = False,
    only: Only = None,
    profile: Profile = None,
    sets: Sets = None,
    retry_failed: RetryFailed = False,
    rerun: Rerun = False,
    device: Devices = None,
    slots: Annotated[
        int | None,
        typer.Option(min=1, metavar="NUMBER", help="Stages that each job does at once."),
    ] = None,
    threads: Threads = None,
    db: Db = None,
    data: Data = None,
    artifacts: ArtifactsAt = None,
    checkpoint_seconds: Annotated[
        float,
        typer.Option(min=0, metavar="SECONDS", help="Finished epochs that a kill may lose."),
    ] = 30.0,
    cache_limit: CacheLimit = DEFAULT_CACHE_LIMIT,
    deterministic: Deterministic = False,
    accept_mixed: AcceptMixed = False,
    use_reference: UseReference = False,
    no_download: Annotated[
        bool, typer.Option("--no-download", help="Fetch nothing; what is missing is an error.")
    ] = False,
) -> None:
    """Record what is wanted, and submit an array of workers to Slurm."""
    from runner import api
    from runner.cli.progress import ProgressOfRun

    named = {
        "partition": partition,
        "account": account,
        "gres": gres,
        "cpus-per-task": cpus_per_task,
        "mem": mem,
        "constraint": constraint,
        "output": output,
    }
    options = [f"{name}={value}" for name, value in named.items() if value is not None]
    with ProgressOfRun() as progress:
        array = api.slurm(
            specs,
            jobs=jobs,
            time=time,
            sbatch=[*options, *(sbatch or ())],
            dry=dry,
            on_note=progress.on_note,
            on_progress=progress.downloading,
            only=only or (),
            profile=profile,
            sets=sets or (),
            retry_failed=retry_failed,
            rerun=rerun,
            device=device,
            workers=slots,
            threads=threads,
            db=db,
            data=data,
            artifacts=artifacts,
            checkpoint_seconds=checkpoint_seconds,
            cache_limit=cache_limit,
            deterministic=deterministic,
            accept_mixed=accept_mixed,
            use_reference=use_reference,
            download=not no_download,
        )
    if not array.left:
        typer.echo("every wanted run has a result: nothing is submitted", err=True)
        return
    if dry:
        typer.echo(array.script, nl=False)
        return
    typer.echo(array.job_id)
    work = f"{pluralize(array.jobs, 'job')} for {pluralize(array.left, 'run')}"
    typer.echo(f"{work}; see them with squeue, stop them with: scancel {array.job_id}", err=True)
