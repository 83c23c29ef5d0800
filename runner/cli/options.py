"""Options shared by several commands."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from runner.core.errors import UsageError, nearest

DATABASE_VARIABLE = "RUNNER_DB"
UNITS = {"B": 1, "kB": 10**3, "MB": 10**6, "GB": 10**9, "TB": 10**12}


def parse_bytes(text: str | int) -> int:
    """Return a size in bytes: 500MB, 1.5 GB, 0.

    Raises:
        typer.BadParameter: for what is no size.
    """
    matched = re.fullmatch(r"([0-9]+(?:\.[0-9]+)?) ?([kMGT]?B)?", str(text).strip())
    if matched is None:
        raise typer.BadParameter(f"{text!r} is no size; allowed: 0, 500MB, 1.5GB")
    return int(float(matched[1]) * UNITS[matched[2] or "B"])


Specs = Annotated[list[Path], typer.Argument(help="Spec files.", metavar="SPEC")]
Only = Annotated[
    list[str] | None,
    typer.Option(
        metavar="TEXT|LABEL=TEXT|SETTING=VALUE",
        help="Only cells with this label or setting; may be repeated.",
    ),
]
Profile = Annotated[
    str | None, typer.Option(metavar="NAME", help="Use a profile of the specs, as a variant.")
]
Sets = Annotated[
    list[str] | None,
    typer.Option(
        "--set", metavar="SETTING=VALUE", help="Set in every cell, as a variant; may be repeated."
    ),
]
Db = Annotated[
    str | None,
    typer.Option(
        metavar="FILE|URL",
        envvar=DATABASE_VARIABLE,
        help="The database.",
        show_default="results.db",
    ),
]
Reference = Annotated[
    bool,
    typer.Option("--reference", help="Read the results that ship with the program instead."),
]
UseReference = Annotated[
    bool,
    typer.Option("--use-reference", help="Count results that ship with the program as done."),
]
Data = Annotated[
    Path | None,
    typer.Option(
        metavar="FOLDER",
        envvar="RUNNER_DATA",
        help="Where data sets are looked for first, and downloaded to.",
        show_default="data",
    ),
]
Device = Annotated[
    str | None,
    typer.Option(
        metavar="DEVICE",
        help="cpu, cuda, cuda:1 or mps.",
        show_default="the CUDA GPU when there is one",
    ),
]
Devices = Annotated[
    str | None,
    typer.Option(
        "--device",
        metavar="DEVICE[,DEVICE…]",
        help="cpu, cuda, cuda:1 or mps; several, as cuda:0,cuda:1, have a worker each at least."
        " With --workers, auto is all GPUs.",
        show_default="the CUDA GPU when there is one",
    ),
]

ArtifactsAt = Annotated[
    str | None,
    typer.Option(
        "--artifacts",
        metavar="FOLDER|URL",
        envvar="RUNNER_ARTIFACTS",
        help="Where artifacts are shared with other machines.",
        show_default="nowhere",
    ),
]

LookedFor = Annotated[
    Path | None,
    typer.Option(
        "--data",
        metavar="FOLDER",
        envvar="RUNNER_DATA",
        help="Where the run's data and pretrained weights are looked for, where they are needed.",
        show_default="data",
    ),
]
RunData = Annotated[
    Path | None,
    typer.Option(
        "--run-data",
        metavar="FOLDER",
        envvar="RUNNER_DATA",
        help="Where the run's own data and pretrained weights are looked for, where needed.",
        show_default="data",
    ),
]
KeptWeightsOption = Annotated[
    str,
    typer.Option(
        "--weights", metavar="best|last", help="Of its best epoch, or of its last, where kept."
    ),
]
Threads = Annotated[
    int | None,
    typer.Option(
        min=1,
        metavar="NUMBER",
        help="The most CPU threads; a small network takes one.",
        show_default="all cores",
    ),
]
Limit = Annotated[int | None, typer.Option(min=1, metavar="RUNS", help="Do at most so many now.")]
RetryFailed = Annotated[
    bool, typer.Option("--retry-failed", help="Do runs again that failed before.")
]
Rerun = Annotated[
    bool,
    typer.Option("--rerun", help="Do runs once more, as a further repetition that counts."),
]
Deterministic = Annotated[
    bool, typer.Option("--deterministic", help="Let a GPU repeat itself to the byte (slower).")
]
AcceptMixed = Annotated[
    bool,
    typer.Option(
        "--accept-mixed", help="Go on from checkpoints of another device, torch, engine or threads."
    ),
]
CacheLimit = Annotated[
    int,
    typer.Option(
        metavar="SIZE",
        parser=parse_bytes,
        help="The most that features, changed images and states of trainings may take on disk, as"
        " 500MB.",
        show_default="20GB",
    ),
]


NoShare = Annotated[
    bool, typer.Option("--no-share", help="Compute every run by itself, as far as it is to do.")
]
Disable = Annotated[
    list[str] | None,
    typer.Option(metavar="RULE", help="Switch a rule of the planner off; may be repeated."),
]


def chosen_database(db: str | None, reference: bool) -> str | None:
    """Return the database that a command is to read.

    Args:
        db: of ``--db``, or its variable.
        reference: of ``--reference``, which the variable does not contradict.

    Raises:
        UsageError: when both options were given.
    """
    if not reference:
        return db
    if db is not None and db != os.environ.get(DATABASE_VARIABLE):
        raise UsageError("--reference and --db name two databases", hint="give one of them")
    from runner.bind.workspace import REFERENCE

    return REFERENCE


def check_format(form: str, allowed: Sequence[str]) -> None:
    """Check that a command has this ``--format``.

    Raises:
        UsageError: when it has not.
    """
    if form not in allowed:
        raise UsageError(
            f"unknown format '{form}'",
            allowed=", ".join(allowed),
            suggestion=nearest(form, allowed),
        )
