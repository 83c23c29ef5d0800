"""Arrays and weights of finished runs that are gone or damaged: what is made, what is said."""

import re
import shutil
from pathlib import Path

import numpy as np
import pytest
from analysed_grids import ASKED, SPEC, VALUES, do, folders
from grids import ask
from test_measurements import kinds

from runner.api.planning import plan

NEURONS = (
    SPEC
    + """\
analyses:
  first: {name: neurons, neurons: [0]}
  second: {name: neurons, neurons: [1, 2]}
"""
)
AGAIN = (
    r"their weights are gone; only training again \(run --rerun\) would bring them back:"
    r" at most 4 epochs, about \d.*"
)


@pytest.mark.slow
def test_weights_that_are_gone_are_said_with_what_they_cost_once_a_run(before: Path) -> None:
    shutil.rmtree(before / ".runner")
    both = ASKED.replace("analyses:", "analyses:\n  map: {name: embedding, images: 20}")
    log, ran = do(before, both)
    assert log.began == []
    (note,) = log.notes
    assert re.fullmatch(f"map and shaken of 2 finished runs cannot be computed: {AGAIN}", note)
    assert set(ran.statuses.values()) == {"done"}
    explained = plan(before / "grid.yaml", db=before / "results.db", device="cpu")
    assert [each.why for each in explained.decisions] == [note]
    assert explained.analyses == {}


@pytest.mark.slow
def test_plan_and_run_of_what_is_done_read_no_arrays(
    before: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    do(before, NEURONS)
    assert len(folders(before)) == 4

    def never(*given: object) -> None:
        raise AssertionError("arrays are read")

    monkeypatch.setattr(np, "load", never)
    monkeypatch.setattr(np.lib.format, "read_array", never)
    explained = plan(before / "grid.yaml", db=before / "results.db", device="cpu")
    assert (explained.analyses, explained.decisions) == ({}, ())
    log, _ = do(before, NEURONS)
    assert (log.began, log.notes) == ([], [])


@pytest.mark.slow
def test_arrays_whose_weights_are_damaged_are_said_and_nothing_fails(before: Path) -> None:
    do(before, NEURONS)
    shutil.rmtree(before / ".runner" / "analyses")
    first, second = sorted(before.glob(".runner/weights/*/*"))
    first.write_bytes(first.read_bytes()[:-4] + b"\0\0\0\1")
    explained = plan(before / "grid.yaml", db=before / "results.db", device="cpu")
    assert explained.analyses == {"first": 1, "second": 1}
    assert explained.planned.unsized == 0
    log, ran = do(before, NEURONS)
    assert kinds(log) == ["analyse"] * 2
    assert (ran.failed_measurements, set(ran.statuses.values())) == (0, {"done"})
    (note,) = log.notes
    assert note.startswith(
        "the arrays of first and second of 1 finished run cannot be computed: its"
    )
    second.unlink()
    again, _ = do(before, NEURONS)
    assert (again.began, again.notes) == ([], [note])


@pytest.mark.slow
def test_analyses_of_weights_alone_decode_no_images(before: Path) -> None:
    shutil.rmtree(before / ".runner" / "pixels")
    sized = NEURONS + "  sizes: sizes\n"
    log, ran = do(before, sized)
    assert kinds(log) == ["analyse"] * 6
    assert not (before / ".runner" / "pixels").exists()
    assert (ran.failed_measurements, len(folders(before))) == (0, 4)
    assert ask(before, "SELECT count(*) FROM analysis_values") > [(0,)]


@pytest.mark.slow
def test_values_alone_need_nothing_that_is_gone(before: Path) -> None:
    do(before, ASKED)
    values = ask(before, VALUES)
    shutil.rmtree(before / ".runner")
    log, _ = do(before, ASKED)
    assert (log.began, log.notes, ask(before, VALUES)) == ([], [], values)
