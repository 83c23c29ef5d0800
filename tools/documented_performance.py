"""docs/performance.md: what the benches of the engine have measured, from bench/results/*.json.

A section is a table with a row for each case that was measured, the command that measures it again,
and where and when that was done.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

RESULTS = Path(__file__).resolve().parent.parent / "bench" / "results"
HEAD = """\
# Performance

Written by `tools/docs.py` from what the commands below have measured; no number is copied by
hand. `wall` is what a clock on the wall shows, `CPU` the seconds of all threads together, which
other programs on the machine spoil less. A ratio is the median over pairs of runs in turns,
with the 95 % interval of the median; a time is the median, with the least and the most. FOLDER
holds CIFAR-10 and Caltech-101; without it, images of the same number and shape are generated.
"""


@dataclass(frozen=True)
class Section:
    """A part of the page.

    Attributes:
        report: the file in bench/results, without its end.
        key: of the section in it.
        about: what is measured, in words.
        turned: a column for each case instead of a row.
    """

    title: str
    report: str
    key: str
    command: str
    about: str
    turned: bool = False


LOOPS = """\
Each network is trained twice in one process, in turns: by the engine (its own epochs, samples,
optimizer) and by a loop in plain torch that does the least work for the same numbers:
normalised floats in memory, torch's fused optimizer, evaluated images cut into batches once,
nothing shown, stored or asked. Both begin with the same weights, and every loss of a step,
every metric and the kept weights are compared in bytes; where one differs, the bench fails."""
LOOPS_ON_A_GPU = """\
As on a CPU, but for the comparison in bytes: a GPU repeats itself only where it is made to, so two
epochs of each side are compared with the GPU made to, and the pairs are measured with it as it
is. *Device idle* is the part of a step in which the GPU computes nothing: the time covered by its
kernels and copies, by torch's profiler, against the time of a step that was not profiled. All
images are generated, but those of the quickstart."""
RUNS = """\
`runner run` of one training in a fresh folder, wrapped from outside. *Start-up* is the
interpreter and every import, *waiting* what the training's thread waits for others, *written
beside it* what another thread writes meanwhile, *all else* planning, reports and the loop
between the parts. A page fault is a page of memory that the kernel hands out anew: a process takes
its memory in the first epochs, and keeps it. *Loaded* says which of `torch._dynamo` and `sklearn`,
each a second or more of start-up, were imported by the end of the first epoch."""
DENORMALS = """\
Numbers too small for full precision, on which a CPU takes many times as long, in the state of
R4.1's Adam."""
BUSY = """\
The quickstart, twelve runs: alone, beside a process that computes without end, and as two
processes that share the work."""
SLOTS = """\
The quickstart with 60 epochs, twelve trainings of a network that leaves most of a GPU idle, by one
process and by several that share the work on one GPU."""
AGAINST = """\
Whole runs of earlier code and of this, in turns, each a process in a fresh folder: a ratio
above 1 means that this code is faster. *Records* says whether every metric and every loss of a
step is equal; with threads chosen otherwise, or numbers flushed to zero that were not, they
differ by rounding, and `one thread` compares a pair of runs with `--threads 1`."""
BASELINE = """\
The script that people write (torchvision's data set and transforms, a DataLoader, torch.optim,
a loop; bench/plain_script.py), one process for each cell of the sweep, with two workers and
with none, beside `runner run` of the same sweep."""
TOGETHER = """\
Four learning rates on a frozen, augmented AlexNet: `runner run` with its trainings done together,
and with `--disable train_together`, in turns; every number and the digests of all weights are
compared, and must be equal."""

SECTIONS = (
    Section(
        "Engine and bare loop",
        "engine",
        "loops cpu",
        "python bench/engine.py loops --data FOLDER",
        LOOPS,
    ),
    Section(
        "Engine and bare loop, on a GPU",
        "engine",
        "loops cuda",
        "python bench/engine.py loops --device cuda",
        LOOPS_ON_A_GPU,
    ),
    Section(
        "Where the time of a run goes",
        "engine",
        "runs cpu",
        "python bench/engine.py runs --data FOLDER",
        RUNS,
        turned=True,
    ),
    Section(
        "Where the time of a run goes, on a GPU",
        "engine",
        "runs cuda",
        "python bench/engine.py runs --device cuda",
        RUNS,
        turned=True,
    ),
    Section(
        "Denormal numbers after 100 epochs",
        "engine",
        "denormals",
        "python bench/engine.py denormals --data FOLDER",
        DENORMALS,
    ),
    Section("Busy machines", "engine", "busy", "python bench/engine.py busy", BUSY),
    Section(
        "Several processes on one GPU",
        "engine",
        "slots cuda",
        "python bench/engine.py slots --device cuda",
        SLOTS,
    ),
    Section(
        "Against earlier code",
        "engine",
        "against",
        "python bench/engine.py against CHECKOUT --data FOLDER",
        AGAINST,
    ),
    Section(
        "Trainings done together",
        "lockstep",
        "whole runs",
        "python bench/lockstep.py",
        TOGETHER,
    ),
    Section(
        "The usual script",
        "baseline",
        "sweeps",
        "python bench/baseline.py --data FOLDER",
        BASELINE,
    ),
)


def performance_document() -> str:
    """Return the page."""
    parts = [HEAD]
    for section in SECTIONS:
        store = RESULTS / f"{section.report}.json"
        found = json.loads(store.read_text(encoding="utf-8")) if store.is_file() else {}
        if section.key in found:
            parts.append("\n".join(_lines(section, found[section.key])) + "\n")
    if len(parts) == 1:
        parts.append("Nothing has been measured yet: `python bench/engine.py`.\n")
    return "\n".join(parts)


def _lines(section: Section, rows: Mapping[str, Any]) -> Iterator[str]:
    yield from (f"## {section.title}", "", section.about, "", f"    {section.command}", "")
    cells = {name: row["cells"] for name, row in rows.items()}
    columns = list(dict.fromkeys(column for row in cells.values() for column in row))
    if section.turned:
        table = {each: {name: row.get(each, "") for name, row in cells.items()} for each in columns}
        yield from _table(table, list(cells))
    else:
        yield from _table(cells, columns)
    yield ""
    for where, on, load in dict.fromkeys(
        (row["where"], row["on"], row["load"]) for row in rows.values()
    ):
        names = [
            name
            for name, row in rows.items()
            if (row["where"], row["on"], row["load"]) == (where, on, load)
        ]
        which = "All" if len(names) == len(rows) else "; ".join(names)
        yield f"- {which}: {on}, {where}; load {load} at the end."


def _table(rows: Mapping[str, Mapping[str, Any]], columns: list[str]) -> Iterator[str]:
    yield "| | " + " | ".join(columns) + " |"
    yield "| --- |" + " ---: |" * len(columns)
    for name, row in rows.items():
        yield f"| {name} | " + " | ".join(str(row.get(column, "")) for column in columns) + " |"
