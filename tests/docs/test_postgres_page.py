"""docs/postgres.md: its commands are executed, and print what it shows but for seconds and keys."""

import re
from collections.abc import Callable
from pathlib import Path

import pytest
from postgres import PostgresServer

from runner.cli.app import main
from runner.store.addresses import address_of

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "postgres.md").read_text(encoding="utf-8")
URL = "postgresql://user@host/runs"

Print = Callable[[str], str]


def commands(mark: str) -> list[tuple[str, str]]:
    """Return the commands of a block, each with what it prints."""
    shown = re.search(rf"<!-- {mark} -->\n```console\n(.*?)```", PAGE, re.S)
    assert shown is not None
    found = re.split(r"^\$ (.*)\n", shown[1], flags=re.M)[1:]
    return list(zip(found[::2], found[1::2], strict=True))


def words(text: str) -> list[list[str]]:
    """Return the words of each line; numbers with decimals as N, lines as they fit."""
    return [re.sub(r"\b\d+\.\d+\b", "N", line).split() for line in text.splitlines()]


@pytest.fixture
def printed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Print:
    (tmp_path / "experiments").symlink_to(ROOT / "experiments")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "200")

    def run(command: str) -> str:
        if command.startswith("export "):
            name, value = command.removeprefix("export ").split("=", 1)
            monkeypatch.setenv(name, value)
            return ""
        monkeypatch.setattr("sys.argv", command.split())
        with pytest.raises(SystemExit) as ended:
            main()
        found = capsys.readouterr()
        assert not ended.value.code, found.err
        return found.out

    return run


@pytest.mark.slow
@pytest.mark.postgres
def test_the_commands_on_the_page_print_what_it_shows(
    printed: Print, postgres_server: PostgresServer
) -> None:
    url = postgres_server.new_database()
    for command, output in [*commands("walk"), *commands("merge")]:
        found = printed(command.replace(URL, url)).replace(str(address_of(url)), URL)
        assert words(found.rstrip()) == words(output.rstrip()), command
