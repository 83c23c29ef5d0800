"""The verb `slurm`: record what a spec wants, and submit an array of workers that do it."""

from __future__ import annotations

import os
import sys
import sysconfig
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import runner
from runner.api.frames import Framed
from runner.api.running import run
from runner.bind.request import Asked, Request, as_request
from runner.bind.workspace import REFERENCE, Workspace, workspace
from runner.components.download import OnProgress
from runner.components.own.permission import permission
from runner.core.errors import UsageError
from runner.store.addresses import ServerDatabase, address_of
from runner.store.network_files import SERVER, network_file_system
from runner.store.wanted import wanted_runs

if TYPE_CHECKING:
    import pandas as pd

MEANINGLESS = ("limit", "runs", "executor", "no_share", "disable")
"""Options that workers do not take: they do all that is wanted in the database."""


@dataclass(frozen=True, repr=False)
class SubmittedArray(Framed):
    """An array of workers.

    Attributes:
        left: how many runs are wanted in the database.
        script: what Slurm is given, "" where nothing is wanted.
        jobs: how many jobs it has: no more than there are runs.
        job_id: Slurm's number, "" where nothing was submitted.
    """

    left: int
    script: str = ""
    jobs: int = 0
    job_id: str = ""

    def frame(self) -> pd.DataFrame:
        """Return a row per job. Columns: job (its name in Slurm, "" where not submitted)."""
        import pandas as pd

        numbers = range(self.jobs)
        names = [f"{self.job_id}_{number}" if self.job_id else "" for number in numbers]
        return pd.DataFrame({"job": names})


def slurm(
    asked: Asked,
    *,
    jobs: int = 8,
    time: str | None = None,
    sbatch: Sequence[str] = (),
    dry: bool = False,
    on_note: Callable[[str], None] = lambda note: None,
    on_progress: OnProgress = lambda progress: None,
    **options: Any,
) -> SubmittedArray:
    """Record what is wanted, and submit an array of workers.

    Args:
        asked: spec files, or a request; `device`, `workers` (how many processes of each job do
            stages) and what else says how work is done is for the workers.
        jobs: how many workers.
        time: how long a job may take, as Slurm writes it.
        sbatch: options of `sbatch`, as ``partition=long`` or ``exclusive``.
        dry: submit nothing; what is wanted is recorded all the same.
        on_note: hears what a person should know of the data.
        on_progress: hears of downloads.
        options: as in :class:`runner.api.Request`.

    Raises:
        SpecError: with every problem found; nothing was submitted.
        UsageError: for options that cannot be, where there is no Slurm, or a database that jobs of
            several machines would damage.
        RunnerError: when Slurm refuses the script.
    """
    from runner.execute.slurm import check_sbatch, make_folders, submit
    from runner.execute.slurm_script import WorkerArray, parse_options

    chosen = [name for name in options if name in MEANINGLESS]
    if chosen:
        raise UsageError(f"workers do all that is wanted: they take no '{chosen[0]}'")
    request = as_request(asked, options)
    if request.workers == 0:
        raise UsageError("no process of a job does anything", allowed="at least one worker")
    home = workspace(request.db, request.data, request.artifacts).fixed()
    slurm_options = parse_options(sbatch)
    cores = {option.name: option.value for option in slurm_options}.get("cpus-per-task")
    array = WorkerArray(
        jobs=jobs,
        name="runner",
        time=time,
        options=slurm_options,
        folder=str(Path.cwd()),
        python=sys.executable,
        worker=_worker_options(request, home, cores),
        variables=_variables(home),
    )
    if not dry:
        check_sbatch()
    notes = _notes_of_place(home, jobs)
    recording = replace(request, device=None, workers=0)
    summary = run(recording, on_note=on_note, on_progress=on_progress)
    with summary.workspace.open(create=False) as database:
        left = len(wanted_runs(database))
    if not left:
        return SubmittedArray(0)
    for note in notes:
        on_note(note)
    name = "-".join(["runner", *(each.name for each in summary.experiments[:1])])
    array = replace(array, jobs=min(jobs, left), name=name)
    script = array.script()
    if not dry:
        make_folders(array.options)
    return SubmittedArray(left, script, array.jobs, "" if dry else submit(script))


def _worker_options(request: Request, home: Workspace, cores: str | None) -> tuple[str, ...]:
    """Return the options of `runner worker` that are not what it does anyway."""
    usual = Request(())
    threads = request.threads
    if threads is None and cores is not None and cores.isdigit():
        threads = max(1, int(cores) // request.num_workers)
    words = {
        "--device": request.device,
        "--slots": request.workers,
        "--threads": threads,
        "--data": home.data,
        "--artifacts": home.address or None,
        "--checkpoint-seconds": _unless(request.checkpoint_seconds, usual.checkpoint_seconds),
        "--cache-limit": _unless(request.cache_limit, usual.cache_limit),
    }
    flags = {
        "--deterministic": request.deterministic,
        "--accept-mixed": request.accept_mixed,
        "--no-download": not request.download,
    }
    return (
        *(
            word
            for name, value in words.items()
            if value is not None
            for word in (name, str(value))
        ),
        *(name for name, is_set in flags.items() if is_set),
        *(word for path in permission().paths for word in ("--code", path)),
    )


def _unless(value: object, usual: object) -> object | None:
    return None if value == usual else value


def _variables(home: Workspace) -> dict[str, str]:
    """Return the variables that workers need: the database, and where this program is found.

    What is installed is found by the interpreter; what is run from its own folder is not.
    """
    here = str(Path(runner.__file__).parents[1])
    found = os.environ.get("PYTHONPATH", "").split(os.pathsep)
    if here not in (sysconfig.get_path("purelib"), sysconfig.get_path("platlib")):
        found = [here, *found]
    paths = {str(Path(path).absolute()): None for path in found if path}
    variables = {"RUNNER_DB": home.database_path}
    return variables | ({"PYTHONPATH": os.pathsep.join(paths)} if paths else {})


def _notes_of_place(home: Workspace, jobs: int) -> list[str]:
    """Return what a person should know of where the database lies.

    Raises:
        UsageError: where jobs of several machines would damage it, or nothing can be recorded.
    """
    if home.database_path == REFERENCE:
        raise UsageError("the reference is read-only", hint="name a database of your own with --db")
    address = address_of(home.database_path)
    if isinstance(address, ServerDatabase):
        return []
    kind = network_file_system(address)
    if kind and jobs > 1:
        raise UsageError(
            f"{address} lies on a network file system ({kind}), where a SQLite file is damaged when"
            " several machines write",
            hint=f"keep results in a database of PostgreSQL, {SERVER}, or take --jobs 1",
        )
    return (
        [] if kind else [f"{address} lies on this machine: jobs on other machines do not find it"]
    )
