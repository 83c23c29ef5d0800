"""What must hold of the reading of any spec, for `fuzz_specs.py`.

Owns the promises that are held; limits neither time nor memory.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from runner.bind.cell_filter import select_cells
from runner.core.errors import Problem, SpecError, UsageError
from runner.core.keys import canonical_json
from runner.lower.stages import make_run, naive_chain
from runner.spec.experiment import Experiment, load_experiment, recorded_tables
from runner.spec.resolve import origins
from runner.spec.tables.table import Table
from runner.spec.variants import variant_options

LOWERED = 3
"""Cells of an experiment that are lowered to stages."""

LARGE = 10**7
"""Pixels of a made-up data set that is not made here."""


@dataclass(frozen=True)
class Input:
    """One input: the bytes of a spec in a folder, and options."""

    folder: str
    content: bytes
    profile: str | None = None
    sets: tuple[str, ...] = ()
    only: tuple[str, ...] = ()


def try_input(each: Input, deep: bool = False) -> str:
    """Load an input in the current folder; return what came out, in a few words.

    Args:
        each: the input.
        deep: hold what is right against data and models too, as `run` does.

    Raises:
        Exception: whatever is wrong with the program.
    """
    path = Path(each.folder) / "mutated.yaml"
    path.write_bytes(each.content)
    try:
        experiment = load_experiment(path, each.profile, each.sets)
    except UsageError as error:
        _check_error(error, each)
        return "spec error" if isinstance(error, SpecError) else "usage error"
    _check_experiment(experiment, each, path)
    try:
        if deep:
            _bind(experiment)
    except UsageError as error:
        _check_error(error, each)
        return "does not fit"
    try:
        select_cells(experiment.cells, each.only)
    except UsageError as error:
        _printable(str(error), each)
        return "usage error"
    return "valid"


def _check_error(error: UsageError, each: Input) -> None:
    _printable(str(error), each)
    by_options = each.profile is not None or bool(each.sets)
    if not isinstance(error, SpecError):
        assert by_options, f"{type(error).__name__} without options: {error}"
        return
    assert error.problems, "an error without a problem"
    for problem in error.problems:
        _check_position(problem, by_options)


def _check_position(problem: Problem, by_options: bool) -> None:
    position = problem.position
    if position is None or position.line == 0 or position.file.startswith("--set"):
        assert by_options, f"no position: {problem}"
        return
    lines = Path(position.file).read_bytes().decode("utf-8", "replace").replace("\r\n", "\n")
    widths = [len(line) for line in _lines(lines)]
    inside = position.line <= len(widths) and 1 <= position.column <= widths[position.line - 1] + 1
    assert inside, f"a position outside of the file: {problem}"


def _lines(text: str) -> list[str]:
    for sign in "\r\x85\u2028\u2029":
        text = text.replace(sign, "\n")
    return text.split("\n")


def _printable(text: str, each: Input) -> None:
    text.encode("utf-8", "surrogateescape" if each.sets or each.only else "strict")


def _check_experiment(experiment: Experiment, each: Input, path: Path) -> None:
    """Hold what was expanded against a second expansion, the record and the planner."""
    again = load_experiment(path, each.profile, each.sets)
    keys = [item.cell.settings_key for item in experiment.cells]
    assert keys == [item.cell.settings_key for item in again.cells], "other keys the second time"
    assert experiment == again, "another experiment the second time"
    # in the order of the spec, as the database keeps it
    written = json.dumps(experiment.document, ensure_ascii=False, allow_nan=False)
    tables = recorded_tables(json.loads(written.encode()))
    assert _titles(tables) == _titles(experiment.tables), "the record has other tables"
    if experiment.variant:
        options = variant_options(experiment.variant)
        profile, sets = _split_options(options)
        once_more = load_experiment(path, profile, sets)
        assert [item.cell.settings_key for item in once_more.cells] == keys, f"variant {options}"
    for item in experiment.cells[:LOWERED]:
        canonical_json([item.cell.swept, item.cell.labels, item.cell.settings]).encode()
        list(origins(item.settings, item.tree))
        naive_chain(make_run(item.settings, "of no data", "", item.cell), item.settings)


def _titles(tables: Sequence[Table]) -> list[tuple[str, list[str]]]:
    return [(table.name, [column.title for column in table.columns]) for table in tables]


def _bind(experiment: Experiment) -> None:
    """Hold the first cells against their data and networks, where these are not too large here."""
    from runner.bind.binder import Binder
    from runner.bind.workspace import workspace

    data = experiment.cells[0].settings.data
    if data.dataset != "synthetic" or data.images * data.height * data.width < LARGE:
        small = replace(experiment, cells=experiment.cells[:LOWERED])
        for cell in Binder(workspace("fuzz.db"), provisional=True).bind([small]):
            cell.chain(0)


def _split_options(options: list[str]) -> tuple[str | None, list[str]]:
    pairs = list(zip(options[::2], options[1::2], strict=True))
    profile = next((text for option, text in pairs if option == "--profile"), None)
    return profile, [text for option, text in pairs if option == "--set"]
