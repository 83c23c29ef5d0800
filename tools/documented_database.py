"""docs/database.md: tables, views and their columns.

Names, types and keys are read from the schema; WORDS says what columns mean, and a column without
words is an error.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import sqlalchemy as sa

from runner.store.schema import metadata
from runner.store.views import VIEWS

HEAD = """\
# Database

Written by `tools/docs.py` from the schema. The database is one SQLite file, `results.db` unless
`--db` says otherwise; any SQLite client reads it, also while a grid is running. Read the views:
they put a run's numbers together from the attempts that it reads, also while it trains: then
`run_metrics` and `run_steps` have the epochs that are recorded so far, a few seconds behind, and
`run_summary` calls the run unfinished. JSON columns open with SQLite's `json_extract`.

In a browser, [datasette](https://datasette.io) shows it (`pip install datasette`, best in an
environment of its own). [datasette.yaml](datasette.yaml) has the words of this page for it, and
some queries:

```console
$ datasette results.db --metadata datasette.yaml
```

```python
import sqlite3

import pandas as pd

with sqlite3.connect("results.db") as connection:
    runs = pd.read_sql_query(
        "SELECT * FROM run_summary WHERE variant = '' AND status = 'done'", connection
    )
    curves = pd.read_sql_query(
        "SELECT * FROM run_metrics WHERE split = 'val' AND name = 'accuracy'", connection
    )

print(runs.groupby(["model", "lr"])["test_accuracy"].agg(["mean", "std", "count"]))
print(curves.pivot(index="epoch", columns=["run_key", "rerun"], values="value"))
```
"""
WORDS = {
    "about": "what the spec says of itself",
    "analysis_key": "hash of the analysis' settings: the same for every run",
    "attempt_id": "the attempt that measured it",
    "batch_size": "`train.batch_size`",
    "best_epoch": "the epoch that the run's rule chose, from 1",
    "checksum": "hash of what was recorded: see docs/reliability.md",
    "boot_id": "which start of that host, so that an old process is known to be gone",
    "content": "versions, machine, commit, and a digest of the code of each module",
    "cost_kind": "stages of one kind cost the same an epoch on one device",
    "data_key": "hash of pixels, splits and scaling",
    "dataset": "`data.dataset`",
    "device": "`cpu` or the GPU's name; `mixed` when a run reads several",
    "digest": "hash of the content",
    "dims": 'JSON: where the number stands, by dimension, as {"severity":2,"transform":"blur"}',
    "document": "the spec with what it extends, as values",
    "environment_id": "versions, machine and code",
    "epoch": "from 1",
    "epochs": "`train.epochs`",
    "error": 'why it ended without a result, or ""',
    "experiment": "the experiment that asks for it, as written before variants, the first by name",
    "experiment_id": "the experiment",
    "fingerprint": "hash of the data's names and contents",
    "first_epoch": "first epoch that is read",
    "host": "name of the machine",
    "id": "number",
    "identity": "random name",
    "key": "hash of the content",
    "kind": "prepare, features, train, evaluate or analyse",
    "labels": "JSON: label texts by name",
    "last_epoch": "the last epoch read",
    "learning_rate": "in force in this epoch",
    "lease_monotonic": "the same for processes of that boot, by a clock that nobody sets",
    "lease_until": "seconds since 1970, after which another process may take over",
    "losses": "JSON list: training loss of each step; null where not finite",
    "lr": "`train.optimizer.lr`",
    "max_val_accuracy": "highest over all epochs",
    "message": 'why the run failed or diverged, or ""',
    "model": "`model.name`",
    "name": "name",
    "needs": "JSON list: keys of the stages before it",
    "num_bytes": "size on disk",
    "number": "counts the attempts at a stage, from 1",
    "numerics": "JSON: what may change rounding, as device, torch and threads",
    "optimizer": "`train.optimizer.name`",
    "outcome": "JSON: what later stages and results need of it",
    "parameters": "weights of the network",
    "path": "the spec's file, as given",
    "pid": "process",
    "position": "which combination of the sweep, from 0",
    "predicted": "JSON: epochs and seconds that the plan expected, or null",
    "process_started": "when that process started, so that a reused pid is known",
    "process_ticks": "the same in ticks since that boot, where the system tells them",
    "published": "JSON: values printed elsewhere, by column title; a number, or value and within",
    "reader": "JSON: budget, stopping rule and choice of the best epoch",
    "reading": "what trainings call the run: its name in their `outcome`",
    "recorded": "seconds since 1970 (UTC)",
    "rerun": "0, or which `--rerun`",
    "run": "key of the run",
    "run_key": "key of the run",
    "schema_checksum": "hash of how tables and views are declared",
    "seconds": "wall seconds",
    "seed": "of initialisation, order, augmentation and dropout",
    "settings": "JSON: everything resolved, by section",
    "settings_key": "hash of the settings",
    "source": "text of the file as written",
    "spec": "JSON: what the engine is given",
    "split": "train, train_eval, val or test",
    "stage_key": "key of the stage",
    "started": "seconds since 1970 (UTC)",
    "status": "done, diverged or failed",
    "swept": "JSON: settings that the sweep gave, by dotted path",
    "test_accuracy": "at the best epoch; with `evaluate.test: last` at the last",
    "test_loss": "at the best epoch; with `evaluate.test: last` at the last",
    "train_accuracy": "at the last epoch",
    "train_loss": "at the last epoch",
    "train_seconds": "measured wall seconds of the epochs read",
    "val_accuracy": "at the best epoch",
    "val_loss": "at the best epoch",
    "value": "the number",
    "variant": '"", or the profile and `--set` options',
}
SPECIAL = {
    "analyses.kind": "name of the analysis, as robustness",
    "analysis_values.name": "of a value, as accuracy",
    "run_analyses.kind": "name of the analysis, as robustness",
    "run_analyses.name": "of a value, as accuracy",
    "artifacts.name": "path under `.runner/`",
    "attempts.device": "`cpu` or the GPU's name",
    "attempts.status": "running, done, diverged, failed, interrupted, lost; reference: taken over",
    "attempts.checksum": "hash of the row and its environment, once it has ended",
    "cells.fold": "of the `folds` of a spec, from 1; 0 where it has none",
    "cells.run_key": "key of the run, null while nobody has looked at its data",
    "cells.settings": "JSON: everything resolved, by section, where `run_key` is null",
    "claims.attempt_id": "the attempt in progress",
    "commits.number": "of its transactions, from 1",
    "commits.writer": "random name of a thread of a process",
    "commits.written": "when, seconds since 1970 (UTC); a day later the row may go",
    "finished_grids.cells": "JSON: of each cell `[position, seed, fold, labels, swept, run_key]`",
    "finished_grids.key": "hash of document and cells",
    "finished_grids.recorded": "when that version was last run, seconds since 1970",
    "experiments.checksum": "hash of the row and its cells",
    "evaluations.name": "of a measure, as loss, accuracy or top5_accuracy; of an own metric, `own_`"
    " and its key, which `experiments.document` has under `metrics`",
    "latest_results.checksum": "JSON: hashes of the result, its stages, each metric, the steps",
    "latest_results.seconds": "`train_seconds` and those of preparing and testing",
    "metrics.name": "of a measure, as loss or accuracy",
    "results.checksum": "JSON: hashes of the result, its stages, each metric, the steps",
    "results.seconds": "`train_seconds` and those of preparing and testing",
    "runs.checksum": "hash of the row",
    "run_epochs.last_epoch": "the last epoch read; while the run trains, the last that it may read",
    "run_metrics.name": "of a measure, as loss, accuracy or top5_accuracy",
    "run_stages.position": "order within the run, from 0",
    "verifications.id": "number of the comparison",
    "verifications.is_same": "whether no run differed",
    "verifications.recorded": "when, seconds since 1970 (UTC)",
    "verifications.runs": "JSON: name, exactness and first difference of each run of the sample",
    "verifications.sets": "JSON: `--set` options",
    "verifications.spec": "path of the spec",
    "run_summary.seconds": "`train_seconds` and those of preparing and testing",
    "run_summary.status": "done, diverged, failed or unfinished",
    "run_summary.variant": '"" when a spec as written asks for it, else that of the experiment',
}
VIEW_WORDS = {
    "run_analyses": "The numbers of analyses of every run, each at its place along dimensions that"
    " the analysis has of its own.\n`json_extract(dims, '$.transform')` gives one of them.",
    "run_metrics": "Every number of every run, by epoch; also of its test. A run that trains has"
    " those recorded so far; one whose\ntraining was stopped has those of its last attempt. A"
    " failed run that is tried again keeps those of the failure\nuntil it has ended.",
    "latest_results": "The results, of each run the newest repetition.",
    "run_steps": "Learning rate, seconds and step losses of every run, by epoch.",
    "run_summary": "One row per run that a recorded spec asks for, for people and pandas. A run of"
    " several experiments or\nvariants has one row; `WHERE variant = ''` leaves out what only"
    " variants ask for. When a spec is run again with other\nsettings, the runs that it no longer"
    " asks for leave this view, and stay in `runs` and `latest_results`.",
}


def database_document() -> str:
    """Return the document."""
    views = [_view(name, columns) for name, columns in view_columns().items()]
    tables = [_table(table) for table in sorted(metadata.tables.values(), key=lambda t: t.name)]
    return "\n".join([HEAD, "## Views\n", *views, "## Tables\n", *tables])


def view_columns() -> dict[str, list[str]]:
    """Return the columns of every view, the one for people first."""
    engine = sa.create_engine("sqlite://")
    metadata.create_all(engine)
    with engine.connect() as connection:
        for statement in VIEWS.values():
            connection.exec_driver_sql(statement)
        inspected = sa.inspect(connection)
        return {
            name: [str(column["name"]) for column in inspected.get_columns(name)]
            for name in reversed(VIEWS)
        }


def _view(name: str, columns: Sequence[str]) -> str:
    rows = [[f"`{column}`", meaning(name, column)] for column in columns]
    return f"### `{name}`\n\n{VIEW_WORDS[name]}\n\n{_rows(['column', 'meaning'], rows)}"


def _table(table: sa.Table) -> str:
    rows = [
        [
            f"`{column.name}`",
            str(column.type).lower(),
            _key(column),
            meaning(table.name, column.name),
        ]
        for column in table.columns
    ]
    header = ["column", "type", "key", "meaning"]
    return f"### `{table.name}`\n\n{table.comment}\n\n{_rows(header, rows)}"


def _key(column: sa.Column[object]) -> str:
    parts = ["primary"] if column.primary_key else []
    parts += [f"→ `{key.column.table.name}`" for key in column.foreign_keys]
    parts += ["may be null"] if column.nullable else []
    return ", ".join(sorted(parts, key=lambda part: part.startswith("→")))


def meaning(table: str, column: str) -> str:
    """Return what a column means."""
    found = SPECIAL.get(f"{table}.{column}") or WORDS.get(column)
    assert found, f"{table}.{column} has no words in tools/documented_database.py"
    return found


def _rows(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines) + "\n"
