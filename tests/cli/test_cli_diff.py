"""`diff`: two runs side by side."""

import json
from pathlib import Path

import pytest
from commands import Call

from runner import api


def cells(call: Call) -> list[dict]:
    return json.loads(call("list", "--format", "json").out)


def test_runs_that_differ_in_settings_show_these_and_all_metrics(tiny: Path, call: Call) -> None:
    first, other = (f"tiny:{position}:0" for position in (0, 1))
    found = json.loads(call("diff", first, other, "--format", "json").out)
    parts = [each["part"] for each in found]
    assert "settings" in parts
    settings = {each["name"] for each in found if each["part"] == "settings"}
    swept = {path for row in cells(call) for path in row["swept"]}
    assert settings <= swept
    metrics = {each["name"] for each in found if each["part"] == "metrics"}
    assert {"train_loss", "val_accuracy", "val_loss"} <= metrics
    assert "environment" not in parts


def test_text_has_a_line_each_and_the_difference_of_metrics(tiny: Path, call: Call) -> None:
    lines = call("diff", "tiny:0:0", "tiny:1:0").out.splitlines()
    assert lines[0].split() == ["tiny:0:0", "tiny:1:0"]
    (loss,) = [line.split() for line in lines if "val_loss" in line]
    assert float(loss[4]) == pytest.approx(float(loss[3]) - float(loss[2]), abs=1e-3)


def test_run_against_itself_says_that_nothing_differs(tiny: Path, call: Call) -> None:
    said = call("diff", "tiny:0:0", "tiny:0:0")
    assert said.code == 0
    assert "nothing differs" in said.err
    assert all(line.split()[-1] == "+0.0000" for line in said.out.splitlines()[1:])


def test_unknown_run_is_an_error(tiny: Path, call: Call) -> None:
    said = call("diff", "tiny:0:0", "zzz")
    assert (said.code, said.out) == (2, "")
    assert "no run 'zzz'" in said.err


def test_api_returns_a_frame(tiny: Path) -> None:
    frame = api.diff("tiny:0:0", "tiny:1:0", db=tiny / "results.db").frame()
    assert list(frame.columns) == ["part", "name", "first", "second"]
    assert "metrics" in set(frame["part"])
