"""Commands that make results, as a person would type them."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from runner.bind.workspace import DEFAULT_DATABASE, REFERENCE, workspace
from runner.components.own.permission import permission
from runner.core.text import without_password
from runner.spec.folds import FOLD_INDEX
from runner.spec.names import short_name
from runner.spec.nodes import as_yaml
from runner.spec.variants import variant_options


def run_command(
    spec: str | Path, profile: str | None, sets: Sequence[str], db: str | Path | None
) -> str:
    """Return the command that does the runs of a spec.

    Args:
        spec: its file.
        profile: name of a profile.
        sets: ``setting=value`` options.
        db: the database; results are never added to the reference.
    """
    words = ["runner", "run", str(spec)]
    words += [] if profile is None else ["--profile", profile]
    for option in sets:
        words += ["--set", option]
    words += _allowing()
    if workspace(db).database_path not in (DEFAULT_DATABASE, REFERENCE):
        words += ["--db", without_password(str(db))]
    return shlex.join(words)


def _allowing() -> list[str]:
    """Return the options that allow the same code as now."""
    return [word for root in permission().roots for word in ("--code", root.shown)]


def make_again(cells: list[Mapping[str, Any]], db: str | Path | None = None) -> str:
    """Return the command that makes a run again, from one of its cells."""
    if not cells:
        return ""
    cell = next((each for each in cells if not each["variant"]), cells[0])
    words = ["runner", "run", str(cell["path"]), "--rerun", *variant_options(cell["variant"])]
    labels = cell["labels"]
    for name, text in labels.items():
        words += ["--only", f"{name}={text}"]
    for path, value in cell["swept"].items():
        name = short_name(path)  # one that is a label's, too, would mean the label
        words += ["--only", f"{path if name in labels else name}={as_yaml(value)}"]
    words += ["--only", f"seed={cell['seed']}"]
    words += ["--only", f"{FOLD_INDEX}={cell['fold']}"] if cell["fold"] else []
    words += _allowing()
    own = db is not None and str(db) not in (DEFAULT_DATABASE, REFERENCE)
    words += ["--db", without_password(str(db))] if own else []
    return " ".join(shlex.quote(word) for word in words)
