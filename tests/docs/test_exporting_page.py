"""docs/exporting.md: its commands are executed in order, and print what it shows."""

import re
from collections.abc import Callable
from pathlib import Path

import pytest
from trackio_python import find_trackio, use_trackio

from runner.cli.app import main
from runner.report.trackers.kinds import TRACKERS

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "exporting.md").read_text(encoding="utf-8")

Print = Callable[[str], str]


def block(mark: str, language: str) -> str:
    shown = re.search(rf"<!-- {mark} -->\n```{language}\n(.*?)```", PAGE, re.S)
    assert shown is not None
    return shown[1]


@pytest.fixture
def printed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Print:
    (tmp_path / "experiments").symlink_to(ROOT / "experiments")
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)

    def run(command: str) -> str:
        monkeypatch.setattr("sys.argv", command.split())
        with pytest.raises(SystemExit) as ended:
            main()
        found = capsys.readouterr()
        assert not ended.value.code, found.err
        return found.out

    return run


def test_page_names_every_tool_with_its_default_and_extra() -> None:
    for kind, tracker in TRACKERS.items():
        (row,) = re.findall(rf"(?m)^\| `{kind}` \| .*$", PAGE)
        assert f"`{tracker.default}`" in row
        assert (f"`pip install 'runner[{tracker.extra}]'`" in row) == bool(tracker.extra)


@pytest.mark.slow
def test_commands_on_the_exporting_page_print_what_it_shows(
    printed: Print,
    capsys: pytest.CaptureFixture[str],
    tmp_path_factory: pytest.TempPathFactory,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    python = find_trackio(tmp_path_factory.mktemp("trackio") / "venv")
    printed(block("run", "console").removeprefix("$ ").strip())
    if python is not None:
        use_trackio(python, monkeypatch)
    for mark in TRACKERS:
        if mark == "trackio" and python is None:
            continue
        outputs = re.split(r"^\$ (.*)\n", block(mark, "console"), flags=re.M)[1:]
        for command, output in zip(outputs[::2], outputs[1::2], strict=True):
            assert printed(command) == output
    exec(block("mlflow-search", "python"), {})
    assert "lr=0.1 dropout=0.3 seed=1 0.9" in capsys.readouterr().out
    exec(block("pandas", "python"), {})
    assert "quickstart:2:0" in capsys.readouterr().out
    exec(block("python", "python"), {})
    assert "done" in capsys.readouterr().out
