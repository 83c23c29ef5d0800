"""A database of a PostgreSQL server on the command line: the records and tables of a file."""

import re
from collections.abc import Iterator
from pathlib import Path

import pandas as pd
import pytest
import sqlalchemy as sa
from commands import TINY, Call, Called
from postgres import PostgresServer

from runner import api
from runner.bind.workspace import workspace
from runner.core.text import without_password
from runner.store.addresses import ServerDatabase, address_of
from runner.store.database import open_database
from runner.store.dump import canonical_dump

pytestmark = pytest.mark.postgres
SECRET = "hush-hush"
MORE = """\
  by_lr:
    order: [-LR, OPTIMIZER]
    columns:
      OPTIMIZER: optimizer
      LR: lr
      AUGMENT: augment
      BEST: {metric: val_accuracy, at: max}
      GAP: {metric: "100 * (train_accuracy - val_accuracy) / 2"}
      A title with 100 % of all that anyone might ever want to read in a table: best_epoch
  by_label:
    order: -WHICH
    columns: {WHICH: label, EPOCHS: epochs, TEST_LOSS: test_loss}
"""


@pytest.fixture
def url(postgres_server: PostgresServer) -> str:
    """Of an empty database, with a password that the server does not ask for."""
    url = sa.make_url(postgres_server.new_database()).set(password=SECRET)
    return url.render_as_string(hide_password=False)


@pytest.fixture
def both(call: Call, url: str, tmp_path: Path) -> Iterator[str]:
    """The same grid, finished in results.db and on a server."""
    Path("tiny.yaml").write_text(TINY)
    for where in ([], ["--db", url]):
        done = call("run", "tiny.yaml", "--device", "cpu", *where)
        assert done.code == 0, done.err
        assert SECRET not in done.out + done.err
    return url


def without_times(text: str) -> str:
    """Return what is printed without what differs between two trainings."""
    text = re.sub(r", \d+(\.\d+)? s less", "", text)
    times = r"\b\d+\.\d\b|\d+(\.\d+)? (s|min|ms|MB)\b|\d{4}-\d\d-\d\d \d\d:\d\d(:\d\d)?"
    return re.sub(times, "T", text)


@pytest.mark.slow
def test_a_grid_on_a_server_has_the_records_and_tables_of_a_file(both: str, call: Call) -> None:
    with open_database("results.db") as file, open_database(both) as server:
        assert list(canonical_dump(server)) == list(canonical_dump(file))

    def called(*words: str) -> tuple[Called, Called]:
        found = call(*words), call(*words, "--db", both)
        for each in found:
            assert each.code == 0, each.err
            assert SECRET not in each.out + each.err
        return found

    for words in (
        ["report"],
        ["report", "--format", "json"],
        ["list"],
        ["plan", "tiny.yaml", "--device", "cpu"],
        ["show", "tiny:0:0"],
        ["db", "check"],
        ["db", "dump", "--canonical"],
    ):
        file, server = called(*words)
        ours, theirs = without_times(file.out), without_times(server.out)
        if words[:2] == ["db", "check"]:
            ours = ours.replace("structure     1 checked\n", "")
        shown = without_password(both)
        assert theirs.replace(f" --db {shown}", "").replace(f" --db '{shown}'", "") == ours, words
    foreseen = call("plan", "tiny.yaml", "--actual", "--db", both)
    assert foreseen.code == 0, foreseen.err
    again = call("run", "tiny.yaml", "--device", "cpu", "--db", both)
    assert "4 done (4 of them before)" in again.err
    html = call("report", "--html", "out.html", "--db", both)
    assert html.code == 0, html.err
    content = Path("out.html").read_text()
    assert "fast one" in content
    assert SECRET not in content
    info = call("db", "info", "--db", both)
    assert info.code == 0
    assert info.out.startswith(f"{address_of(both)}: ")
    assert SECRET not in info.out
    dump = call("db", "dump", "--db", both)
    assert dump.code == 2
    assert "pg_dump" in dump.err


@pytest.mark.slow
def test_views_read_into_pandas_and_printed_sql_fills_the_tables(
    call: Call, url: str, tmp_path: Path
) -> None:
    Path("tiny.yaml").write_text(TINY)
    assert call("run", "tiny.yaml", "--device", "cpu", "--db", url).code == 0
    printed = call("report", "--table", "tiny", "--sql", "--db", url)
    assert printed.code == 0
    assert "#>>" in printed.out or "->>" in printed.out
    statement = "\n".join(line for line in printed.out.splitlines() if not line.startswith("--"))
    engine = sa.create_engine(str(address_of(url)))
    with engine.connect() as connection:
        table = pd.read_sql(sa.text(statement.rstrip().rstrip(";")), connection)
        for view in ("run_summary", "run_metrics", "run_steps", "latest_results", "run_analyses"):
            found = pd.read_sql(f"SELECT * FROM {view}", connection)
            assert len(found) > 0 or view == "run_analyses"
        summary = pd.read_sql("SELECT * FROM run_summary", connection)
    engine.dispose()
    assert list(table["LR"]) == [0.01, 0.1]
    report = api.report("tiny", db=url).frame()
    assert list(table["TEST_ACC"]) == pytest.approx(list(report["TEST_ACC"]))
    assert sorted(summary["lr"]) == [0.01, 0.01, 0.1, 0.1]
    assert summary["test_accuracy"].dtype == float


@pytest.mark.slow
def test_formulas_orders_and_settings_are_those_of_a_file(call: Call, url: str) -> None:
    Path("tiny.yaml").write_text(TINY + MORE)
    shown = []
    for where in ([], ["--db", url]):
        assert call("run", "tiny.yaml", "--device", "cpu", *where).code == 0
        for table in ("by_lr", "by_label"):
            shown.append(call("report", "--table", table, "--format", "csv", *where))
    assert shown[0].code == 0, shown[0].err
    assert [each.out for each in shown[2:]] == [each.out for each in shown[:2]]
    assert shown[0].out.count("\n") >= 3


def test_the_folder_beside_a_server_is_that_of_the_current_folder(url: str, tmp_path: Path) -> None:
    home = workspace(url)
    assert home.folder == tmp_path / ".runner"
    assert SECRET not in f"{home} {home.database_name}"
    assert isinstance(address_of(home.database_path), ServerDatabase)
    assert not home.has_database()


@pytest.mark.slow
def test_clearing_for_a_file_leaves_what_a_servers_database_keeps(both: str, call: Call) -> None:
    with open_database(both) as database:
        mine = Path(".runner", "weights", database.identity())
    kept = {path.name for path in mine.iterdir()}
    assert kept
    assert call("cache", "clear", "weights").code == 0
    assert {path.name for path in mine.iterdir()} == kept
    assert call("cache", "clear", "weights", "--db", both).code == 0
    assert not mine.exists()


@pytest.mark.slow
def test_databases_are_merged_in_both_directions(both: str, call: Call) -> None:
    merged = call("db", "merge", both, "--db", "copy.db")
    shown = address_of(both)
    assert merged.out == f"copy.db: 4 results of 4 and 1 experiment copied from {shown}\n"
    dumps = [call("db", "dump", "--canonical", "--db", where).out for where in (both, "copy.db")]
    assert dumps[0] == dumps[1]
    back = call("db", "merge", "results.db", "--db", both)
    assert back.out == f"{shown}: 0 results of 4 and 0 experiments copied from results.db\n"
    assert SECRET not in merged.out + back.out
    again = call("run", "tiny.yaml", "--device", "cpu", "--db", "copy.db")
    assert "4 done (4 of them before)" in again.err


def test_nothing_is_read_where_nothing_was_recorded(call: Call, url: str) -> None:
    for words in (["list"], ["report"], ["db", "check"]):
        refused = call(*words, "--db", url)
        assert refused.code == 2
        assert "there are no results in postgresql://" in refused.err
        assert SECRET not in refused.err
