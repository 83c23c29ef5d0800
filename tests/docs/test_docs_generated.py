"""The generated documents are up to date, complete, and their example runs."""

import re
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.main import get_command

from runner.cli.app import app
from runner.store.database import open_database
from runner.store.schema import metadata
from runner.store.views import VIEWS

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"


@pytest.mark.slow
def test_the_generated_documents_are_up_to_date() -> None:
    checked = subprocess.run(
        [sys.executable, ROOT / "tools" / "docs.py", "--check"], capture_output=True, text=True
    )
    assert checked.returncode == 0, checked.stderr


def commands(group: Any = None, words: tuple[str, ...] = ()) -> Iterator[tuple[str, Any]]:
    command = get_command(app) if group is None else group
    yield " ".join(["runner", *words]), command
    for name, inner in getattr(command, "commands", {}).items():
        yield from commands(inner, (*words, name))


@pytest.mark.fast_cases(8)
@pytest.mark.parametrize("name", [name for name, _ in commands()])
def test_every_command_and_option_has_help(name: str) -> None:
    command = dict(commands())[name]
    assert command.help
    assert command.help[0].isupper()
    for parameter in command.params:
        assert parameter.help, f"{name} {parameter.name}"
        assert parameter.help[0].isupper() or parameter.help.startswith("cpu")
    assert f"## {name}\n" in (DOCS / "cli.md").read_text(encoding="utf-8")


def test_every_command_shows_an_example() -> None:
    leaves = {name: each for name, each in commands() if not hasattr(each, "commands")}
    assert [name for name, each in leaves.items() if f"  {name}" not in (each.epilog or "")] == []


def test_the_help_in_the_document_is_no_wider_than_80_columns() -> None:
    lines = (DOCS / "cli.md").read_text(encoding="utf-8").splitlines()
    assert [line for line in lines if len(line) > 80] == []


def test_every_table_view_and_column_is_documented() -> None:
    text = (DOCS / "database.md").read_text(encoding="utf-8")
    for table in metadata.tables.values():
        assert table.comment, table.name
        section = text.partition(f"### `{table.name}`\n")[2].partition("\n### ")[0]
        for column in table.columns:
            assert f"| `{column.name}` |" in section, f"{table.name}.{column.name}"
    assert [name for name in VIEWS if f"### `{name}`\n" not in text] == []


def test_the_pandas_example_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    text = (DOCS / "database.md").read_text(encoding="utf-8")
    example = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    open_database(tmp_path / "results.db").close()
    with closing(sqlite3.connect(tmp_path / "results.db")) as connection:
        connection.execute(
            "INSERT INTO runs VALUES ('r', 's', ?, '{}', 'f', 'd', NULL)",
            ['{"model": {"name": "mlp"}, "train": {"optimizer": {"lr": 0.125}}}'],
        )
        connection.execute(
            "INSERT INTO experiments VALUES (1, 'e', '', '', 'e.yaml', '{}', '', 0.0, NULL)"
        )
        connection.execute(
            "INSERT INTO cells VALUES (1, 0, 0, 0, '{}', '{}', '{}', 's', 'r', NULL)"
        )
        connection.execute(
            "INSERT INTO results VALUES ('r', 0, 'done', '', 1, 1, 5, 1.0, 1.0, 'cpu', 0.0, NULL)"
        )
        connection.commit()
    monkeypatch.chdir(tmp_path)
    exec(compile(example[0], "database.md", "exec"), {})
    assert "0.125" in capsys.readouterr().out


def test_every_setting_is_in_the_reference() -> None:
    from runner.components.settings import Settings
    from runner.spec.names import SHORT_NAMES

    text = (DOCS / "reference.md").read_text(encoding="utf-8")
    schema = Settings.model_json_schema()
    names = {name for each in schema["$defs"].values() for name in each["properties"]}
    missing = [name for name in names - {"name", "dataset"} if f"| `{name}` |" not in text]
    assert missing == []
    assert [
        name for name in SHORT_NAMES if f"| `{name}` | `{SHORT_NAMES[name]}` |" not in text
    ] == []


def test_the_metadata_for_datasette_fits_a_database(tmp_path: Path) -> None:
    content = yaml.safe_load((DOCS / "datasette.yaml").read_text(encoding="utf-8"))
    described = content["databases"]["results"]
    open_database(tmp_path / "results.db").close()
    with closing(sqlite3.connect(tmp_path / "results.db")) as connection:
        found = {
            name: {row[1] for row in connection.execute(f"PRAGMA table_info({name})")}
            for (name,) in connection.execute(
                "SELECT name FROM sqlite_master WHERE type IN ('table', 'view')"
                " AND name NOT LIKE 'sqlite_%' AND name <> 'alembic_version'"
            )
        }
        assert {name: {*each["columns"]} for name, each in described["tables"].items()} == found
        for each in described["tables"].values():
            assert set(each.get("facets", ())) <= each["columns"].keys()
        for query in described["queries"].values():
            assert query["title"]
            connection.execute(query["sql"], {"run": "3f"} if ":run" in query["sql"] else {})
