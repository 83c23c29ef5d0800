"""Ctrl-C: a message that says how to go on, exit code 130, and nothing lost by it."""

import os
import shutil
import signal
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest
from commands import TINY, Call
from waiting import PATIENCE, wait_for

from runner.api import running
from runner.cli.interrupt import StopRequest

RUNNER = Path(sys.executable).parent / "runner"


def is_training(database: Path) -> bool:
    query = "SELECT count(*) FROM claims JOIN stages USING (stage_key) WHERE kind = 'train'"
    try:
        with closing(sqlite3.connect(f"file:{database}?mode=ro", uri=True)) as connection:
            return bool(connection.execute(query).fetchone()[0])
    except sqlite3.OperationalError:
        return False


@pytest.mark.slow
def test_an_interrupted_grid_goes_on_and_equals_an_undisturbed_one(fresh: Path, call: Call) -> None:
    (fresh / "tiny.yaml").write_text(TINY.replace("epochs: 2", "epochs: 200"))
    words = ["run", "tiny.yaml", "--threads", "1", "--only", "fast one", "--only", "seed=1"]
    process = subprocess.Popen(
        [RUNNER, *words], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    wait_for(lambda: is_training(fresh / "results.db") or process.poll() is not None)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=PATIENCE)
    assert (process.returncode, out) == (130, "")
    assert "stopping after the current step; Ctrl-C again stops at once" in err
    assert err.endswith(
        "; go on with: runner run tiny.yaml --threads 1 --only 'fast one' --only seed=1\n"
    )
    assert "Traceback" not in err

    assert call(*words).code == 0
    gone_on = call("db", "dump", "--canonical").out
    shutil.rmtree(fresh / ".runner")
    assert call(*words, "--db", "undisturbed/results.db").code == 0
    assert call("db", "dump", "--canonical", "--db", "undisturbed/results.db").out == gone_on
    assert '"status":"done"' in gone_on


def test_a_first_signal_asks_and_a_second_stops_at_once(
    capsys: pytest.CaptureFixture[str],
) -> None:
    before = signal.getsignal(signal.SIGINT)
    with StopRequest() as stop:
        assert not stop()
        os.kill(os.getpid(), signal.SIGINT)
        assert stop()
        assert "Ctrl-C again stops at once" in capsys.readouterr().err
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), signal.SIGINT)
    assert signal.getsignal(signal.SIGINT) == before


def test_stopping_at_once_says_so_and_exits_with_130(
    fresh: Path, call: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stop(*arguments: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(running, "run_request", stop)
    stopped = call("run", "tiny.yaml")
    assert (stopped.code, stopped.out) == (130, "")
    assert stopped.err == "stopped at once; the stage in progress is redone later\n"
