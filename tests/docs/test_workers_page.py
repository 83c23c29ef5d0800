"""docs/workers.md: its commands are executed in order."""

import importlib.util
import re
import sys
from pathlib import Path

import pytest
from namespaces import run_apart, why_no_namespace

from runner.cli.app import main

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "workers.md").read_text(encoding="utf-8")


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "experiments").symlink_to(ROOT / "experiments")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def commands(mark: str) -> list[list[str]]:
    shown = re.search(rf"<!-- {mark} -->\n```console\n(.*?)```", PAGE, re.S)
    assert shown is not None
    return [line.removeprefix("$ ").split() for line in shown[1].splitlines() if line[0] == "$"]


def call(words: list[str], monkeypatch: pytest.MonkeyPatch) -> int:
    monkeypatch.setattr("sys.argv", words)
    with pytest.raises(SystemExit) as ended:
        main()
    return int(ended.value.code or 0)


@pytest.mark.slow
def test_worker_does_what_run_has_recorded(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    asked, worked = commands("worker")
    assert call(asked, monkeypatch) == 0
    assert "unfinished" in capsys.readouterr().out
    assert call(worked, monkeypatch) == 0
    said = capsys.readouterr().err
    assert re.search(r"^\d+ runs: \d+ done; ", said, re.M), said


@pytest.mark.slow
def test_several_workers_do_what_one_would(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for mark in ("several", "plan", "workers"):
        (command,) = commands(mark)
        assert call(command, monkeypatch) == 0
    found = capsys.readouterr()
    assert re.search(r"^workers   4 take about ", found.out, re.M)
    assert "nobody is at work\n0 runs left\n" in found.err


@pytest.mark.ray
def test_workers_on_a_cluster_that_is_started_do_it(folder: Path) -> None:
    if reason := why_no_namespace() if importlib.util.find_spec("ray") else "needs ray":
        pytest.skip(reason)
    ((_, *words),) = commands("ray")
    ended = run_apart([sys.executable, "-m", "runner", *words], folder, 300.0)
    assert ended.returncode == 0, ended.stderr
    assert re.search(r"^\d+ runs?: \d+ done; ", ended.stderr, re.M), ended.stderr
