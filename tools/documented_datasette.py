"""docs/datasette.yaml: what datasette shows beside the tables and views of a database.

The words are those of docs/database.md.
"""

from __future__ import annotations

import json
from collections.abc import Sequence

from documented_database import VIEW_WORDS, meaning, view_columns

from runner.store.schema import metadata

HEAD = """\
# Written by `tools/docs.py` from the schema: what docs/database.md says, for datasette.
#
#     datasette results.db --metadata datasette.yaml
#
# Another file than results.db has another name below `databases`.
"""
ABOUT = (
    "Experiments of `runner`. Read the views: `run_summary` has a row for each run, `run_metrics`"
    " its numbers by epoch."
)
ACCURACIES = """\
select experiment, model, lr, count(*) as runs, avg(test_accuracy) as test_accuracy,
  min(test_accuracy) as lowest, max(test_accuracy) as highest
from run_summary where variant = '' and status = 'done'
group by experiment, model, lr order by experiment, test_accuracy desc"""
CURVES = """\
select epoch, split, name, value from run_metrics
where run_key like :run || '%' order by name, split, epoch"""
ENDED_BADLY = """\
select experiment, variant, run, status, message from run_summary
where status in ('diverged', 'failed') order by experiment, variant"""
QUERIES = {
    "accuracies": (
        "Test accuracy by model and learning rate, over done runs",
        ACCURACIES,
    ),
    "curves": ("The numbers of one run by epoch; run: the beginning of its key", CURVES),
    "ended_badly": ("Runs that diverged or failed, and why", ENDED_BADLY),
}
FIRST = {"run_summary": ("experiment", "status", "model"), "run_metrics": ("split", "name")}
"""Columns by which a view can be narrowed at a glance."""


def datasette_document() -> str:
    """Return the file."""
    lines = [
        HEAD,
        "title: Experiments",
        f"description: {_quoted(ABOUT)}",
        "databases:",
        "  results:",
    ]
    lines.append("    queries:")
    for name, (title, sql) in QUERIES.items():
        lines += [f"      {name}:", f"        title: {_quoted(title)}", "        sql: |-"]
        lines += [f"          {line}" for line in sql.splitlines()]
    lines.append("    tables:")
    for name, columns in view_columns().items():
        lines += _entry(name, VIEW_WORDS[name], columns)
    for table in sorted(metadata.tables.values(), key=lambda table: table.name):
        lines += _entry(table.name, table.comment or "", [column.name for column in table.columns])
    return "\n".join(lines) + "\n"


def _entry(name: str, about: str, columns: Sequence[str]) -> list[str]:
    lines = [f"      {name}:", f"        description: {_quoted(about)}"]
    if name in FIRST:
        lines.append(f"        facets: {json.dumps(FIRST[name])}")
    lines.append("        columns:")
    return lines + [f"          {column}: {_quoted(meaning(name, column))}" for column in columns]


def _quoted(text: str) -> str:
    """Return a text in one line of YAML."""
    return json.dumps(" ".join(text.split()), ensure_ascii=False)
