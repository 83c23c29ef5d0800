"""Ctrl-C: a message that says how to go on, exit code 130, and nothing lost by it."""

import io
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from commands import TINY, Call
from waiting import PATIENCE, wait_for

from runner import api
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
def test_interrupted_grid_goes_on_and_equals_an_undisturbed_one(fresh: Path, call: Call) -> None:
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


@pytest.mark.slow
def test_ctrl_c_while_the_interpreter_ends_stops_nothing() -> None:
    """What is registered first is called last: behind everything that the command line ends."""
    late = (
        "import atexit, os, signal, sys\n"
        "atexit.register(lambda: os.kill(os.getpid(), signal.SIGINT))\n"
        "sys.argv = ['runner', 'list']\n"
        "from runner.__main__ import main\n"
        "main()\n"
    )
    ended = subprocess.run([sys.executable, "-c", late], capture_output=True, text=True)
    assert ended.returncode == 2
    assert ended.stderr.startswith("error: no database at results.db\n    hint: ")
    assert len(ended.stderr.splitlines()) == 2


def test_first_signal_asks_and_a_second_stops_at_once(
    capfd: pytest.CaptureFixture[str],
) -> None:
    before = signal.getsignal(signal.SIGINT)
    with StopRequest() as stop:
        assert not stop()
        os.kill(os.getpid(), signal.SIGINT)
        assert stop()
        assert "Ctrl-C again stops at once" in capfd.readouterr().err
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), signal.SIGINT)
    assert signal.getsignal(signal.SIGINT) == before


class Interrupting(io.RawIOBase):
    """A standard error in whose writes Ctrl-C comes."""

    def writable(self) -> bool:
        return True

    def write(self, data: Any, /) -> int:
        os.kill(os.getpid(), signal.SIGINT)
        return len(data)


def test_ctrl_c_inside_a_write_to_standard_error_is_a_request_and_no_error(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    with monkeypatch.context() as patched, StopRequest() as stop:
        patched.setattr(sys, "stderr", io.TextIOWrapper(io.BufferedWriter(Interrupting())))
        print("epoch 1", file=sys.stderr, flush=True)
        assert stop()
    assert "stopping after the current step" in capfd.readouterr().err


def test_ctrl_c_is_a_request_where_nobody_reads_standard_error() -> None:
    kept = os.dup(2)
    reading, writing = os.pipe()
    os.close(reading)
    try:
        os.dup2(writing, 2)
        with StopRequest() as stop:
            os.kill(os.getpid(), signal.SIGINT)
            assert stop()
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(writing)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGUSR1])
def test_a_signal_of_a_scheduler_that_comes_twice_counts_once(number: signal.Signals) -> None:
    with StopRequest() as stop:
        for _ in range(3):
            os.kill(os.getpid(), number)
        assert stop()
        os.kill(os.getpid(), signal.SIGUSR1)
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), signal.SIGINT)
        assert stop.error("stopped").exit_code == {signal.SIGTERM: 130, signal.SIGUSR1: 75}[number]


def test_sigterm_at_the_end_of_the_time_stops_at_once_what_was_asked_before() -> None:
    with StopRequest() as stop:
        os.kill(os.getpid(), signal.SIGUSR1)
        assert stop()
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), signal.SIGTERM)


def test_stopping_at_once_says_so_and_exits_with_130(
    fresh: Path, call: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stop(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(api, "run", stop)
    stopped = call("run", "tiny.yaml")
    assert (stopped.code, stopped.out) == (130, "")
    assert stopped.err == "stopped at once; the stage in progress is redone later\n"


SLOW_MODULE = """\
import pathlib, time
pathlib.Path("importing").touch()
for _ in range(600):
    try:
        time.sleep(0.1)
    except BaseException as error:  # as C code does, which cannot let it through
        raise ImportError("swallowed") from error
"""


def start(words: list[str], *options: str, path: str = "") -> subprocess.Popen[str]:
    """Start `python -m runner WORDS`; modules in ``path`` come before all others."""
    search = os.pathsep.join([path, str(Path(__file__).parents[2])])
    return subprocess.Popen(
        [sys.executable, *options, "-m", "runner", *words],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": search},
    )


def wait_for_import(folder: Path, process: subprocess.Popen[str]) -> None:
    """Wait until a process imports the slow module."""
    wait_for(lambda: (folder / "importing").exists() or process.poll() is not None)
    assert process.poll() is None, process.communicate()


@pytest.mark.parametrize(
    ("module", "words"),
    [
        ("typer", ["list"]),
        pytest.param("torch", ["plan", "tiny.yaml"], marks=pytest.mark.slow),
        pytest.param("pydantic", ["validate", "tiny.yaml"], marks=pytest.mark.slow),
    ],
)
def test_while_something_is_imported_ctrl_c_ends_it_in_one_line(
    fresh: Path, module: str, words: list[str]
) -> None:
    (fresh / "first").mkdir()
    (fresh / "first" / f"{module}.py").write_text(SLOW_MODULE)
    process = start(words, path=str(fresh / "first"))
    wait_for_import(fresh, process)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=PATIENCE)
    assert (process.returncode, out, err) == (130, "", "stopped\n")


@pytest.mark.slow
def test_a_run_that_imports_torch_for_its_first_stage_stops_at_the_second_ctrl_c(
    fresh: Path,
) -> None:
    (fresh / "first").mkdir()
    (fresh / "first" / "torch.py").write_text(SLOW_MODULE)
    process = start(["run", "tiny.yaml"], path=str(fresh / "first"))
    wait_for_import(fresh, process)
    assert process.stderr is not None
    process.send_signal(signal.SIGINT)
    asked = "stopping after the current step; Ctrl-C again stops at once\n"
    lines = iter(process.stderr.readline, "")
    assert asked in lines  # two signals that come at once are one
    process.send_signal(signal.SIGINT)
    assert list(lines) == ["stopped\n"]
    assert process.wait(PATIENCE) == 130


@pytest.mark.slow
def test_command_that_is_at_work_is_unwound(tmp_path: Path) -> None:
    code = (
        "import runner.__main__ as entrance, runner.cli.app as app, signal, os\n"
        "def work():\n"
        "    try:\n"
        "        os.kill(os.getpid(), signal.SIGINT)\n"
        "    finally:\n"
        "        print('tidied up')\n"
        "app.main = work\n"
        "entrance.main()\n"
    )
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert (ended.returncode, ended.stdout, ended.stderr) == (130, "tidied up\n", "stopped\n")


@pytest.mark.slow
@pytest.mark.parametrize("words", [["list"], ["plan", "tiny.yaml"], ["run", "tiny.yaml"]])
@pytest.mark.parametrize("delay", [0.01, 0.03, 0.1, 0.2, 0.4, 0.7, 1.0, 1.5, 2.5])
def test_ctrl_c_at_any_moment_ends_without_a_traceback(
    tiny: Path, words: list[str], delay: float
) -> None:
    shutil.rmtree(".runner")
    Path("tiny.yaml").write_text(TINY.replace("epochs: 2", "epochs: 400"))
    process = start(words, "-X", "importtime")
    assert process.stderr is not None
    # what is imported first once Ctrl-C is heard
    while not process.stderr.readline().rstrip().endswith(" runner.cli"):
        assert process.poll() is None
    time.sleep(delay)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=PATIENCE)
    said = [line for line in err.splitlines() if not line.startswith("import time:")]
    assert "Traceback" not in err
    assert process.returncode == 130 or (process.returncode == 0 and words[0] != "run"), said
    assert process.returncode == 0 or any("stopped" in line for line in said)


def test_installed_command_is_the_one_that_hears_at_once() -> None:
    import tomllib

    root = Path(__file__).resolve().parents[2]
    project = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert project["scripts"] == {"runner": "runner.__main__:main"}
