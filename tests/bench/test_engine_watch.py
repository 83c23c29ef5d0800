"""What the bench wraps is there, and its clock counts for the innermost part alone."""

import importlib
import sys
import time
from pathlib import Path

import pytest
import torch

sys.path.append(str(Path(__file__).resolve().parent.parent.parent / "bench"))

from engine_against import difference
from engine_runs import denormals
from engine_watch import BATCHES, EVALUATION, OPTIMIZERS, OTHER, STEP, WRAPPED, Split

PLACES = [where for places in WRAPPED.values() for where in places]


@pytest.mark.parametrize("where", [*PLACES, BATCHES, *OPTIMIZERS])
def test_what_is_wrapped_is_there(where: str) -> None:
    module, _, names = where.partition(":")
    found = importlib.import_module(module)
    for name in names.split("."):
        found = getattr(found, name)
    assert callable(found)


def test_time_counts_for_the_innermost_part(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [100.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])

    def wait(seconds: float) -> None:
        now[0] += seconds

    split = Split(90.0, lambda: None)
    split.begin()
    inner = split.timed(EVALUATION, lambda: wait(5))

    def outer() -> None:
        wait(1)
        inner()
        wait(2)

    split.timed(STEP, outer)()
    wait(7)
    found = {part: seconds for part, seconds in split.end().items() if seconds}
    assert found == {"start-up": 10.0, STEP: 3.0, EVALUATION: 5.0, OTHER: 7.0}


def test_batches_count_when_they_are_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [0.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    split = Split(0.0, lambda: None)
    split.begin()

    def batches() -> "list[int]":
        return [1, 2]

    for _ in split.batches(batches)():  # type: ignore[arg-type]
        now[0] += 3
    assert split.end()[OTHER] == 6.0


def test_denormal_numbers_are_counted_by_their_bits() -> None:
    bits = [0, 1, 0x007FFFFF, 0x00800000, -0x7FFFFFFF, 0x3F800000]  # zero, two, least, one, 1.0
    assert denormals(torch.tensor(bits, dtype=torch.int32).view(torch.float32)) == 3


def test_records_are_compared_number_by_number() -> None:
    one = {("run", 0, "val", "loss", 1): [0.5], ("run", 0, "steps", "losses", 1): [0.1, 2.0]}
    assert difference(one, {**one}) == "equal"
    other = {**one, ("run", 0, "val", "loss", 1): [0.25]}
    assert difference(one, other) == "1 of 3 numbers differ, by 0.2 at most"
    short = {**one, ("run", 0, "steps", "losses", 1): [0.1]}
    assert difference(one, short) == "steps losses of epoch 1: other numbers of steps"
    assert difference(one, {}) == "2 of 2 entries on one side alone"
    assert difference({}, {}) == "0 of 0 entries on one side alone"
