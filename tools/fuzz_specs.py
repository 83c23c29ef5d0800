"""Fuzzes the reading of specs: whatever is in a file, only a SpecError with positions comes out.

    python tools/fuzz_specs.py [--inputs 20000] [--seed 1] [--first 0] [--failures FOLDER]

Input i of a seed is always the same. A failing one is written to the folder, with its options, what
went wrong and the command that makes it again. Exits with 1 when there was one.
"""

from __future__ import annotations

import argparse
import gc
import os
import shutil
import signal
import sys
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from random import Random
from typing import Any

from fuzz_checks import Input, try_input
from fuzz_texts import mutated, read_seed, trimmed
from fuzz_trees import Seed
from fuzz_words import WORDS, strange_text

from runner.core.errors import SpecError
from runner.spec import sizes
from runner.spec.experiment import build_experiment
from runner.spec.yaml_loader import parse_yaml

ROOT = Path(__file__).resolve().parent.parent
FOLDERS = {
    "errors": ROOT / "tests" / "spec" / "errors",
    "experiments": ROOT / "experiments",
    "seeds": ROOT / "tests" / "spec" / "seeds",
}
"""Specs to begin with; an input lies beside the others of its folder."""

SECONDS = 5.0
"""Of processor time, after which an input counts as one that never ends."""

MEMORY = 768 * 2**20
"""Bytes of address space that one input may take."""

LIMITS = {"MAX_COMBINATIONS": 2000, "MAX_CELLS": 2000, "MAX_VALUES": 200_000}
"""Lower limits of size: an input that is just below the real ones rightly takes many seconds."""

OPTIONS_IN = 0.25
"""Share of the inputs with ``--profile``, ``--set`` or ``--only``."""


PROFILES = ("smoke", "quick", "nothing", "", "na\0me")


class TooSlow(BaseException):
    """An input has had its time; no handler of errors in between may keep this."""


@dataclass
class Tally:
    """What came out of many inputs."""

    outcomes: Counter[str] = field(default_factory=Counter)
    problems: Counter[str] = field(default_factory=Counter)
    failures: list[int] = field(default_factory=list)
    slowest: tuple[float, int] = (0.0, 0)


@cache
def seeds() -> list[Seed]:
    """Return the specs to begin with, right ones as often as wrong ones, small ones more often."""
    found = {
        name: [read_seed(path, name) for path in sorted(folder.glob("*.yaml"))]
        for name, folder in FOLDERS.items()
    }
    small = [trimmed(seed) for seed in found["experiments"]]
    small = [seed for seed in small if _is_right(seed)]
    right = [*found["experiments"], *small * 2, *found["seeds"] * 15]
    return [*found["errors"], *right]


def _is_right(seed: Seed) -> bool:
    try:
        build_experiment(parse_yaml(seed.text, "trimmed.yaml"), Path("trimmed.yaml"))
    except SpecError:
        return False
    return True


def make_input(beginnings: list[Seed], seed: int, number: int) -> Input:
    """Return input ``number`` of a seed."""
    random = Random(f"{seed}:{number}")
    folder, content = mutated(beginnings, random)
    if random.random() >= OPTIONS_IN:
        return Input(folder, content)
    profile = random.choice((None, None, *PROFILES))
    sets = tuple(_option(random) for _ in range(random.choice((0, 1, 1, 2))))
    only = tuple(_option(random) for _ in range(random.choice((0, 0, 1, 2))))
    return Input(folder, content, profile, sets, only)


def _option(random: Random) -> str:
    name = random.choice(WORDS) if random.random() < 0.9 else strange_text(random)
    equals = "=" if random.random() < 0.95 else ""
    return f"{name}{equals}{strange_text(random)}"


@contextmanager
def _limited(seconds: float) -> Iterator[None]:
    """Limit the processor time, where the system can."""
    if not hasattr(signal, "setitimer"):
        yield
        return

    def stop(*_: Any) -> None:
        raise TooSlow(f"more than {seconds:g} s of processor time")

    before = signal.signal(signal.SIGVTALRM, stop)
    signal.setitimer(signal.ITIMER_VIRTUAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        signal.signal(signal.SIGVTALRM, before)


@contextmanager
def _lower_limits() -> Iterator[None]:
    before = {name: getattr(sizes, name) for name in LIMITS}
    vars(sizes).update(LIMITS)
    try:
        yield
    finally:
        vars(sizes).update(before)


def limit_memory(num_bytes: int) -> None:
    """Let this process take that much more address space than now, where the system can."""
    try:
        import resource
    except ImportError:
        return
    pages = Path("/proc/self/statm")
    if pages.is_file():
        now = int(pages.read_text().split()[0]) * os.sysconf("SC_PAGE_SIZE")
        _, most = resource.getrlimit(resource.RLIMIT_AS)
        resource.setrlimit(resource.RLIMIT_AS, (now + num_bytes, most))


@contextmanager
def beside_the_specs() -> Iterator[None]:
    """Change to a folder with copies of the folders of specs."""
    before, memory = Path.cwd(), "/dev/shm"
    with tempfile.TemporaryDirectory(dir=memory if Path(memory).is_dir() else None) as folder:
        for name, source in FOLDERS.items():
            shutil.copytree(source, Path(folder) / name)
        os.chdir(folder)
        try:
            yield
        finally:
            os.chdir(before)


def fuzz(
    seed: int,
    numbers: range,
    failures: Path,
    deep: bool = False,
    on_progress: Callable[[int, Tally], None] = lambda done, tally: None,
) -> Tally:
    """Try inputs of a seed; write those that fail to a folder."""
    tally, failures = Tally(), failures.absolute()
    with beside_the_specs(), _lower_limits():
        beginnings = seeds()
        for done, number in enumerate(numbers, start=1):
            each = make_input(beginnings, seed, number)
            started = time.process_time()
            try:
                with _limited(SECONDS):
                    outcome = try_input(each, deep)
            except (Exception, TooSlow) as error:
                outcome = f"failure: {type(error).__name__}"
                tally.failures.append(number)
                _write_failure(failures, seed, number, each, error)
            tally.slowest = max(tally.slowest, (time.process_time() - started, number))
            tally.outcomes[outcome] += 1
            on_progress(done, tally)
    return tally


def _write_failure(folder: Path, seed: int, number: int, each: Input, error: BaseException) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    name = folder / f"{seed}-{number}"
    name.with_suffix(".yaml").write_bytes(each.content)
    told = [
        f"again: python tools/fuzz_specs.py --seed {seed} --first {number} --inputs 1",
        f"beside: {each.folder}",
        f"options: profile {each.profile!r}, sets {each.sets!r}, only {each.only!r}",
        *traceback.format_exception(error, limit=-25),
    ]
    name.with_suffix(".txt").write_text("\n".join(told), encoding="utf-8", errors="replace")


def main(arguments: list[str]) -> int:
    """Fuzz as the command line says; return the exit code."""
    parser = argparse.ArgumentParser(description="Fuzz the reading of specs.")
    parser.add_argument("--inputs", type=int, default=20_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--failures", type=Path, default=Path("fuzz_failures"))
    parser.add_argument("--deep", action="store_true", help="bind to data and models too")
    asked = parser.parse_args(arguments)
    if asked.deep:
        import torch

        torch.set_num_threads(1)
    else:
        limit_memory(MEMORY)
    gc.freeze()
    gc.set_threshold(50_000, 20, 20)
    started = time.monotonic()

    def tell(done: int, tally: Tally) -> None:
        if done % 10_000 == 0 or done == asked.inputs:
            seconds = time.monotonic() - started
            counts = ", ".join(f"{count} {what}" for what, count in tally.outcomes.most_common())
            slowest = f"the slowest {tally.slowest[0]:.2f} s (input {tally.slowest[1]})"
            rate = done / seconds
            print(f"{done} inputs: {counts}; {seconds:.0f} s, {rate:.0f}/s, {slowest}", flush=True)

    numbers = range(asked.first, asked.first + asked.inputs)
    tally = fuzz(asked.seed, numbers, asked.failures, asked.deep, tell)
    if tally.failures:
        print(f"{len(tally.failures)} failures: {asked.failures}", file=sys.stderr)
    return 1 if tally.failures else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
