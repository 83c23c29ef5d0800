"""The page as one file: it holds what the server would answer, and nothing from elsewhere."""

from __future__ import annotations

import json
import os
import re
import sqlite3
from html import unescape
from pathlib import Path

import pytest
from made_up import HEAD, MadeUp, record_made_up

pytest.importorskip("starlette")

from runner.api.watching import Watch
from runner.core.errors import DamagedDatabase, UsageError
from runner.page.one_file import question, write_file
from runner.store.database import open_database

pytestmark = pytest.mark.slow

HOSTILE = "</script><script>alert(1)</script>&amp;"
GRID = (
    HEAD
    + f"about: {json.dumps(HOSTILE)}\n"
    + "sweep: {grid: {lr: [0.1, 0.01]}}\n"
    + "tables: {t: {LR: lr, VAL: {metric: val_accuracy, mark: max}}}\n"
)
RECORD = MadeUp({"val_accuracy": [0.2, 0.6123456789]}, best_epoch=2, test_accuracy=0.5)


@pytest.fixture
def html(tmp_path: Path) -> str:
    with open_database(tmp_path / "results.db") as database:
        record_made_up(database, tmp_path, GRID, lambda _: RECORD)
    watch = Watch(tmp_path / "results.db")
    assert write_file(watch, tmp_path / "page.html") == []
    watch.close()
    return (tmp_path / "page.html").read_text("utf-8")


def held(html: str) -> dict[str, object]:
    (text,) = re.findall(r'<script type="application/json" id="data">(.*?)</script>', html, re.S)
    return dict(json.loads(text))


def test_it_answers_what_the_page_asks(html: str) -> None:
    answers = held(html)
    of = {"experiment": "made_up", "variant": ""}
    items = answers[question("changes", **of)]["items"]  # type: ignore[index]
    assert items["row:t:0"]["values"][1]["texts"] == ["0.612"]
    assert items["head"]["about"] == HOSTILE
    (one, _) = answers[question("curves", **of, metrics="val_accuracy", axis="epoch")]  # type: ignore[misc]
    assert one["mean"] == [0.2, 0.612346]
    assert answers[question("run", **of, cell="0:0")]["result"]["status"] == "done"  # type: ignore[index]
    for form in ("latex", "markdown", "csv"):
        assert question("table", **of, table="t", form=form) in answers


def test_no_text_ends_its_element_and_nothing_is_fetched(html: str) -> None:
    assert html.count("<script") == 2
    assert html.count("</script>") == 2
    assert not re.search(r"""(src|href)=["']?(https?:|//)""", html)
    assert "default-src 'none'" in unescape(html)
    assert "unsafe-" not in html


def test_a_damaged_result_is_an_error(tmp_path: Path) -> None:
    with open_database(tmp_path / "results.db") as database:
        record_made_up(database, tmp_path, GRID.partition("tables:")[0], lambda _: RECORD)
    with sqlite3.connect(tmp_path / "results.db") as raw:
        raw.execute("UPDATE results SET best_epoch = 1")
    watch = Watch(tmp_path / "results.db")
    with pytest.raises(DamagedDatabase):
        write_file(watch, tmp_path / "page.html")
    assert not (tmp_path / "page.html").exists()


def test_an_experiment_that_was_not_run_is_an_error(tmp_path: Path) -> None:
    open_database(tmp_path / "results.db").close()
    watch = Watch(tmp_path / "results.db")
    with pytest.raises(UsageError, match="no experiment has been run"):
        write_file(watch, tmp_path / "page.html")
    with pytest.raises(UsageError, match="other has not been run"):
        write_file(watch, tmp_path / "page.html", ["other"])
    watch.close()
    assert not (tmp_path / "page.html").exists()


def test_a_spec_that_was_not_run_is_left_out_and_named(tmp_path: Path) -> None:
    with open_database(tmp_path / "results.db") as database:
        record_made_up(database, tmp_path, GRID, lambda _: RECORD)
    watch = Watch(tmp_path / "results.db")
    left_out = write_file(watch, tmp_path / "page.html", ["made_up", "other"])
    with pytest.raises(UsageError, match="made_up has not been run as the variant 'small'"):
        write_file(watch, tmp_path / "page.html", ["made_up"], "small")
    watch.close()
    assert left_out == ["other: it has not been run"]


@pytest.mark.parametrize(
    ("name", "problem"),
    [
        ("spec.yaml", "is to hold HTML"),
        ("results.db", "is to hold HTML"),
        (".", "is to hold HTML"),
        ("folder.html", "is a folder"),
        ("none/page.html", "no folder"),
        ("device.html", "no regular file"),
    ],
)
def test_a_place_that_cannot_hold_the_file_is_refused_and_left_as_it_is(
    tmp_path: Path, name: str, problem: str
) -> None:
    with open_database(tmp_path / "results.db") as database:
        record_made_up(database, tmp_path, GRID, lambda _: RECORD)
    (tmp_path / "spec.yaml").write_text(GRID, "utf-8")
    (tmp_path / "folder.html").mkdir()
    os.mkfifo(tmp_path / "device.html")
    watch = Watch(tmp_path / "results.db")
    with pytest.raises(UsageError, match=problem):
        write_file(watch, tmp_path / name)
    assert [row["name"] for row in watch.experiments()] == ["made_up"]
    watch.close()
    assert (tmp_path / "spec.yaml").read_text("utf-8") == GRID
    assert (tmp_path / "device.html").is_fifo()
