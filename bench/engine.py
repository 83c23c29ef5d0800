"""How near the engine is to what its arithmetic costs.

    python bench/engine.py                        the parts loops, runs, denormals and busy
    python bench/engine.py loops --only mlp,r41   engine against bare loop, some trainings
    python bench/engine.py runs                   where the time of whole runs goes
    python bench/engine.py denormals              in an optimizer's state after 100 epochs
    python bench/engine.py busy                   beside a busy process, and as two processes
    python bench/engine.py slots                  small trainings by several processes
    python bench/engine.py against CHECKOUT       whole runs of other code and of this, in turns

`loops` trains each network twice in one process, by the engine and by a bare loop in plain torch
(bench/bare_loop.py), which must give the same numbers in bytes: the loss of every step, all
metrics, the weights of the best epoch. Where one differs, the exit code is 1. On a GPU the first
two epochs of each are compared, with the GPU made to repeat itself. FOLDER has CIFAR-10 and
Caltech-101; without them, images of the same shape are generated. `--device cuda` also measures
trainings that take hours on a CPU, and every precision. Each part writes its rows into
bench/results/engine.json as soon as it has them; `python tools/docs.py` then makes
docs/performance.md.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from engine_cases import CASES, PRECISIONS
from engine_runs import busy, count_denormals, slots, watched
from measuring import (
    BenchFailed,
    machine,
    record,
    run_child,
    wait_passively,
    with_interval,
    with_range,
)

HERE = Path(__file__).resolve()
REPORT = "engine"


def loops(options: argparse.Namespace) -> None:
    """Measure the engine against the bare loop, each training in a process of its own."""
    for name in chosen(options):
        for precision in precisions(options):
            found = in_child("loops", name, precision, options, {"pairs": options.pairs})
            row = CASES[name].title + ("" if precision == "fp32" else f", {precision}")
            cells = {
                "images": "generated" if found["made"] else "real",
                "engine ÷ bare, wall": with_interval(found["wall"]),
                "engine ÷ bare, CPU": with_interval(found["cpu"]),
                "engine, ms a step": with_range(found["engine_ms"], 2),
                "bare, ms a step": with_range(found["bare_ms"], 2),
                "threads": found["threads"],
                "pairs": len(found["wall"]),
                "steps compared": found["steps"],
                **idle(found),
            }
            record(REPORT, f"loops {options.device}", row, cells, found["where"])


def idle(found: dict[str, Any]) -> dict[str, str]:
    """Return the share of a step in which a GPU has nothing to do, on both sides."""
    shares = {}
    for side in ("engine", "bare"):
        if f"{side}_busy_ms" in found:
            part = found[f"{side}_busy_ms"] / statistics.median(found[f"{side}_ms"])
            shares[f"device idle, {side}"] = f"{100 * max(0.0, 1 - part):.0f} %"
    return shares


def one_loop(spec: Path, data: Path | None, options: argparse.Namespace) -> dict[str, Any]:
    """Measure one training, in this process."""
    import torch
    from engine_pairs import device_ms, facts, make_sides, measure

    device = torch.device(options.device)
    sides = make_sides(spec, data, device)
    pairs = measure(sides, options.pairs, repeats=device.type != "cuda")
    return {
        **facts(pairs),
        **(device_ms(sides) if device.type == "cuda" else {}),
        "steps": sides.steps,
        "threads": sides.threads,
        "where": machine(options.device),
    }


def runs(options: argparse.Namespace) -> None:
    """Measure whole runs, their time split up."""
    data = None if options.data is None else options.data.resolve()
    for name in chosen(options):
        for precision in precisions(options):
            cells = watched(name, data, options.device, precision, options.repetitions)
            row = CASES[name].title + ("" if precision == "fp32" else f", {precision}")
            record(REPORT, f"runs {options.device}", row, cells, machine(options.device))


def denormals(options: argparse.Namespace) -> None:
    """Count denormal numbers in the state of R4.1's Adam."""
    found = in_child("denormals", "r41", "fp32", options, {})
    images = "generated" if found.pop("made") else "real"
    where = found.pop("where")
    cells = {"images": images, **found}
    record(REPORT, "denormals", CASES["r41"].title, cells, where)


def one_count(spec: Path, data: Path | None, options: argparse.Namespace) -> dict[str, Any]:
    """Count in this process."""
    return {**count_denormals(spec, data, options.device), "where": machine(options.device)}


def busy_part(options: argparse.Namespace) -> None:
    """Measure the quickstart alone, beside a busy process, and as two processes."""
    found = busy(options.repetitions, options.threads)
    alone = statistics.median(found["alone"])
    for name, seconds in found.items():
        times = f"{statistics.median(seconds) / alone:.2f}"
        cells = {"wall s": with_range(seconds), "× alone": times}
        record(REPORT, "busy", name, cells, machine())


def slots_part(options: argparse.Namespace) -> None:
    """Measure small trainings by several processes on one device."""
    found = slots(options.repetitions, options.device)
    alone = statistics.median(found["one process"])
    for name, seconds in found.items():
        cells = {
            "wall s": with_range(seconds),
            "runs done, × one process": f"{alone / statistics.median(seconds):.2f}",
        }
        record(REPORT, f"slots {options.device}", name, cells, machine(options.device))


def against(options: argparse.Namespace) -> None:
    """Measure whole runs of another checkout and of this one."""
    from engine_against import compared, wholes

    if options.checkout is None or not (options.checkout / "runner").is_dir():
        raise BenchFailed(f"no checkout of the program in {options.checkout}")
    data = None if options.data is None else options.data.resolve()
    for name, whole in wholes().items():
        wanted = options.only or [name]
        if name not in wanted and name.partition("-")[0] not in wanted:
            continue
        if whole.needs is not None and (data is None or not (data / whole.needs).is_dir()):
            print(f"{name} left out: no {whole.needs} in {data}", file=sys.stderr)
            continue
        pairs = min(options.pairs, 2 if name.startswith("smoke-") else 3)
        cells = compared(whole, options.checkout.resolve(), data, pairs, options.device)
        record(REPORT, "against", whole.title, cells, machine(options.device))


def chosen(options: argparse.Namespace) -> list[str]:
    """Return the names of the trainings to measure."""
    if options.only:
        return list(options.only)
    return [name for name, case in CASES.items() if options.device != "cpu" or not case.heavy]


def precisions(options: argparse.Namespace) -> Sequence[str]:
    """Return the precisions to measure: all of them on a GPU."""
    if options.precision:
        return tuple(options.precision)
    return PRECISIONS if options.device != "cpu" else ("fp32",)


CHILDREN: dict[str, Callable[[Path, Path | None, argparse.Namespace], dict[str, Any]]] = {
    "loops": one_loop,
    "denormals": one_count,
}


def in_child(
    part: str, name: str, precision: str, options: argparse.Namespace, changes: dict[str, Any]
) -> dict[str, Any]:
    """Measure a training in a process of its own; return what it found.

    Raises:
        BenchFailed: when it fails.
    """
    from engine_cases import write_case

    data = None if options.data is None else options.data.resolve()
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        spec = write_case(name, folder, data, precision)
        answer = folder / "answer.json"
        words = [sys.executable, str(HERE), part, "--child", str(spec), "--answer", str(answer)]
        words += ["--device", options.device]
        words += [f"--{key}={value}" for key, value in changes.items()]
        if data is not None:
            words += ["--data", str(data)]
        run_child(words, folder)
        found: dict[str, Any] = json.loads(answer.read_text())
    return {**found, "made": CASES[name].is_made(data)}


PARTS: dict[str, Callable[[argparse.Namespace], None]] = {
    "loops": loops,
    "runs": runs,
    "denormals": denormals,
    "busy": busy_part,
}
OTHERS = {"against": against, "slots": slots_part}
"""What is measured only where it is named."""


def parse(arguments: Sequence[str]) -> argparse.Namespace:
    """Return the options."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("part", nargs="?", default="all", choices=("all", *PARTS, *OTHERS))
    parser.add_argument("checkout", nargs="?", type=Path, help="of other code, for `against`")
    parser.add_argument("--only", type=lambda text: text.split(","), help=", ".join(CASES))
    parser.add_argument("--pairs", type=int, default=20)
    parser.add_argument("--repetitions", type=int, default=3, help="of whole runs")
    parser.add_argument("--threads", type=int, help="of the runs of `busy`")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--precision", action="append", choices=PRECISIONS)
    where = os.environ.get("RUNNER_DATA")
    parser.add_argument("--data", type=Path, default=None if where is None else Path(where))
    parser.add_argument("--child", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--answer", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    known = [*CASES]
    if options.part == "against":
        from engine_against import wholes

        known = [*wholes(), "smoke"]
    unknown = [name for name in options.only or () if name not in known]
    if unknown:
        parser.error(f"there is no {unknown[0]!r} to measure, but {', '.join(known)}")
    return options


def main(arguments: Sequence[str]) -> int:
    """Measure; return 1 when two sides that must be equal are not."""
    options = parse(arguments)
    try:
        if options.child is not None:
            wait_passively()
            found = CHILDREN[options.part](options.child, options.data, options)
            options.answer.write_text(json.dumps(found))
            return 0
        parts = {**PARTS, **OTHERS}
        for part in PARTS if options.part == "all" else (options.part,):
            parts[part](options)
    except BenchFailed as failed:
        print(f"error: {failed}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
