"""`inspect robustness`: its table, what it refuses before any work, and how it is stopped."""

from pathlib import Path
from typing import Any

import pytest
from commands import Call

from runner.bind import named_runs
from runner.core.errors import Interrupted
from runner.engine.stages import after_training
from runner.store.database import Database
from runner.store.queries import run_record

BLUR = "{name: GaussianBlur, kernel_size: 3, sigma: 2}"


@pytest.mark.slow
def test_table_csv_and_picture_say_the_same(photos_run: Path, call: Call) -> None:
    called = call(
        *("inspect", "robustness", "photos:0", "--transform", BLUR),
        *("--transform", "RandomHorizontalFlip", "--draws", "2", "--split", "test"),
        *("--csv", "table.csv", "--out", "seen.svg", "--device", "cpu"),
    )
    assert called.code == 0, called.err
    head, *lines, picture, table = called.out.splitlines()
    assert head.split() == ["transform", "severity", "accuracy", "drop"]
    assert (picture, table) == ("seen.svg", "table.csv")
    shown = [line.replace(" ± ", "±").split() for line in lines]
    assert [line[0] for line in shown] == ["none", "GaussianBlur", "RandomHorizontalFlip"]
    head, *written = Path("table.csv").read_text().splitlines()
    assert head == "transform,severity,accuracy,accuracy_std,drop"
    for line, row in zip(shown, written, strict=True):
        name, severity, accuracy, _, drop = row.split(",")
        assert (name, severity) == (line[0], line[1])
        assert float(accuracy) == pytest.approx(float(line[2].split("±")[0]), abs=1e-4)
        assert float(drop) == pytest.approx(float(line[3]), abs=1e-4)
    text = Path("seen.svg").read_text(encoding="utf-8")
    assert "GaussianBlur" in text
    assert "standard deviation over 2 draws" in text


@pytest.mark.fast_cases(5)
@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--transform", "GausianBlur"], "did you mean: GaussianBlur"),
        (["--transform", "foog"], "did you mean: fog"),
        (["--transform", "{name: GaussianBlur, sigmo: 1}"], "did you mean: sigma"),
        (["--transform", "{name: [}"], "--transform {name: [}:1:"),
        (["--transform", "fog"], "fog has constants for 32×32 pixels, not for 8×7"),
        (["--transform", "fog", "--severity", "6"], "fog has no severity 6\n    allowed: 1, 2, 3"),
        (["--transform", BLUR, "--severity", "1"], "GaussianBlur is none"),
        (["--transform", BLUR, "--transform", BLUR], "two transforms are called 'GaussianBlur'"),
        (["--transform", BLUR, "--split", "tset"], "did you mean: test"),
        (["--transform", BLUR, "--draws", "0"], "--draws 0: analysis robustness: draws is 0"),
        (["--transform", BLUR, "--weights", "lost"], "did you mean: last"),
        (["--transform", BLUR, "--out", "seen.gif"], "allowed: .png, .svg, .pdf"),
        (["--transform", BLUR, "--csv", "gone/t.csv"], "gone"),
        (["--transform", BLUR, "--analysis", "shaken"], "give one"),
        (["--split", "test", "--draws", "3"], "--split, --draws without a transform"),
        ([], "ask for no analysis robustness"),
    ],
)
def test_what_cannot_be_measured_is_refused_before_any_work(
    photos_run: Path,
    call: Call,
    monkeypatch: pytest.MonkeyPatch,
    words: list[str],
    said: str,
) -> None:
    monkeypatch.delattr(after_training, "analyse_weights")
    called = call("inspect", "robustness", "photos:0", *words)
    assert (called.code, called.out) == (2, "")
    assert said in called.err


@pytest.mark.slow
def test_the_run_that_is_measured_is_looked_up_once(
    photos_run: Path, call: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    keys: list[str] = []

    def counted(database: Database, run_key: str) -> Any:
        keys.append(run_key)
        return run_record(database, run_key)

    monkeypatch.setattr(named_runs, "run_record", counted)
    words = ["--transform", "{name: RandomGrayscale, p: 1}", "--draws", "1", "--device", "cpu"]
    assert call("inspect", "robustness", "photos:0:0", *words).code == 0
    assert len(keys) == 1


@pytest.mark.slow
def test_weights_that_are_gone_are_told_of_with_what_they_cost(
    photos_run: Path, call: Call
) -> None:
    for path in Path(".runner/weights").rglob("*.safetensors"):
        path.unlink()
    called = call("inspect", "robustness", "photos:0", "--transform", BLUR)
    assert called.code == 2
    assert "only training again brings them back (3 epochs took" in called.err


@pytest.mark.slow
def test_ctrl_c_says_that_the_same_command_goes_on(
    photos_run: Path, call: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    from runner.cli.shown_files import FilesProgress

    def stopped(self: FilesProgress, done: int, total: int) -> None:
        raise Interrupted(f"stopped after {done} of {total} images")

    with monkeypatch.context() as patch:
        patch.setattr(FilesProgress, "moved", stopped)
        called = call("inspect", "robustness", "photos:0", "--transform", BLUR)
    assert called.code == 130
    assert "images; the same command goes on behind them" in called.err
