"""Analyses that are killed, stopped or done by two processes, and arrays on a bad disk."""

import errno
import json
import math
import os
import shutil
import signal
import time
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
import pytest
from analysed_grids import ASKED, ENDED, SPEC, VALUES, do, folders
from forks import OUTPUT, Forks, KillAt
from grids import ask
from planted import at_moment, each_time
from test_measurements import kinds

from runner.artifacts import arrays as arrays_module
from runner.artifacts.arrays import read_arrays
from runner.artifacts.atomic import ABANDONED_SECONDS
from runner.components.analyses.robustness import Robustness
from runner.core.errors import RunnerError
from runner.core.keys import content_key
from runner.core.records import AnalysisValue
from runner.engine.analyses import ANALYSES, partial_values
from runner.engine.analyses.result import Analyser, AnalysisResult
from runner.engine.tally import Tally


@pytest.mark.slow
@pytest.mark.parametrize(
    "moment",
    [
        "stage claimed",
        "analysis begins",
        "changed images written, not renamed",
        "images of a transform analysed",
        "analysed, not recorded",
        "outcome recorded",
    ],
)
def test_killed_analysis_is_made_by_the_next_run_and_nothing_twice(
    moment: str, before: Path, forks: Forks, tmp_path: Path
) -> None:
    shutil.copytree(before, tmp_path / "undisturbed")
    do(tmp_path / "undisturbed", ASKED)
    (before / "grid.yaml").write_text(ASKED)
    assert forks.run(before, ["run", "grid.yaml"], KillAt(moment, 2)) == -signal.SIGKILL
    assert forks.run(before, ["run", "grid.yaml"]) == 0, (before / OUTPUT).read_text()
    assert ask(before, VALUES) == ask(tmp_path / "undisturbed", VALUES)
    assert ask(before, ENDED) == [(2, 2)]
    assert ask(before, "SELECT count(*) FROM claims") == [(0,)]
    assert forks.run(before, ["db", "check"]) == 0


@pytest.mark.slow
@pytest.mark.parametrize("call", [2, 5])
def test_killed_analysis_goes_on_behind_the_transforms_that_are_measured(
    call: int, before: Path, forks: Forks, tmp_path: Path
) -> None:
    shutil.copytree(before, tmp_path / "undisturbed")
    do(tmp_path / "undisturbed", ASKED)
    command = ["run", "grid.yaml", "--only", "lr=0.1", "--checkpoint-seconds", "0"]
    (before / "grid.yaml").write_text(ASKED)
    kept = "values of an analysis kept before its end"
    assert forks.run(before, command, KillAt(kept, call)) == -signal.SIGKILL
    (folder,) = before.glob(".runner/checkpoints/*/*")
    left = json.loads((folder / "values.json").read_text())
    places = {json.dumps(dims) for _, _, dims in left["values"]}
    assert len(places) == call
    passes = 0

    def count() -> None:
        nonlocal passes
        passes += 1

    with each_time("images of a transform analysed", count):
        do(before, ASKED)
    assert passes == 2 * 10 - call
    assert ask(before, VALUES) == ask(tmp_path / "undisturbed", VALUES)
    assert list(before.glob(".runner/checkpoints/*/*")) == []


@pytest.mark.slow
@pytest.mark.parametrize("damage", ["cut", "value", "weights", "numerics"])
def test_values_that_do_not_fit_or_are_damaged_are_measured_again(
    damage: str, before: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    only = ["lr=0.1"]

    def stop() -> None:
        raise KeyboardInterrupt

    kept = "values of an analysis kept before its end"
    with at_moment(kept, stop, 3), pytest.raises(KeyboardInterrupt):
        do(before, ASKED, only=only, checkpoint_seconds=0)
    (path,) = before.glob(".runner/checkpoints/*/*/values.json")
    text = path.read_text()
    left = json.loads(text)
    if damage == "cut":
        text = text[:-9]
    elif damage == "value":
        left["values"][0][1] += 0.5
    elif damage == "weights":
        left["about"]["weights"] = "of others"
    else:
        left["about"]["numerics"] = {"device": "another"}
    if damage in ("weights", "numerics"):
        content = {"about": left["about"], "values": left["values"]}
        left["checksum"] = content_key("partial values", content)
    path.write_text(text if damage == "cut" else json.dumps(left))
    passes: list[int] = []
    with each_time("images of a transform analysed", lambda: passes.append(1)):
        do(before, ASKED, only=only)
    assert len(passes) == 10


@pytest.mark.slow
def test_value_that_is_not_finite_ends_an_analysis_at_its_place(
    before: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    measured: list[int] = []
    values = Tally.values

    def third_is_not_finite(self: Tally) -> dict[str, float]:
        measured.append(self.count)
        return {**values(self), **({"loss": math.nan} if len(measured) == 3 else {})}

    monkeypatch.setattr(Tally, "values", third_is_not_finite)
    do(before, ASKED, only=["lr=0.1"], checkpoint_seconds=0)
    ((error,),) = ask(before, "SELECT error FROM attempts WHERE status = 'failed'")
    place = "transform RandomRotation, severity 1, draw 2"
    assert f"robustness: loss at {place} is not finite (nan)" in error
    assert len(measured) == 3, "nothing is measured behind it"


@pytest.mark.slow
def test_values_of_an_analysis_that_do_not_fit_on_the_disk_are_not_said_to_be_kept(
    before: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(path: Path) -> NoReturn:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(partial_values, "whole_file", full)
    kept: list[int] = []
    with each_time("values of an analysis kept before its end", lambda: kept.append(1)):
        _, ran = do(before, ASKED, only=["lr=0.1"], checkpoint_seconds=0)
    assert (kept, ran.failed_measurements) == ([], 0)


@pytest.mark.slow
def test_values_of_a_stopped_analysis_go_when_nobody_asks_for_it_for_a_week(before: Path) -> None:
    def stop() -> None:
        raise KeyboardInterrupt

    kept = "values of an analysis kept before its end"
    with at_moment(kept, stop, 2), pytest.raises(KeyboardInterrupt):
        do(before, ASKED, only=["lr=0.1"], checkpoint_seconds=0)
    (path,) = before.glob(".runner/checkpoints/*/*/values.json")
    do(before, SPEC)
    assert path.exists(), "it may be asked for again"
    week_ago = time.time() - ABANDONED_SECONDS - 60
    os.utime(path, (week_ago, week_ago))
    passes: list[int] = []
    with each_time("images of a transform analysed", lambda: passes.append(1)):
        shutil.copytree(before, before.with_name("asked again"))
        do(before.with_name("asked again"), ASKED, only=["lr=0.1"])
    assert len(passes) == 8, "it goes on however old they are"
    do(before, SPEC)
    assert not path.parent.exists()


@pytest.mark.slow
def test_two_processes_make_every_analysis_once(before: Path, forks: Forks) -> None:
    (before / "grid.yaml").write_text(ASKED)
    started = [forks.start(before, ["run", "grid.yaml"]) for _ in range(2)]
    assert [forks.wait(pid) for pid in started] == [0, 0], (before / OUTPUT).read_text()
    assert ask(before, ENDED) == [(2, 2)]


ARRAY = np.arange(12, dtype=np.float32).reshape(3, 4)


@pytest.fixture
def with_arrays(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the analysis leave an array."""
    monkeypatch.setattr(Robustness, "LEAVES_ARRAYS", True)
    value = AnalysisValue("accuracy", 0.5, {"transform": "none", "severity": 0, "draw": 1})
    found = AnalysisResult((value,), {"maps": ARRAY})
    monkeypatch.setitem(ANALYSES, Robustness, Analyser(lambda subject, asked: found))


@pytest.mark.slow
@pytest.mark.usefixtures("with_arrays")
def test_arrays_that_are_gone_or_damaged_are_made_again(before: Path) -> None:
    def there() -> list[list[list[float]]]:
        query = "SELECT name, digest FROM artifacts WHERE name LIKE 'analyses/%'"
        digests = {name.partition("/")[2]: digest for name, digest in ask(before, query)}
        found = [read_arrays(each, digests[each.name]) for each in folders(before)]
        return [each.arrays["maps"].tolist() for each in found if each is not None]

    do(before, ASKED)
    assert there() == [ARRAY.tolist()] * 2
    shutil.rmtree(folders(before)[0])
    log, _ = do(before, ASKED)
    assert (kinds(log), there()) == (["analyse"], [ARRAY.tolist()] * 2)
    path = folders(before)[1] / "maps.npy"
    path.write_bytes(path.read_bytes()[:-1])
    assert len(there()) == 1
    log, _ = do(before, ASKED)
    assert (kinds(log), there()) == (["analyse"], [ARRAY.tolist()] * 2)


@pytest.mark.slow
@pytest.mark.usefixtures("with_arrays")
def test_states_that_nothing_needs_give_way_to_arrays_on_a_full_disk(
    before: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    states, save = list(before.glob(".runner/states/*/*")), arrays_module.np.save
    assert states

    def full_until_states_are_gone(*args: Any, **kwargs: Any) -> None:
        if any(each.exists() for each in states):
            raise OSError(errno.ENOSPC, "No space left on device")
        save(*args, **kwargs)

    monkeypatch.setattr(arrays_module.np, "save", full_until_states_are_gone)
    log, ran = do(before, ASKED)
    assert (kinds(log), ran.failed_measurements, len(folders(before))) == (["analyse"] * 2, 0, 2)


@pytest.mark.slow
@pytest.mark.usefixtures("with_arrays")
def test_arrays_appear_whole_or_not_at_all(before: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full_disk(*args: Any, **kwargs: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(arrays_module.np, "save", full_disk)
        with pytest.raises(RunnerError, match="disk is full"):
            do(before, ASKED)
    assert folders(before) == []
    assert ask(before, ENDED) == [(0, 0)]

    def stop() -> None:
        raise KeyboardInterrupt

    with at_moment("arrays in place, not recorded", stop), pytest.raises(KeyboardInterrupt):
        do(before, ASKED)
    log, _ = do(before, ASKED)
    assert kinds(log) == ["analyse"] * 2
    assert ask(before, ENDED) == [(2, 2)]
