"""Analyses that are killed, stopped or done by two processes, and arrays on a bad disk."""

import errno
import shutil
import signal
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from analysed_grids import ASKED, ENDED, VALUES, do, folders
from forks import OUTPUT, Forks, KillAt
from grids import ask
from planted import at_moment
from test_measurements import kinds

from runner.artifacts import arrays as arrays_module
from runner.artifacts.arrays import read_arrays
from runner.components.analyses.robustness import Robustness
from runner.core.errors import RunnerError
from runner.core.records import AnalysisValue
from runner.engine.analyses import ANALYSES
from runner.engine.analyses.result import AnalysisResult


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
    monkeypatch.setitem(ANALYSES, Robustness, lambda subject, asked: found)


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
