"""The lines of a download where standard error is no terminal."""

from pathlib import Path

import pytest

from runner.cli import downloads
from runner.cli.downloads import PlainDownloads
from runner.components.download import Downloading


def test_plain_lines_come_every_ten_seconds(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    now = 100.0
    monkeypatch.setattr(downloads.time, "monotonic", lambda: now)
    shown = PlainDownloads()
    for seconds, done in [(0, 0), (4, 10), (9.9, 20), (10, 25), (19, 30), (20, 50), (25, 100)]:
        now = 100.0 + seconds
        shown.moved(Downloading("x.zip", done * 1_000_000, 100_000_000, Path("data/x")))
    assert capsys.readouterr().err.splitlines() == [
        "downloading x.zip (100.0 MB) for data/x",
        "x.zip: 25.0 MB of 100.0 MB, about 30 s left",
        "x.zip: 50.0 MB of 100.0 MB, about 20 s left",
        "x.zip: 100.0 MB in 25 s",
    ]


def test_plain_lines_of_unknown_length_promise_nothing(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(downloads, "PLAIN_SECONDS", 0.0)
    shown = PlainDownloads()
    for done, total in [(0, None), (2000, None), (3000, 3000)]:
        shown.moved(Downloading("x.zip", done, total, Path("x")))
    assert capsys.readouterr().err.splitlines()[:2] == [
        "downloading x.zip (unknown size) for x",
        "x.zip: 2.0 kB",
    ]
