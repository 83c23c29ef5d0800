"""The commands `list` and `show`."""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterable, Iterator, Mapping
from typing import Annotated, Any

import typer

from runner.cli.answers import csv_text
from runner.cli.formatting import pluralize
from runner.cli.options import Db, Reference, check_format, chosen_database
from runner.core.text import printable, without_password

LIST_EXAMPLES = """\b
Examples:
  runner list
  runner list --experiment quickstart --format csv
  runner list --variant 'profile quick'
  runner list --reference"""
SHOW_EXAMPLES = """\b
Examples:
  runner show 3f9a            a run, by the beginning of its key
  runner show quickstart:0:1  a cell: experiment, position, seed
  runner show 'quickstart:0:0@profile quick'   that of a variant"""
FORMATS = ("text", "csv", "json")
NUMBERS = ("best_epoch", "val_accuracy", "test_accuracy", "seconds")


def list_command(
    experiment: Annotated[
        str | None, typer.Option(metavar="NAME", help="Only this experiment.")
    ] = None,
    variant: Annotated[
        str | None,
        typer.Option(
            metavar="NAME", help='Only this variant, finished or not; "" is the specs as written.'
        ),
    ] = None,
    form: Annotated[
        str, typer.Option("--format", metavar="text|csv|json", help="How it is printed.")
    ] = "text",
    db: Db = None,
    reference: Reference = False,
) -> None:
    """List every cell with its run, status and accuracies.

    Of variants (--profile, --set), unfinished cells are shown with --variant only.
    """
    check_format(form, FORMATS)
    from runner import api

    listed = api.list_runs(experiment, chosen_database(db, reference), variant)
    if form == "json":
        typer.echo(json.dumps(list(listed.rows), indent=2))
    elif listed.rows:
        _print_rows([_flat(row) for row in listed.rows], form)
    elif not listed.left_out:
        typer.echo("no cells", err=True)
    for (whose, left_out), count in listed.left_out.items():
        words = ["runner", "list", "--experiment", whose, "--variant", left_out]
        words += (
            ["--reference"]
            if reference
            else ["--db", without_password(db)]
            if db is not None
            else []
        )
        cells = pluralize(count, "unfinished cell")
        typer.echo(f"not shown: {cells} of a variant: {shlex.join(words)}", err=True)


def _flat(row: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "cell": row["cell"],
        "run": row["run"] and row["run"][:12],
        "status": row["status"],
        "best_epoch": row["best_epoch"],
        "val_accuracy": row["val_accuracy"],
        "test_accuracy": row["test_accuracy"],
        "seconds": row["seconds"],
        "settings": row["name"],
    }


def _print_rows(rows: list[dict[str, Any]], form: str) -> None:
    if form == "csv":
        typer.echo(csv_text(rows), nl=False)
        return
    shown = [{name: _shown(name, value) for name, value in row.items()} for row in rows]
    widths = {name: max(len(name), *(len(row[name]) for row in shown)) for name in rows[0]}
    for row in [{name: name for name in widths}, *shown]:
        cells = [
            row[name].rjust(width) if name in NUMBERS else row[name].ljust(width)
            for name, width in widths.items()
        ]
        typer.echo("  ".join(cells).rstrip())


def _shown(name: str, value: Any) -> str:
    """Return a value of a column as text; cells as a command line takes them."""
    if name == "cell":
        return shlex.quote(value)
    return f"{value:.1f}" if name == "seconds" and value is not None else _cell(value)


def _cell(value: Any) -> str:
    if value is None:
        return "–"
    return f"{value:#.4g}" if isinstance(value, float) else printable(str(value))


def show(
    name: Annotated[
        str,
        typer.Argument(metavar="RUN", help="A run key's beginning, or a cell as `list` prints it."),
    ],
    form: Annotated[
        str, typer.Option("--format", metavar="text|json", help="How it is printed.")
    ] = "text",
    db: Db = None,
    reference: Reference = False,
) -> None:
    """Show a run: result, settings, epochs, and how to make it again.

    Also which attempts its numbers come from, which epochs from which, on what machine and code.
    """
    check_format(form, ("text", "json"))
    from runner import api

    record = api.show(name, chosen_database(db, reference))
    if form == "json":
        typer.echo(json.dumps(record.record, indent=2))
        return
    typer.echo("\n".join(_described(record)))


def _described(record: Mapping[str, Any]) -> Iterator[str]:
    from runner.api.comparing import leaves

    result = record["result"]
    yield f"run       {record['run_key'] or 'not known until its data is looked at'}"
    for cell in record["cells"]:
        yield f"cell      {shlex.quote(cell['cell'])}  {cell['name']}".rstrip()
    yield f"status    {record['status']}"
    if result is not None:
        yield from _result(result)
    if record["fingerprint"] is not None:
        yield f"data      fingerprint {record['fingerprint']}"
    yield f"again     {record['command']}"
    for path, texts in record["own_code"].items():
        named = (
            f"{name} ({pluralize(text.count(chr(10)), 'line')})" for name, text in texts.items()
        )
        yield f"code      {path}: {', '.join(named)}; --format json shows it"
    yield from (f"package   {path}: {name}" for path, name in record["own_packages"].items())
    for path, files in record["own_files"].items():
        for name, file in files.items():
            size = pluralize(file["bytes"], "byte")
            yield f"reads     {path}: {name} ({size}, SHA-256 {file['sha256']})"
    if record["changed_code"]:
        names = ", ".join(record["changed_code"])
        yield f"code      made with other code of {names} (changed since)"
    yield "settings"
    yield from (f"  {path}: {json.dumps(value)}" for path, value in leaves(record["settings"]))
    if record["metrics"]:
        yield "metrics"
        own = leaves(record["metrics"])
        yield from (f"  {path}: {json.dumps(value)}" for path, value in own)
    yield from _network(record["attempts"])
    if record.get("analyses"):
        yield "analyses"
        yield from (_analysis(each) for each in record["analyses"])
    yield "stages"
    for attempt in record["attempts"]:
        yield from _attempt(attempt)
    if record["epochs"]:
        yield "epochs"
        yield from _epochs(record["epochs"])


def _result(result: Mapping[str, Any]) -> Iterator[str]:
    if result["message"]:
        yield f"message   {result['message']}"
    if result["last_epoch"] is not None:
        yield f"epochs    best {_cell(result['best_epoch'])}, last {result['last_epoch']}"
        yield f"weights   {result['parameters']:,} parameters"
    yield f"seconds   {result['seconds']:.1f} on {result['device']}"
    if result["rerun"]:
        yield f"rerun     {result['rerun']}"


def _network(attempts: Iterable[Mapping[str, Any]]) -> Iterator[str]:
    """Yield the layers of the network that was trained last, and what was loaded into them."""
    outcomes = [
        each["outcome"]["readers"].get(each["reading"], {})
        for each in attempts
        if each["kind"] == "train" and "readers" in (each["outcome"] or {})
    ]
    outcome = next((each for each in reversed(outcomes) if "layers" in each), None)
    if outcome is None:
        return
    trained = sum(trainable for _, _, trainable in outcome["layers"])
    frozen = outcome["parameters"] - trained
    yield f"layers    {trained:,} parameters trained, {frozen:,} frozen"
    widths = [max(len(str(row[column])) for row in outcome["layers"]) for column in (0, 1)]
    for name, total, trainable in outcome["layers"]:
        state = "trained" if trainable == total else "frozen"
        if 0 < trainable < total:
            state = f"trained {trainable:,}, frozen {total - trainable:,}"
        yield f"  {name.ljust(widths[0])}  {total:>{widths[1] + widths[1] // 3},}  {state}"
    if "loaded" in outcome:
        loaded = pluralize(len(outcome["loaded"]), "pretrained tensor")
        yield f"loaded    {loaded}; freshly drawn: {', '.join(outcome['fresh']) or 'none'}"


def _analysis(analysis: Mapping[str, Any]) -> str:
    """Return an analysis in a line: its names, kind and key, how many numbers it has, its stage."""
    names = ", ".join(analysis["names"]) or analysis["kind"]
    made = f"{pluralize(len(analysis['values']), 'value')}" if analysis["made"] else "not made yet"
    key, stage = analysis["analysis_key"][:12], analysis["stage_key"][:12]
    return f"  {names}: {analysis['kind']} {key}, {made} (stage {stage})"


def _attempt(attempt: Mapping[str, Any]) -> Iterator[str]:
    from datetime import UTC, datetime

    started = datetime.fromtimestamp(attempt["started"], UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
    seconds = "" if attempt["seconds"] is None else f", {attempt['seconds']:.1f} s"
    repeated = f" of rerun {attempt['rerun']}" if attempt["rerun"] else ""
    environment, numerics = attempt["environment"], attempt["numerics"]
    status = "from the reference" if attempt["status"] == "reference" else attempt["status"]
    elsewhere = ""
    if attempt["position"] is None:
        is_asked = attempt["kind"] == "evaluate"
        elsewhere = " for a table" if is_asked else " of another training"
    yield (
        f"  {attempt['kind']} {attempt['stage_key'][:12]}{elsewhere}{repeated}:"
        f" attempt {attempt['number']} {status}, {started}{seconds}{_epochs_read(attempt)}"
    )
    if attempt["error"]:
        yield f"    {attempt['error']}"
    code = (environment["code"] or environment["commit"] or "no git commit")[:12]
    threads = pluralize(numerics["threads"], "thread")
    where = environment.get("place", numerics["device"])
    device = where if where == numerics["device"] else f"{numerics['device']} ({where})"
    host = environment.get("host")  # what was recorded earlier does not say
    yield (
        f"    {f'{host}, ' if host else ''}{device}, torch {numerics['torch']}, {threads},"
        f" python {environment['python']}, runner {environment['versions']['runner']} ({code})"
    )


def _epochs_read(attempt: Mapping[str, Any]) -> str:
    """Return which of the run's epochs come from an attempt."""
    first, last = attempt["first_epoch"], attempt["last_epoch"]
    if first is None:
        return ""
    return f"; epoch {first}" if first == last else f"; epochs {first}–{last}"


def _epochs(epochs: list[dict[str, Any]]) -> Iterator[str]:
    names = list(dict.fromkeys(name for epoch in epochs for name in epoch))
    widths = {name: max(len(name), 7) for name in names}
    yield "  " + "  ".join(name.rjust(widths[name]) for name in names)
    for epoch in epochs:
        yield "  " + "  ".join(_cell(epoch.get(name)).rjust(widths[name]) for name in names)
