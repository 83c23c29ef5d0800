"""docs/using.md: its commands are executed in order, and print what it shows but for digits."""

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from runner.cli.app import main

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "using.md").read_text(encoding="utf-8")

Print = Callable[[str], str]


def block(mark: str, language: str) -> str:
    shown = re.search(rf"<!-- {mark} -->\n```{language}\n(.*?)```", PAGE, re.S)
    assert shown is not None
    return shown[1]


def without_digits(text: str) -> list[list[str]]:
    """Return the words of each line; numbers with decimals and keys as N, columns as they fit."""
    numbers = re.compile(r"\b(\d+\.\d+(e-?\d+)?|[0-9a-f]{12}|epoch \d+)\b")
    return [numbers.sub("N", line).split() for line in text.splitlines()]


@pytest.fixture
def printed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Print:
    (tmp_path / "experiments").symlink_to(ROOT / "experiments")
    monkeypatch.chdir(tmp_path)

    def run(command: str) -> str:
        words = command.replace("runner ", "", 1).split()
        monkeypatch.setattr("sys.argv", ["runner", *words])
        with pytest.raises(SystemExit) as ended:
            main()
        found = capsys.readouterr()
        if "notes.txt: cannot identify image file" in found.err:
            assert ended.value.code == 1
            assert "1 of 61 files could not be read" in found.err
        else:
            assert not ended.value.code, found.err
        return found.out

    return run


@pytest.mark.slow
def test_the_commands_on_the_page_print_what_it_shows(
    printed: Print, capsys: pytest.CaptureFixture[str]
) -> None:
    printed(block("run", "console").removeprefix("$ ").strip())
    exec(block("scans", "python"), {})
    for mark in ("predict", "evaluate", "export", "script"):
        outputs = re.split(r"^\$ (.*)\n", block(mark, "console"), flags=re.M)[1:]
        for command, output in zip(outputs[::2], outputs[1::2], strict=True):
            assert without_digits(printed(command)) == without_digits(output)
    assert len(Path("scans.csv").read_text().splitlines()) == 61
    exec(block("python", "python"), {})
    assert "scans/notes.txt" in capsys.readouterr().out
    assert {path.name for path in Path().glob("digits*")} == {
        f"digits.{form}{card}" for form in ("safetensors", "pt2") for card in ("", ".md")
    }
