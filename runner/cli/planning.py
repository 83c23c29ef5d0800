"""The command `plan`."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from runner.cli.explaining import saving_lines, total_lines, tree_lines
from runner.cli.formatting import pluralize
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
    check_format,
)
from runner.components.download import show_bytes
from runner.core.errors import UsageError
from runner.core.plan import DEFAULT_CACHE_LIMIT
from runner.core.text import show_seconds

if TYPE_CHECKING:
    from runner.api.planning import Explained
    from runner.core.gains import PrecisionGain
    from runner.planner.cost import Cost

EXAMPLES = """\b
Examples:
  runner plan experiments/quickstart.yaml
  runner plan experiments/*.yaml --probe
  runner plan spec.yaml --workers 8
  runner plan spec.yaml --format json"""


def plan(
    specs: Specs,
    only: Only = None,
    profile: Profile = None,
    sets: Sets = None,
    limit: Limit = None,
    retry_failed: RetryFailed = False,
    rerun: Rerun = False,
    device: Devices = None,
    threads: Threads = None,
    workers: Annotated[
        int | None,
        typer.Option(min=1, metavar="NUMBER", help="Say how long it takes so many workers."),
    ] = None,
    deterministic: Deterministic = False,
    accept_mixed: AcceptMixed = False,
    probe: Annotated[
        bool, typer.Option("--probe", help="Time some images and steps where nothing was measured.")
    ] = False,
    cache_limit: CacheLimit = DEFAULT_CACHE_LIMIT,
    no_share: NoShare = False,
    disable: Disable = None,
    use_reference: UseReference = False,
    actual: Annotated[
        bool, typer.Option("--actual", help="Prediction against truth of what has been done.")
    ] = False,
    full: Annotated[
        bool, typer.Option("--full", help="Show the whole tree, however long.")
    ] = False,
    form: Annotated[
        str, typer.Option("--format", metavar="text|json", help="How it is printed.")
    ] = "text",
    db: Db = None,
    data: Data = None,
    artifacts: ArtifactsAt = None,
) -> None:
    """Say what `run` would do: runs, epochs, seconds, disk, downloads. Starts nothing."""
    check_format(form, ("text", "json"))
    from runner import api

    if actual:
        _refuse_beside_actual(
            {
                "--only": bool(only),
                "--probe": probe,
                "--no-share": no_share,
                "--disable": bool(disable),
                "--device": device is not None,
                "--threads": threads is not None,
                "--workers": workers is not None,
                "--limit": limit is not None,
                "--retry-failed": retry_failed,
                "--rerun": rerun,
                "--deterministic": deterministic,
                "--accept-mixed": accept_mixed,
                "--cache-limit": cache_limit != DEFAULT_CACHE_LIMIT,
                "--use-reference": use_reference,
            }
        )
        predictions = api.actual(specs, db=db, data=data, profile=profile, sets=sets or ())
        if form == "json":
            kinds = [asdict(each) for each in predictions.kinds]
            typer.echo(json.dumps({"kinds": kinds, "stages": predictions.rows()}, indent=2))
        elif predictions.tree:
            lines = tree_lines(predictions.tree, predictions.names, full, is_actual=True)
            typer.echo("\n".join([*total_lines(predictions.kinds), "", "stages", *lines]))
        else:
            typer.echo("nothing has been done yet")
        return

    explained = api.plan(
        specs,
        probe=probe,
        only=only or (),
        profile=profile,
        sets=sets or (),
        limit=limit,
        retry_failed=retry_failed,
        rerun=rerun,
        device=device,
        threads=threads,
        workers=workers,
        db=db,
        data=data,
        artifacts=artifacts,
        deterministic=deterministic,
        accept_mixed=accept_mixed,
        cache_limit=cache_limit,
        no_share=no_share,
        disable=disable or (),
        use_reference=use_reference,
    )
    if form == "json":
        typer.echo(json.dumps(explained.as_dict(), indent=2))
        return
    typer.echo(_text(explained, full))


def _refuse_beside_actual(given: Mapping[str, bool]) -> None:
    """Refuse options about planning beside --actual."""
    names = [name for name, is_given in given.items() if is_given]
    if names:
        raise UsageError(
            f"--actual is about what has been done for the whole specs; it takes no {names[0]}",
            allowed="--profile, --set, --db, --data, --full, --format",
        )


def _text(explained: Explained, full: bool) -> str:
    to_do = explained.runs - explained.done - explained.failed
    lines = [f"cells     {explained.cells}"]
    failed = f", {explained.failed} failed before (--retry-failed)" if explained.failed else ""
    imported = f" ({explained.imported} of them in the reference)" if explained.imported else ""
    lines.append(
        f"runs      {explained.runs}: {explained.done} done{imported}, {to_do} to do{failed}"
    )
    lines += [
        f"measure   {metric} of {pluralize(count, 'finished run')}, from the weights that are kept"
        for metric, count in explained.measurements.items()
    ]
    lines += [
        f"analyse   {name} of {pluralize(count, 'run')}"
        for name, count in explained.analyses.items()
    ]
    lines += [
        f"compute   logits of {split} of {pluralize(count, 'run')}, as none are kept"
        for split, count in explained.logits.items()
    ]
    wanted, planned = explained.wanted, explained.planned
    lines.append(f"epochs    {planned.epochs} to do of {wanted.epochs}, at most")
    lines.append(f"time      {_time(planned, explained)}")
    lines += _workers(planned, explained)
    lines += [f"precision {gain}" for gain in precision_lines(explained.precisions)]
    lines.append(f"disk      {_disk(planned, wanted)}")
    lines.append(f"download  {_downloads(explained.downloads)}")
    # what is shared is in the tree
    notes = [each.why for each in explained.decisions if each.rule != "share_trajectories"]
    notes += [explained.changed.words()] if explained.changed.runs else []
    lines += [f"note      {why}" for why in dict.fromkeys([*explained.notes, *notes])]
    if explained.missing:
        lines.append("keys provisional, since data is not there:")
        lines += [str(problem) for problem in explained.missing]
    if explained.savings:
        lines += ["", "what the rules leave out", *saving_lines(explained.savings)]
    if explained.together:
        lines += ["", "trained together", *(f"  {each.words()}" for each in explained.together)]
    if explained.not_shared:
        lines += ["", "not shared", *(f"  {why}" for why in explained.not_shared)]
    if explained.tree:
        lines += ["", "stages", *tree_lines(explained.tree, explained.names, full)]
    return "\n".join(lines)


def _time(cost: Cost, explained: Explained) -> str:
    if cost.epochs == 0:
        return "nothing to train"
    source = "measured or probed" if explained.probed else "measured before"
    alone, of = explained.wanted, ""
    if not alone.unknown and show_seconds(alone.seconds) != show_seconds(cost.seconds):
        of = f" of {show_seconds(alone.seconds)}"
    known = f"about {show_seconds(cost.seconds)}{of} on {explained.device} ({source})"
    if not cost.unknown:
        return known
    trainings = pluralize(cost.unknown, "training")
    never = f"unknown for {trainings} never measured on {explained.device} (--probe)"
    return f"{known}; {never}" if cost.seconds else never


def _workers(cost: Cost, explained: Explained) -> list[str]:
    if explained.workers == 1 or explained.seconds is None:
        return []
    more = f" or more: {pluralize(cost.unknown, 'training')} never measured" if cost.unknown else ""
    took = show_seconds(explained.seconds)
    return [f"workers   {explained.workers} take about {took}{more}"]


def precision_lines(gains: Sequence[PrecisionGain]) -> Iterator[str]:
    """Yield what is worth a word of other precisions, network by network."""
    alike: dict[tuple[str, str, str], list[PrecisionGain]] = {}
    for gain in gains:
        alike.setdefault((gain.model, gain.precision, gain.other), []).append(gain)
    for (model, precision, other), measured in alike.items():
        times = [gain.times for gain in measured if gain.is_worthwhile]
        if not times:
            continue
        low, high = f"{min(times):.1f}", f"{max(times):.1f}"
        about = low if low == high else f"{low} to {high}"
        which = model
        if len(times) < len(measured):
            which = f"{model}, in {len(times)} of {len(measured)} kinds of training,"
        yield f"{other} would train {which} about {about} × faster here than {precision}"


def _disk(cost: Cost, alone: Cost) -> str:
    if cost.unsized and not cost.num_bytes:
        return "unknown until the data is there"
    least = "at least " if cost.unsized else ""
    text = f"{least}{show_bytes(cost.num_bytes)} for pixels, features, weights and logits"
    if not alone.unsized and alone.num_bytes != cost.num_bytes:
        text += f" (all runs one by one: {show_bytes(alone.num_bytes)})"
    states = f", about {show_bytes(cost.state_bytes)} for states"
    text += states if cost.state_bytes else ""
    changed = f", at most {show_bytes(cost.changed_bytes)} for changed images"
    return text + changed if cost.changed_bytes else text


def _downloads(downloads: Mapping[str, int]) -> str:
    """Return the size of all files, and the name and size of each; 0 is a size that is unknown."""
    if not downloads:
        return "nothing"
    sizes = {name: show_bytes(size) if size else "size unknown" for name, size in downloads.items()}
    files = ", ".join(f"{name} ({size})" for name, size in sizes.items())
    total = sum(downloads.values())
    if 0 not in downloads.values():
        return f"{show_bytes(total)}: {files}"
    return f"{show_bytes(total)} and more: {files}" if total else files
