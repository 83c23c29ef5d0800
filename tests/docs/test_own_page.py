"""docs/own.md: its files, copied, and its commands, executed, print what it shows."""

import re
from pathlib import Path

import pytest

from runner.cli.app import main

PAGE = (Path(__file__).parents[2] / "docs" / "own.md").read_text(encoding="utf-8")
FILES = dict(re.findall(r"<!-- (\S+\.\w+) -->\n```\w+\n(.*?)```", PAGE, re.S))
COMMANDS = re.findall(r"<!-- \w+ -->\n```console\n\$ (runner .*?)\n(.*?)```", PAGE, re.S)


def without_digits(text: str) -> list[list[str]]:
    """Return the words of each line; results of a training, and the best, may differ by machine."""
    lines = [re.sub(r"\b0\.\d{3}( \*)?", "N", line).split() for line in text.splitlines()]
    return [line for line in lines if line]


@pytest.mark.slow
@pytest.mark.parametrize(("command", "output"), COMMANDS, ids=[each for each, _ in COMMANDS])
def test_the_page_can_be_copied(
    command: str,
    output: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    for name, text in FILES.items():
        (tmp_path / name).write_text(text)
    monkeypatch.setattr("sys.argv", command.split())
    with pytest.raises(SystemExit) as ended:
        main()
    printed = capsys.readouterr()
    assert not ended.value.code, printed.err
    assert without_digits(printed.out) == without_digits(output)
    accuracies = [float(each) for each in re.findall(r" (0\.\d{3})\b", printed.out)]
    assert min(accuracies) > 0.6


def test_limits_on_the_page_are_held(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    shown = re.search(r"<!-- limited-mistake -->\n```console\n\$ ([^\n]*)\n(.*?)```", PAGE, re.S)
    assert shown is not None
    monkeypatch.chdir(tmp_path)
    Path("limited.py").write_text(FILES["limited.py"])
    spec = 'name: limited\ndata: digits\nmodel: {name: "limited.py:Limited", width: 12}\n'
    Path("limited.yaml").write_text(spec)
    monkeypatch.setattr("sys.argv", shown[1].split())
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 2
    assert capsys.readouterr().err == shown[2]


@pytest.mark.slow
def test_a_teacher_on_the_page_can_be_copied(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (block,) = re.findall(r"<!-- distill-begin -->\n```console\n(.*?)```", PAGE, re.S)
    steps = re.findall(r"^\$ (runner .*?)\n(.*?)(?=^\$|\Z)", block, re.S | re.M)
    monkeypatch.chdir(tmp_path)
    for name, text in FILES.items():
        (tmp_path / name).write_text(text)
    assert len(steps) == 3
    for command, output in steps:
        monkeypatch.setattr("sys.argv", command.split())
        with pytest.raises(SystemExit) as ended:
            main()
        printed = capsys.readouterr()
        assert not ended.value.code, printed.err
        assert without_digits(printed.out) == without_digits(output)
