"""How the server ends, and what it says when a part of it fails."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from urllib.error import URLError
from urllib.request import HTTPCookieProcessor, build_opener

import pytest
from made_up import HEAD, record_made_up
from waiting import PATIENCE

pytest.importorskip("starlette")
pytest.importorskip("uvicorn")

from starlette.testclient import TestClient

from runner.api.picturing import Pictures
from runner.api.watching import Watch
from runner.page.app import PageApp
from runner.store.database import open_database

pytestmark = pytest.mark.slow

PATIENT = """\
import runner.page.app
from runner.__main__ import main

runner.page.app.WAIT_SECONDS = 600.0
main()
"""
"""The program, whose tabs wait for news longer than any test."""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    with open_database(tmp_path / "results.db") as database:
        record_made_up(database, tmp_path, HEAD, lambda cell: None)
    return tmp_path / "results.db"


def test_an_unexpected_error_is_said_as_json_and_written_whole_once(
    path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    watch, pictures = Watch(path), Pictures(path)
    monkeypatch.setattr(watch, "experiments", lambda: [][1])
    client = TestClient(PageApp(watch, pictures).application(), raise_server_exceptions=False)
    for _ in range(2):
        answer = client.get("/experiments")
        assert answer.status_code == 500
        assert "IndexError: list index out of range\n" in answer.json()["problem"]
        assert "`runner db check`" in answer.json()["problem"]
    assert capsys.readouterr().err.count("Traceback") == 1
    watch.close()
    pictures.close()


def test_a_picture_is_sent_while_another_is_drawn(path: Path) -> None:
    watch, pictures = Watch(path), Pictures(path)
    digest = pictures._keep(b"\x89PNG")
    page = PageApp(watch, pictures)
    with page._drawing:
        answer = TestClient(page.application()).get(f"/picture/{digest}")
    assert (answer.status_code, answer.content) == (200, b"\x89PNG")
    watch.close()
    pictures.close()


@pytest.mark.slow
def test_ctrl_c_ends_it_soon_and_says_only_that_it_stopped(path: Path) -> None:
    """A tab that waits for news is answered at once."""
    page = subprocess.Popen(
        [sys.executable, "-c", PATIENT, "page", "--db", str(path)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert page.stdout is not None
    assert page.stderr is not None
    address = page.stdout.readline().strip()
    opener = build_opener(HTTPCookieProcessor())
    opener.open(address, timeout=PATIENCE).read()
    news = f"{address.partition('?')[0]}changes?experiment=made_up&after="
    cursor = ""
    for _ in range(2):  # what is seen first, and the rest
        cursor = json.load(opener.open(news + cursor, timeout=PATIENCE))["cursor"]
    answers: list[int] = []
    waiting = threading.Thread(
        target=lambda: answers.append(opener.open(news + cursor, timeout=PATIENCE).status)
    )
    waiting.start()
    time.sleep(1)
    assert answers == []
    os.kill(page.pid, signal.SIGINT)
    try:
        code = page.wait(timeout=PATIENCE)
    finally:
        page.kill()
    waiting.join(timeout=PATIENCE)
    assert answers == [200]
    assert (code, page.stderr.read()) == (130, "stopped\n")


@pytest.mark.slow
def test_the_page_beside_a_run_ends_when_the_run_is_killed(path: Path) -> None:
    begin = "from runner.cli.paging import PageBeside; import sys, time;"
    begin += " PageBeside(sys.argv[1]).start(); time.sleep(60)"
    with subprocess.Popen(
        [sys.executable, "-c", begin, str(path)], stderr=subprocess.PIPE, text=True
    ) as run:
        try:
            assert run.stderr is not None
            address = run.stderr.readline().removeprefix("page: ").strip()
            assert build_opener(HTTPCookieProcessor()).open(address, timeout=PATIENCE).status == 200
        finally:
            run.kill()
        assert run.stderr.read() == ""  # the page has it, too: its end is the end of the page
    with pytest.raises(URLError):
        build_opener().open(address, timeout=PATIENCE)
