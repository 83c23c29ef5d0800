"""What the page's server answers, over a database with made-up results."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from made_up import HEAD, MadeUp, record_made_up

pytest.importorskip("starlette")
pytest.importorskip("httpx")

from starlette.testclient import TestClient

from runner.api.picturing import Pictures
from runner.api.watching import Watch
from runner.core.errors import UsageError
from runner.page.app import PageApp
from runner.page.serving import PageServer
from runner.store.database import open_database
from runner.store.failures import in_words
from runner.store.watching import CommitCounter

pytestmark = pytest.mark.slow

GRID = (
    HEAD
    + "seeds: [0, 1]\nsweep: {grid: {lr: [0.1, 0.01]}}\n"
    + "tables: {t: {LR: lr, VAL: {metric: val_accuracy, mark: max}, TEST: test_accuracy}}\n"
)
RECORD = MadeUp({"val_accuracy": [0.2, 0.6]}, best_epoch=2, test_accuracy=0.5)
OF = "experiment=made_up"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    with open_database(tmp_path / "results.db") as database:
        record_made_up(
            database, tmp_path, GRID, lambda cell: RECORD if cell.position == 0 else None
        )
    return tmp_path / "results.db"


@pytest.fixture
def client(path: Path) -> Iterator[TestClient]:
    watch, pictures = Watch(path), Pictures(path)
    yield TestClient(PageApp(watch, pictures).application())
    watch.close()
    pictures.close()


def test_experiments_and_their_items(client: TestClient) -> None:
    (row,) = client.get("/experiments").json()
    assert (row["name"], row["counts"]) == ("made_up", {"done": 2, "unfinished": 2})
    answer = client.get(f"/changes?{OF}").json()
    assert answer["whole"]
    assert answer["items"]["row:t:0"]["values"][1]["texts"] == ["0.600 ± 0.000"]
    assert answer["items"]["tables"] == {"names": ["t"]}


def test_what_changed_since_another_version_was_finished(tmp_path: Path) -> None:
    with open_database(tmp_path / "results.db") as database:
        record_made_up(database, tmp_path, GRID, lambda _: RECORD)
        record_made_up(database, tmp_path, GRID.replace("0.01", "1.0"), lambda _: RECORD)
    watch, pictures = Watch(tmp_path / "results.db"), Pictures(tmp_path / "results.db")
    answer = TestClient(PageApp(watch, pictures).application()).get(f"/since?{OF}").json()
    assert answer["cells"] == {"same": 2, "other": 0, "new": 2, "gone": 2}
    assert (answer["new"], answer["gone"]) == (["lr=1"], ["lr=0.01"])
    watch.close()
    pictures.close()


@pytest.mark.parametrize(
    ("asked", "found"),
    [
        (f"since?{OF}&variant=other", "variant"),
        ("changes?experiment=mad_up", "did you mean: made_up"),
        (f"changes?{OF}&variant=other", "variant"),
        (f"table?{OF}&table=u&form=csv", "no table 'u'"),
        (f"table?{OF}&table=t&form=pdf", "unknown format"),
        (f"run?{OF}&cell=9:9", "no cell"),
        (f"run?{OF}", "no cell"),
        (f"difference?{OF}&first=0:0&second=x", "no cell"),
        (f"curves?{OF}&cells=a&metrics=val_accuracy", "numbers"),
        (f"curves?{OF}&cells=0&metrics=val_accuracy&axis=z", "axis"),
    ],
)
def test_what_is_not_there_is_said(client: TestClient, asked: str, found: str) -> None:
    answer = client.get(f"/{asked}")
    assert answer.status_code == 404
    assert found in answer.json()["problem"]


def test_curves_of_a_metric_that_is_not_recorded_are_none(client: TestClient) -> None:
    asked = f"/curves?{OF}&cells=0,1,7&metrics=val_accuracy,nothing"
    assert [line["position"] for line in client.get(asked).json()] == [0]


def test_a_run_has_its_settings_with_their_origin_and_its_command(client: TestClient) -> None:
    run = client.get(f"/run?{OF}&cell=0:1").json()
    origin = {path: (value, source) for path, value, source in run["settings"]}
    assert origin["train.optimizer.lr"] == (0.1, "sweep")
    assert origin["train.epochs"] == (4, "spec")
    assert origin["model.name"] == ("mlp", "spec")
    assert origin["train.batch_size"][1] == "default"
    assert "--only lr=0.1 --only seed=1" in run["command"]
    assert run["result"]["status"] == "done"


def test_two_runs_are_compared(client: TestClient) -> None:
    rows = client.get(f"/difference?{OF}&first=0:0&second=1:0").json()
    named = {row["name"]: row for row in rows}
    assert (named["train.optimizer.lr"]["first"], named["train.optimizer.lr"]["second"]) == (
        0.1,
        0.01,
    )


@pytest.mark.parametrize(
    "asked",
    [
        "static/../app.py",
        "static/..%2fapp.py",
        "static/%2e%2e/app.py",
        "static//etc/passwd",
        "static/uplot/../../guard.py",
        "app.py",
        "picture?digest=00",
        "picture/..%2f..%2fresults.db",
    ],
)
def test_nothing_beside_the_page_is_served(client: TestClient, asked: str) -> None:
    answer = client.get(f"/{asked}")
    assert answer.status_code == 404
    assert "import" not in answer.text


def test_a_taken_port_and_an_open_address_are_errors(path: Path) -> None:
    first = PageServer(path)
    try:
        with pytest.raises(UsageError, match="cannot listen on"):
            PageServer(path, port=first.port)
        with pytest.raises(UsageError, match="everybody who can reach"):
            PageServer(path, host="0.0.0.0")
        with pytest.raises(UsageError, match="at least 16"):
            PageServer(path, host="0.0.0.0", token="short")
        with pytest.raises(UsageError, match="a character that it must not have"):
            PageServer(path, token="sixteen letters & more")
        for host in ("a..b", "a" * 70, "256.1.1.1"):
            with pytest.raises(UsageError, match="cannot listen on"):
                PageServer(path, host=host, token="t" * 16)
    finally:
        first.close()


def test_the_address_has_a_new_token_each_time(path: Path) -> None:
    servers = [PageServer(path) for _ in range(2)]
    tokens: set[Any] = {server.token for server in servers}
    for server in servers:
        server.close()
    assert len(tokens) == 2
    assert min(len(token) for token in tokens) >= 32


def test_a_database_that_was_replaced_is_said_and_then_shown(
    client: TestClient, path: Path, tmp_path: Path
) -> None:
    cursor = client.get(f"/changes?{OF}").json()["cursor"]
    path.unlink()
    for asked in ("experiments", f"changes?{OF}&after={cursor}", f"pictures?{OF}&cell=0:0"):
        answer = client.get(f"/{asked}")
        assert answer.status_code == 503
        assert "results.db was removed\n" in answer.json()["problem"]
        assert "shown again" in answer.json()["problem"]
    with open_database(path) as database:
        record_made_up(database, tmp_path, GRID, lambda cell: None)
    client.get("/experiments")
    (row,) = client.get("/experiments").json()
    assert row["counts"] == {"unfinished": 4}
    answer = client.get(f"/changes?{OF}&after={cursor}").json()
    assert answer["whole"]
    assert answer["items"]["head"]["counts"]["unfinished"] == 4
    assert client.get(f"/pictures?{OF}&cell=0:0").status_code == 200


def test_a_database_that_is_locked_is_said(
    client: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    def locked(_: object) -> bool:
        error = sqlite3.OperationalError("database is locked")
        error.sqlite_errorcode = sqlite3.SQLITE_BUSY
        with in_words(Path("results.db")):
            raise error

    with monkeypatch.context() as patch:
        patch.setattr(CommitCounter, "has_moved", locked)
        answer = client.get(f"/changes?{OF}")
        assert answer.status_code == 503
        assert "locked" in answer.json()["problem"]
    assert client.get(f"/changes?{OF}").status_code == 200
