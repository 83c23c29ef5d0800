"""docs/looking.md: its commands are executed in order, and print the files and words it shows."""

import re
from pathlib import Path

import pytest

from runner.cli.app import main

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "looking.md").read_text(encoding="utf-8")
MOST_BYTES = 100_000


def block(mark: str, language: str) -> str:
    shown = re.search(rf"<!-- {mark} -->\n```{language}\n(.*?)```", PAGE, re.S)
    assert shown is not None
    return shown[1]


def without_digits(text: str) -> list[list[str]]:
    """Return the words of each line; numbers, and names that are numbers, as N."""
    return [re.sub(r"\b\d[\d.]*\b", "N", line).split() for line in text.splitlines()]


def test_every_picture_on_the_page_is_there_and_small() -> None:
    files = re.findall(r"^!\[[^]]+\]\((pictures/.*)\)$", PAGE, re.M)
    assert len(files) == 10
    for file in files:
        content = (ROOT / "docs" / file).read_bytes()
        assert content.startswith(b"\x89PNG")
        assert len(content) < MOST_BYTES


@pytest.mark.slow
def test_the_commands_on_the_page_print_what_it_shows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("captum")
    monkeypatch.chdir(tmp_path)
    Path("looking.yaml").write_text(block("spec", "yaml"), encoding="utf-8")
    Path("neurons.yaml").write_text(block("neurons-spec", "yaml"), encoding="utf-8")
    for shown in re.findall(r"<!-- [a-z-]+ -->\n```console\n(.*?)```", PAGE, re.S):
        parts = re.split(r"^\$ (.*)\n", shown, flags=re.M)[1:]
        for command, output in zip(parts[::2], parts[1::2], strict=True):
            monkeypatch.setattr("sys.argv", command.split())
            with pytest.raises(SystemExit) as ended:
                main()
            said = capsys.readouterr()
            assert not ended.value.code, said.err
            assert "left out" not in said.err
            if output:
                assert without_digits(said.out) == without_digits(output)
            for name in re.findall(r"^\S+\.(?:png|md|csv)$", output, re.M):
                assert Path(name).is_file()
    exec(block("python", "python"), {})
    assert "accuracy (fraction)" in capsys.readouterr().out
